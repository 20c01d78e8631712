//! What a thread needs to keep decoded copies of values: memory that tells it whether they still hold, and the
//! calls that fill and report them.

use std::ffi::c_void;
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use napi::sys;
use sark_cache_core::{Stamp, VersionTable, coarse_clock};

use crate::arguments::{Call, as_double, callbacks};
use crate::bulk::set_element;
use crate::environment::Opened;
use crate::failure::{Failure, check};
use crate::text::value_to_js;

/// Where `getNear` leaves what a copy is to be checked against, as `f64`s: the place of its key's number among
/// the versions, that number, the number of the last invalidation, the ms from which on the value is stale, the
/// number of the write that it is of, both halves of its key's hash, and the bytes that the entry is charged.
pub(crate) type Report = [AtomicU64; 8];

/// What keeps the memory behind a buffer alive.
enum Owner {
    VersionTable(#[expect(dead_code, reason = "held for its memory")] Arc<VersionTable>),
    Report(#[expect(dead_code, reason = "held for its memory")] Arc<Report>),
    Process,
}

unsafe extern "C" fn release(_env: sys::napi_env, _data: *mut c_void, owner: *mut c_void) {
    // SAFETY: `view` made the pointer from a box and gave it to this buffer alone, whose finalizer runs once.
    drop(unsafe { Box::from_raw(owner.cast::<Owner>()) });
}

impl<const N: usize> Call<'_, N> {
    /// A `Float64Array` over `words`, or `None` where the runtime has no buffers over memory of others.
    fn view(&self, words: &[AtomicU64], owner: Owner) -> Result<Option<sys::napi_value>, Failure> {
        let owner = Box::into_raw(Box::new(owner));
        let (mut buffer, mut out) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: `owner` keeps the words alive until the buffer is gone. Scripts of this package only read
        // them; what another thread writes meanwhile shows as an old or a new number, for
        // loads and stores of 64 bits are whole on the targets that come here.
        let status = unsafe {
            let data = words.as_ptr().cast_mut().cast();
            let hint = owner.cast();
            sys::napi_create_external_arraybuffer(
                self.env,
                data,
                size_of_val(words),
                Some(release),
                hint,
                &raw mut buffer,
            )
        };
        if status == sys::Status::napi_no_external_buffers_allowed {
            // SAFETY: the runtime refused before it looked at the finalizer, which will not run.
            drop(unsafe { Box::from_raw(owner) });
            return Ok(None);
        }
        // A call that failed otherwise may have taken the finalizer, so that what it would free is left to it.
        check(status)?;
        let kind = sys::TypedarrayType::float64_array;
        // SAFETY: the buffer is as long as there are words, of eight bytes each.
        check(unsafe { sys::napi_create_typedarray(self.env, kind, words.len(), buffer, 0, &raw mut out) })?;
        Ok(Some(out))
    }

    /// The numbers in a `Float64Array`. They are valid until JavaScript runs again.
    pub(crate) fn numbers(&self, place: usize) -> Result<&[f64], Failure> {
        let (mut kind, mut len, mut data) = (-1, 0, ptr::null_mut());
        // SAFETY: `env` and the argument are those of the running callback; what is not asked for may be null.
        let status = unsafe {
            let (none, unset) = (ptr::null_mut(), ptr::null_mut());
            let array = self.arguments[place];
            sys::napi_get_typedarray_info(
                self.env,
                array,
                &raw mut kind,
                &raw mut len,
                &raw mut data,
                none,
                unset,
            )
        };
        if status != sys::Status::napi_ok || kind != sys::TypedarrayType::float64_array {
            return Err(Failure::wrong_type("a Float64Array is expected"));
        }
        if len == 0 || data.is_null() {
            return Ok(&[]);
        }
        // SAFETY: Node-API gave `len` numbers at `data`, aligned for them; no script runs meanwhile.
        Ok(unsafe { slice::from_raw_parts(data.cast(), len) })
    }

    /// Writes numbers to the first places of a `Float64Array`.
    pub(crate) fn fill(&self, place: usize, numbers: &[f64]) -> Result<(), Failure> {
        let array = self.numbers(place)?;
        if array.len() < numbers.len() {
            return Err(Failure::wrong_type("a longer Float64Array is expected"));
        }
        let target = array.as_ptr().cast_mut();
        // SAFETY: the array has room for as many numbers, belongs to JavaScript, which does not run meanwhile, and
        // `array` is not read any more.
        unsafe { ptr::copy_nonoverlapping(numbers.as_ptr(), target, numbers.len()) };
        Ok(())
    }

    fn report(&self, stamp: &Stamp, charge: u64) {
        let [high, low] = [stamp.hash >> 32, stamp.hash & u64::from(u32::MAX)];
        let numbers = [
            f64::from(stamp.cell),
            f64::from_bits(stamp.version),
            f64::from_bits(stamp.invalidation),
            if stamp.fresh_until == u64::MAX { f64::INFINITY } else { as_double(stamp.fresh_until) },
            as_double(stamp.written),
            as_double(high),
            as_double(low),
            as_double(charge),
        ];
        for (word, number) in self.environment.report.iter().zip(numbers) {
            word.store(number.to_bits(), Ordering::Relaxed);
        }
    }
}

callbacks! {
    /// `near(cache)`: `[versions, time, report, margin]`, three `Float64Array`s and a number: the numbers that stand
    /// for keys, with that of the last invalidation in front; the ms of this moment, infinite while nobody needs
    /// them; where `getNear` reports; and for how many ms before a deadline `time` is not to be relied on.
    /// `undefined` where the runtime does not allow it, and where a number could be read while half of it is new.
    "near" near(call: 1) {
        if cfg!(target_pointer_width = "32") {
            return call.undefined();
        }
        let table = call.environment.with(call.cache()?, |open| Ok(Arc::clone(open.cache.version_table())))?;
        let versions = call.view(table.words(), Owner::VersionTable(Arc::clone(&table)))?;
        let time = call.view(slice::from_ref(coarse_clock::word()), Owner::Process)?;
        let report = &call.environment.report;
        let report = call.view(&report[..], Owner::Report(Arc::clone(report)))?;
        let (Some(versions), Some(time), Some(report)) = (versions, time, report) else {
            return call.undefined();
        };
        let out = call.array(4)?;
        set_element(call.env, out, 0, versions)?;
        set_element(call.env, out, 1, time)?;
        set_element(call.env, out, 2, report)?;
        set_element(call.env, out, 3, call.count(coarse_clock::MARGIN_MS)?)?;
        Ok(out)
    }

    /// `now(cache)`: the ms of this moment, as deadlines are reported; `Infinity` while reads are not answered.
    "now" now(call: 1) {
        let now = call.environment.with(call.cache()?, |open| Ok(open.cache.answered_at()))?;
        call.double(now.map_or(f64::INFINITY, as_double))
    }

    /// `getNear(cache, key, written)`: as `get`, with a report; `null` if the value is still that of the write of
    /// this number.
    "getNear" get_near(call: 3) {
        let known = call.number(2)?;
        let Some((entry, stamp)) = call.keyed(|open, key| Ok(open.cache.get_stamped(key)))? else {
            return call.undefined();
        };
        call.report(&stamp, entry.charge());
        #[expect(clippy::float_cmp, reason = "both are whole numbers")]
        if as_double(stamp.written) == known {
            return call.null();
        }
        value_to_js(call.env, &entry)
    }

    /// `reportReads(cache, read, count, hits)`: counts `hits` reads of copies, and makes their entries the most recently
    /// used ones: `count` times three numbers, as reported: both halves of the hash, and the write.
    "reportReads" report_reads(call: 4) {
        let numbers = call.numbers(1)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
        let (count, hits) = (call.number(2)? as usize, call.number(3)? as u64);
        call.environment.with_opened(call.cache()?, |Opened { cache: open, space, .. }| {
            open.cache.count_hits(*space, hits);
            for read in numbers.chunks_exact(3).take(count) {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
                let [high, low, written] = [read[0] as u64, read[1] as u64, read[2] as u64];
                open.cache.report_read(high << 32 | low, written);
            }
            Ok(())
        })?;
        call.undefined()
    }
}
