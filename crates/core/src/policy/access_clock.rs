//! The clock of recency: numbers that rise with every use of an entry.
//!
//! A thread draws them in blocks, for one counter that all threads advance at every hit would cost more than the
//! rest of the hit. The numbers of one thread rise without exception; those of two threads may be out of order, by as
//! little of the cache as [`PART`] says.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use crate::sync::thread_slot::{THREAD_SLOTS, ThreadSlot};

/// The most ticks drawn at a time.
const MOST: u64 = 64;
/// Entries of a full cache for each tick of a block.
const PART: u64 = 1_024;
/// A thread drops what is left of its block when the others are this many blocks ahead.
const LAG: u64 = 4;

#[derive(Default)]
struct Block {
    next: AtomicU64,
    end: AtomicU64,
}

pub(crate) struct AccessClock {
    /// The largest tick in any block.
    drawn: CachePadded<AtomicU64>,
    blocks: Box<[CachePadded<Block>]>,
    /// Ticks drawn at a time.
    block: u64,
}

impl AccessClock {
    /// The ticks of a cache of up to `max` entries.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            block: (max as u64 / PART).clamp(1, MOST),
            drawn: CachePadded::default(),
            blocks: std::iter::repeat_with(CachePadded::default).take(THREAD_SLOTS).collect(),
        }
    }

    /// The tick of this moment, 1 or more.
    pub(crate) fn next(&self, thread: ThreadSlot) -> u64 {
        if self.block == 1 || !thread.is_own() {
            return self.drawn.fetch_add(1, Ordering::Relaxed) + 1;
        }
        let block = &self.blocks[thread.index()];
        let (next, end) = (block.next.load(Ordering::Relaxed), block.end.load(Ordering::Relaxed));
        if next < end && self.drawn.load(Ordering::Relaxed).saturating_sub(end) <= LAG * self.block {
            block.next.store(next + 1, Ordering::Relaxed);
            return next;
        }
        let first = self.drawn.fetch_add(self.block, Ordering::Relaxed) + 1;
        block.next.store(first + 1, Ordering::Relaxed);
        block.end.store(first + self.block, Ordering::Relaxed);
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_a_thread_rise_and_no_two_are_equal() {
        let ticks = AccessClock::new(1 << 20);
        let all = parking_lot::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let own: Vec<u64> = (0..5_000).map(|_| ticks.next(ThreadSlot::current())).collect();
                    assert!(own.is_sorted());
                    all.lock().extend(own);
                });
            }
        });
        let mut all = all.into_inner();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 20_000);
    }

    #[test]
    fn ticks_of_a_small_cache_are_in_the_order_in_which_they_are_drawn() {
        let ticks = AccessClock::new(1_000);
        for tick in 1..100 {
            assert_eq!(
                std::thread::scope(|scope| scope.spawn(|| ticks.next(ThreadSlot::current())).join().unwrap()),
                2 * tick - 1
            );
            assert_eq!(ticks.next(ThreadSlot::current()), 2 * tick);
        }
    }

    #[test]
    fn a_thread_that_slept_does_not_go_on_with_old_ticks() {
        let ticks = AccessClock::new(1 << 20);
        let first = ticks.next(ThreadSlot::current());
        std::thread::scope(|scope| {
            scope.spawn(|| (0..10_000).map(|_| ticks.next(ThreadSlot::current())).max());
        });
        assert!(ticks.next(ThreadSlot::current()) > first + 9_000);
    }
}
