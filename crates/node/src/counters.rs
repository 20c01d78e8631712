//! Counters that the threads of a cache share, by the names of their groups.
//!
//! They are for what is counted above the engine and written down in batches, so that a lock costs nothing.

use std::collections::HashMap;
use std::ptr;

use napi::sys;
use parking_lot::Mutex;
use sark_cache_core::Key;

use crate::arguments::{Call, callbacks};
use crate::failure::{Failure, check};
use crate::registry::Name;

/// The most counters of a group.
const MAX_SIZE: f64 = 65_536.0;

/// The groups of a cache.
#[derive(Default)]
pub(crate) struct Groups(Mutex<HashMap<Name, Vec<f64>>>);

fn name(group: Key<'_>) -> Name {
    (group.bytes.into(), group.domain)
}

impl Groups {
    /// Makes a group of zeros, unless it is there. `false` if it is there with another size.
    fn ensure(&self, group: Key<'_>, size: usize) -> bool {
        self.0.lock().entry(name(group)).or_insert_with(|| vec![0.0; size]).len() == size
    }

    /// Runs `body` with the counters of a group.
    fn with<R>(&self, group: Key<'_>, body: impl FnOnce(&mut [f64]) -> R) -> Result<R, Failure> {
        let mut groups = self.0.lock();
        let counters = groups.get_mut(&name(group));
        Ok(body(counters.ok_or_else(|| Failure::range("there is no such group of counters".into()))?))
    }
}

impl<const N: usize> Call<'_, N> {
    /// Runs `body` with the counters of the group in argument 1.
    fn with_counters<R>(&self, body: impl FnOnce(&mut [f64]) -> R) -> Result<R, Failure> {
        self.named(|opened, group| opened.cache.groups.with(group, body))
    }

    /// A `Float64Array` with these numbers.
    fn doubles(&self, numbers: &[f64]) -> Result<sys::napi_value, Failure> {
        let (mut data, mut buffer, mut out) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        let kind = sys::TypedarrayType::float64_array;
        // SAFETY: the new buffer has room for the numbers, aligned for whatever a typed array may hold, and no
        // script has seen it yet.
        unsafe {
            check(sys::napi_create_arraybuffer(
                self.env,
                size_of_val(numbers),
                &raw mut data,
                &raw mut buffer,
            ))?;
            if !numbers.is_empty() {
                ptr::copy_nonoverlapping(numbers.as_ptr(), data.cast(), numbers.len());
            }
            check(sys::napi_create_typedarray(self.env, kind, numbers.len(), buffer, 0, &raw mut out))?;
        }
        Ok(out)
    }
}

callbacks! {
    /// `counters(cache, group, size)`: makes the group, if it is not there.
    "counters" counters(call: 3) {
        let size = call.number(2)?;
        if !(size.fract() == 0.0 && (1.0..=MAX_SIZE).contains(&size)) {
            return Err(Failure::range(format!("a group has from 1 to {MAX_SIZE} counters, not {size}")));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
        let size = size as usize;
        if !call.named(|opened, group| Ok(opened.cache.groups.ensure(group, size)))? {
            return Err(Failure::options("this group of counters is in use with another size".into()));
        }
        call.undefined()
    }

    /// `addCounters(cache, group, deltas)`
    "addCounters" add_counters(call: 3) {
        let deltas = call.numbers(2)?;
        let added = call.with_counters(|counters| {
            let fits = counters.len() == deltas.len();
            if fits {
                counters.iter_mut().zip(deltas).for_each(|(counter, delta)| *counter += delta);
            }
            fits
        })?;
        if !added {
            return Err(Failure::range("there must be as many numbers as counters".into()));
        }
        call.undefined()
    }

    /// `readCounters(cache, group)`: a new `Float64Array`.
    "readCounters" read_counters(call: 2) {
        let numbers = call.with_counters(|counters| counters.to_vec())?;
        call.doubles(&numbers)
    }

    /// `resetCounters(cache, group)`: makes all of them zero.
    "resetCounters" reset_counters(call: 2) {
        call.with_counters(|counters| counters.fill(0.0))?;
        call.undefined()
    }
}
