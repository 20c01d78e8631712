//! The clock of recency: numbers that rise with every use of an entry.
//!
//! A thread draws them in blocks, for one counter that all threads advance at every hit would cost more than the
//! rest of the hit. The numbers of one thread rise without exception; those of two threads may be out of order
//! by as much as [`LAG`].

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use crate::lanes::{LANES, Lane};

/// Ticks drawn at a time.
const BLOCK: u64 = 64;
/// A thread drops what is left of its block when the others are this far ahead.
const LAG: u64 = 16 * BLOCK;

#[derive(Default)]
struct Block {
    next: AtomicU64,
    end: AtomicU64,
}

pub(crate) struct Ticks {
    /// The largest tick in any block.
    drawn: CachePadded<AtomicU64>,
    blocks: Box<[CachePadded<Block>]>,
}

impl Ticks {
    pub(crate) fn new() -> Self {
        Self {
            drawn: CachePadded::default(),
            blocks: std::iter::repeat_with(CachePadded::default).take(LANES).collect(),
        }
    }

    /// The tick of this moment, 1 or more.
    pub(crate) fn next(&self, lane: Lane) -> u64 {
        if !lane.is_own() {
            return self.drawn.fetch_add(1, Ordering::Relaxed) + 1;
        }
        let block = &self.blocks[lane.index()];
        let (next, end) = (block.next.load(Ordering::Relaxed), block.end.load(Ordering::Relaxed));
        if next < end && self.drawn.load(Ordering::Relaxed).saturating_sub(end) <= LAG {
            block.next.store(next + 1, Ordering::Relaxed);
            return next;
        }
        let first = self.drawn.fetch_add(BLOCK, Ordering::Relaxed) + 1;
        block.next.store(first + 1, Ordering::Relaxed);
        block.end.store(first + BLOCK, Ordering::Relaxed);
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_a_thread_rise_and_no_two_are_equal() {
        let ticks = Ticks::new();
        let all = parking_lot::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let own: Vec<u64> = (0..5_000).map(|_| ticks.next(Lane::current())).collect();
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
    fn a_thread_that_slept_does_not_go_on_with_old_ticks() {
        let ticks = Ticks::new();
        let first = ticks.next(Lane::current());
        std::thread::scope(|scope| {
            scope.spawn(|| (0..10_000).map(|_| ticks.next(Lane::current())).max());
        });
        assert!(ticks.next(Lane::current()) > first + 9_000);
    }
}
