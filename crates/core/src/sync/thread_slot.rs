//! Thread slots: places in arrays of per-thread state, so that threads do not fight for a cache line.
//!
//! A thread keeps its slot to itself as long as it lives, and may then update what lies there by a plain load
//! and store. When all slots are taken, further threads share the last one and update it atomically.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

pub(crate) const THREAD_SLOTS: usize = 32;

/// The slot of threads that have none of their own.
const SHARED: usize = THREAD_SLOTS - 1;
const NONE: usize = usize::MAX;

/// Which slots belong to a thread, a bit each.
static TAKEN: AtomicU32 = AtomicU32::new(1 << SHARED);

/// The slot of a thread, which goes back with it.
struct Own(Cell<usize>);

impl Drop for Own {
    fn drop(&mut self) {
        let slot = self.0.get();
        if slot < SHARED {
            // Pairs with the `Acquire` of the next owner, who goes on from what was stored here.
            TAKEN.fetch_and(!(1 << slot), Ordering::Release);
        }
    }
}

thread_local! {
    static OWN: Own = const { Own(Cell::new(NONE)) };
}

#[cold]
fn take() -> usize {
    let free = |taken: u32| Some(taken | 1 << taken.trailing_ones().min(u32::BITS - 1));
    let before = TAKEN.fetch_update(Ordering::Acquire, Ordering::Relaxed, free);
    before.map_or(SHARED, |before| before.trailing_ones() as usize).min(SHARED)
}

/// The slot of the running thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThreadSlot(usize);

impl ThreadSlot {
    pub(crate) fn current() -> Self {
        // A thread that is ending has given its slot back.
        let slot = OWN.try_with(|own| {
            if own.0.get() == NONE {
                own.0.set(take());
            }
            own.0.get()
        });
        Self(slot.unwrap_or(SHARED))
    }

    pub(crate) fn index(self) -> usize {
        self.0
    }

    pub(crate) fn is_own(self) -> bool {
        self.0 < SHARED
    }

    /// Adds to a number of this slot.
    pub(crate) fn add(self, number: &AtomicU64, more: u64) {
        if self.is_own() {
            number.store(number.load(Ordering::Relaxed) + more, Ordering::Relaxed);
        } else {
            number.fetch_add(more, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_threads_have_one_lane_of_their_own_and_all_come_back() {
        let before = TAKEN.load(Ordering::SeqCst).count_ones();
        let numbers: Vec<AtomicU64> = (0..THREAD_SLOTS).map(|_| AtomicU64::new(0)).collect();
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..2 * THREAD_SLOTS {
                    scope.spawn(|| {
                        for _ in 0..2_000 {
                            let thread = ThreadSlot::current();
                            thread.add(&numbers[thread.index()], 1);
                        }
                    });
                }
            });
        }
        let sum: u64 = numbers.iter().map(|number| number.load(Ordering::SeqCst)).sum();
        assert_eq!(sum, 3 * 2 * THREAD_SLOTS as u64 * 2_000);
        // Other tests of this process take and give back slots of their own.
        while TAKEN.load(Ordering::SeqCst).count_ones() > before + 8 {
            std::thread::yield_now();
        }
    }
}
