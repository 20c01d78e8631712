//! Counters of what happened, spread so that threads do not fight for a cache line.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use crate::sync::thread_slot::{THREAD_SLOTS, ThreadSlot};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $event:ident,)*) => {
        /// What happened in a cache since it was made or since
        /// [`reset_stats`](crate::Cache::reset_stats).
        ///
        /// Each event is counted once, in the order of a single thread exactly, and between threads as soon
        /// as the operation has returned; hits on copies as soon as they are reported.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats { $($(#[$doc])* pub $name: u64,)* }

        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Event { $($event,)* }

        const EVENTS: usize = [$(Event::$event,)*].len();

        impl Stats {
            fn from_counts(counts: [u64; EVENTS]) -> Self {
                Self { $($name: counts[Event::$event as usize],)* }
            }
        }
    };
}

counters! {
    /// Reads that found a live entry.
    hits = Hit,
    /// Those of them that were answered from a copy and reported with [`count_hits`](crate::Cache::count_hits).
    near_hits = NearHit,
    /// Reads that found none.
    misses = Miss,
    /// Values stored, new or over an older one.
    sets = Set,
    /// Live entries removed by `remove` or `take`.
    deletes = Delete,
    /// Live entries removed by `clear`.
    cleared = Clear,
    /// Live entries evicted because `max_entries` was reached.
    evictions_by_entries = EvictForEntries,
    /// Live entries evicted because `max_bytes` was reached.
    evictions_by_bytes = EvictForBytes,
    /// Entries removed because their TTL had passed.
    expirations = Expire,
    /// Entries removed because a tag of theirs had been invalidated.
    invalidations = Invalidate,
    /// Values refused because they were larger than `max_entry_bytes`.
    rejections = Reject,
    /// Values refused because their key or a tag of theirs changed after their fence.
    fenced = Fence,
}

pub(crate) struct Counters {
    threads: Box<[CachePadded<[AtomicU64; EVENTS]>]>,
    /// The counts at the last reset; they are subtracted rather than cleared, so that no event is lost.
    baseline: Mutex<[u64; EVENTS]>,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            threads: std::iter::repeat_with(CachePadded::default).take(THREAD_SLOTS).collect(),
            baseline: Mutex::new([0; EVENTS]),
        }
    }

    /// Counts one event, for a caller who knows its slot.
    pub(crate) fn count_in(&self, thread: ThreadSlot, event: Event) {
        thread.add(&self.threads[thread.index()][event as usize], 1);
    }

    pub(crate) fn add(&self, event: Event, times: u64) {
        let thread = ThreadSlot::current();
        thread.add(&self.threads[thread.index()][event as usize], times);
    }

    fn totals(&self) -> [u64; EVENTS] {
        std::array::from_fn(|event| {
            self.threads.iter().map(|thread| thread[event].load(Ordering::Relaxed)).sum()
        })
    }

    pub(crate) fn read(&self) -> Stats {
        let baseline = self.baseline.lock();
        let totals = self.totals();
        Stats::from_counts(std::array::from_fn(|event| totals[event] - baseline[event]))
    }

    pub(crate) fn reset(&self) {
        let mut baseline = self.baseline.lock();
        *baseline = self.totals();
    }
}

/// The counters of a part of a cache. Many may be there, so that the threads share them.
#[derive(Default)]
pub(crate) struct Tally {
    counts: [AtomicU64; EVENTS],
    /// As that of [`Counters`].
    baseline: Mutex<[u64; EVENTS]>,
}

impl Tally {
    pub(crate) fn add(&self, event: Event, times: u64) {
        self.counts[event as usize].fetch_add(times, Ordering::Relaxed);
    }

    fn totals(&self) -> [u64; EVENTS] {
        std::array::from_fn(|event| self.counts[event].load(Ordering::Relaxed))
    }

    pub(crate) fn read(&self) -> Stats {
        let baseline = self.baseline.lock();
        let totals = self.totals();
        Stats::from_counts(std::array::from_fn(|event| totals[event] - baseline[event]))
    }

    pub(crate) fn reset(&self) {
        let mut baseline = self.baseline.lock();
        *baseline = self.totals();
    }
}
