//! What belongs to one environment: its open caches and its buffers.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ffi::{CString, c_void};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use napi::sys;
use sark_cache_core::Space;

use crate::failure::{Failure, check};
use crate::near::Report;
use crate::registry::{self, Name, Open};
use crate::text::TextBuffer;
use crate::{atomic, bulk, cold, counters, follow, hot, loading, near, records, sharing};

/// A cache that this environment has open. JavaScript knows it by number: the place, and above it how often
/// the place has been used, so that a number kept after `close` never means another cache.
#[derive(Default)]
struct Place {
    uses: u32,
    open: Option<Opened>,
}

/// An open cache or a namespace of one, and the number under which it holds leases and follows changes.
pub(crate) struct Opened {
    pub(crate) cache: Arc<Open>,
    pub(crate) owner: u64,
    /// The namespace that calls by this number mean.
    pub(crate) space: Space,
}

impl Drop for Opened {
    fn drop(&mut self) {
        // Whoever waits for a load of this thread may begin one of its own.
        self.cache.cache.release(self.owner);
        self.cache.cache.follow().unfollow(self.owner);
    }
}

/// Places an environment has; enough that running out is a leak in the program.
const PLACES: u64 = 1 << 20;

#[derive(Default)]
struct Places {
    all: Vec<Place>,
    free: Vec<usize>,
}

/// The state behind the callbacks of one environment. Only its own thread comes here.
pub(crate) struct Environment {
    places: RefCell<Places>,
    /// For the keys of calls.
    pub(crate) key: RefCell<TextBuffer>,
    /// For the values of calls.
    pub(crate) value: RefCell<TextBuffer>,
    /// Names that the fallback engine has open in this environment.
    reserved: RefCell<HashSet<Name>>,
    /// What was read last for a copy.
    pub(crate) report: Arc<Report>,
}

/// The next number of an owner.
static OWNERS: AtomicU64 = AtomicU64::new(1);

fn number(place: usize, uses: u32) -> u64 {
    u64::from(uses) * PLACES + place as u64
}

fn split(number: u64) -> (usize, u64) {
    (usize::try_from(number % PLACES).unwrap_or(usize::MAX), number / PLACES)
}

impl Environment {
    /// Takes a namespace of an open cache in and returns its number, which is below 2⁵².
    pub(crate) fn enter(&self, open: Arc<Open>, space: Space) -> Result<u64, Failure> {
        let Places { all, free } = &mut *self.places.borrow_mut();
        let place = free.pop().unwrap_or_else(|| {
            all.push(Place::default());
            all.len() - 1
        });
        if place as u64 >= PLACES {
            all.pop();
            return Err(Failure::options("more than a million caches are open in one thread".into()));
        }
        let owner = OWNERS.fetch_add(1, Ordering::Relaxed);
        all[place].open = Some(Opened { cache: open, owner, space });
        Ok(number(place, all[place].uses))
    }

    /// Lets go of a cache. `false` if the number means none.
    pub(crate) fn leave(&self, number: u64) -> bool {
        let (place, uses) = split(number);
        let closed = {
            let Places { all, free } = &mut *self.places.borrow_mut();
            let Some(slot) = all.get_mut(place).filter(|slot| u64::from(slot.uses) == uses) else {
                return false;
            };
            let Some(open) = slot.open.take() else { return false };
            slot.uses = slot.uses.wrapping_add(1);
            free.push(place);
            open
        };
        drop(closed);
        true
    }

    /// Runs `body` with the cache of this number.
    pub(crate) fn with<R>(
        &self,
        number: u64,
        body: impl FnOnce(&Open) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        self.with_opened(number, |opened| body(&opened.cache))
    }

    /// Runs `body` with what was opened by this number.
    pub(crate) fn with_opened<R>(
        &self,
        number: u64,
        body: impl FnOnce(&Opened) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let (place, uses) = split(number);
        let places = self.places.borrow();
        match places.all.get(place) {
            Some(Place { uses: now, open: Some(open) }) if u64::from(*now) == uses => body(open),
            _ => Err(Failure::closed()),
        }
    }
}

impl Environment {
    /// Notes that the fallback engine has a name open here.
    pub(crate) fn reserve(&self, name: Name) {
        if self.reserved.borrow_mut().insert(name.clone()) {
            registry::reserve(name);
        }
    }

    /// Notes that it has not any more.
    pub(crate) fn unreserve(&self, name: &Name) {
        if self.reserved.borrow_mut().remove(name) {
            registry::unreserve(name);
        }
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.reserved.borrow().iter().for_each(registry::unreserve);
    }
}

/// Frees the state of an environment that ends.
unsafe extern "C" fn release(data: *mut c_void) {
    // SAFETY: `install` made the pointer from a box and gave it to this hook alone, and Node runs the hook
    // once, after the last JavaScript of the environment.
    drop(unsafe { Box::from_raw(data.cast::<Environment>()) });
}

/// Makes the state of an environment and puts the calls that use it on `exports`.
pub(crate) fn install(env: sys::napi_env, exports: sys::napi_value) -> napi::Result<()> {
    let fail = |failure: Failure| napi::Error::from_reason(failure.message);
    let state = Box::into_raw(Box::new(Environment {
        places: RefCell::default(),
        key: RefCell::new(TextBuffer::new()),
        value: RefCell::new(TextBuffer::new()),
        reserved: RefCell::default(),
        report: Arc::default(),
    }));
    // SAFETY: `state` stays valid until the hook has run.
    check(unsafe { sys::napi_add_env_cleanup_hook(env, Some(release), state.cast()) }).map_err(fail)?;
    let calls = [
        hot::CALLS,
        atomic::CALLS,
        near::CALLS,
        bulk::CALLS,
        loading::CALLS,
        cold::CALLS,
        counters::CALLS,
        follow::CALLS,
        sharing::CALLS,
        records::CALLS,
    ];
    for (name, call) in calls.into_iter().flatten() {
        let text = CString::new(*name).unwrap_or_default();
        let mut function = ptr::null_mut();
        // SAFETY: `name` ends in NUL; the function is never called after the environment's end, and so not
        // after `state` is gone.
        unsafe {
            check(sys::napi_create_function(
                env,
                text.as_ptr(),
                name.len().cast_signed(),
                Some(*call),
                state.cast(),
                &raw mut function,
            ))
            .map_err(fail)?;
            check(sys::napi_set_named_property(env, exports, text.as_ptr(), function)).map_err(fail)?;
        }
    }
    Ok(())
}
