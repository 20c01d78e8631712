//! The locks and atomics of what `loom` and `shuttle` explore: their own under them, and `parking_lot` and the
//! standard library otherwise.

pub(crate) mod thread_slot;

pub(crate) use std::sync::atomic::Ordering;

#[cfg(not(any(loom, shuttle)))]
pub(crate) use parking_lot::{Mutex, MutexGuard};
#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64};
#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::thread::yield_now;

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64};
#[cfg(loom)]
pub(crate) use loom::thread::yield_now;

#[cfg(shuttle)]
pub(crate) use shuttle::sync::atomic::{AtomicU32, AtomicU64};
#[cfg(shuttle)]
pub(crate) use shuttle::thread::yield_now;

#[cfg(any(loom, shuttle))]
mod explored {
    #[cfg(loom)]
    use loom::sync as explorer;
    #[cfg(shuttle)]
    use shuttle::sync as explorer;

    pub(crate) use explorer::MutexGuard;

    /// The explorer's lock with the face of `parking_lot`'s.
    #[derive(Default)]
    pub(crate) struct Mutex<T>(explorer::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(explorer::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(|_| unreachable!("a panic ends the exploration"))
        }
    }
}
#[cfg(any(loom, shuttle))]
pub(crate) use explored::{Mutex, MutexGuard};
