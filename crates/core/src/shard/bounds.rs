//! The two bounds: how many entries and how many bytes are held.

use crossbeam_utils::CachePadded;

use crate::options::Options;
use crate::sync::{AtomicU64, Ordering};

/// Which bound stood in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Entries,
    Bytes,
}

/// Counts what is held. Reservation is reserved before it is used, so the counts never exceed the bounds, not
/// even for an instant between two threads.
pub(crate) struct Bounds {
    max_entries: u64,
    max_bytes: u64,
    max_entry_bytes: u64,
    entries: CachePadded<AtomicU64>,
    bytes: CachePadded<AtomicU64>,
}

fn reserve(count: &AtomicU64, more: u64, max: u64) -> bool {
    count
        .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |held| {
            held.checked_add(more).filter(|&sum| sum <= max)
        })
        .is_ok()
}

impl Bounds {
    pub(crate) fn new(options: &Options) -> Self {
        let max_bytes = options.max_bytes.unwrap_or(u64::MAX);
        Self {
            max_entries: options.max_entries.map_or(u64::MAX, |max| max as u64),
            max_bytes,
            max_entry_bytes: options.max_entry_bytes.unwrap_or(max_bytes).min(max_bytes),
            entries: CachePadded::new(AtomicU64::new(0)),
            bytes: CachePadded::new(AtomicU64::new(0)),
        }
    }

    pub(crate) fn entries(&self) -> u64 {
        self.entries.load(Ordering::Acquire)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Acquire)
    }

    /// Whether an entry of `bytes` can ever fit.
    pub(crate) fn admits(&self, bytes: u64) -> bool {
        bytes <= self.max_entry_bytes
    }

    /// The bound that stands in the way of one more entry of `bytes` at this moment.
    pub(crate) fn obstacle(&self, bytes: u64) -> Option<Bound> {
        if self.entries.load(Ordering::Relaxed) >= self.max_entries {
            return Some(Bound::Entries);
        }
        let held = self.bytes.load(Ordering::Relaxed);
        (held.saturating_add(bytes) > self.max_bytes).then_some(Bound::Bytes)
    }

    /// Whether more than an eighth of a bound is used. Before that, nothing that is there is evicted for long.
    pub(crate) fn is_filling(&self) -> bool {
        self.entries.load(Ordering::Relaxed) > self.max_entries / 8 || self.is_filling_with_bytes()
    }

    /// The same of the bytes alone.
    pub(crate) fn is_filling_with_bytes(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.max_bytes / 8
    }

    /// Gives back what an entry of `from` bytes no longer needs after it became one of `to` bytes.
    pub(crate) fn shrunk(&self, from: u64, to: u64) {
        if from > to {
            self.bytes.fetch_sub(from - to, Ordering::AcqRel);
        }
    }

    /// Gives back `entries` entries of `bytes` together.
    pub(crate) fn release(&self, entries: u64, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.entries.fetch_sub(entries, Ordering::AcqRel);
    }

    #[cfg(any(test, feature = "validate"))]
    pub(crate) fn validate(&self) {
        assert!(self.entries() <= self.max_entries, "the entry bound holds");
        assert!(self.bytes() <= self.max_bytes, "the byte bound holds");
    }
}

/// Reservation that is reserved and not in use: what a write needs, or what an eviction left. What is left of it is
/// given back when it goes.
pub(crate) struct Reservation<'a> {
    bounds: &'a Bounds,
    entries: u64,
    bytes: u64,
}

impl<'a> Reservation<'a> {
    pub(crate) fn new(bounds: &'a Bounds) -> Self {
        Self { bounds, entries: 0, bytes: 0 }
    }

    /// Adds the room of an entry of `bytes` that was evicted.
    pub(crate) fn add_entry(&mut self, bytes: u64) {
        self.entries += 1;
        self.bytes += bytes;
    }

    /// Makes sure of room for one more entry of `bytes`, or says which bound forbids it.
    pub(crate) fn reserve_entry(&mut self, bytes: u64) -> Result<(), Bound> {
        if self.entries == 0 {
            if !reserve(&self.bounds.entries, 1, self.bounds.max_entries) {
                return Err(Bound::Entries);
            }
            self.entries = 1;
        }
        self.reserve_bytes(bytes)
    }

    /// Makes sure of room for `bytes`, or says which bound forbids it.
    pub(crate) fn reserve_bytes(&mut self, bytes: u64) -> Result<(), Bound> {
        if self.bytes < bytes {
            if !reserve(&self.bounds.bytes, bytes - self.bytes, self.bounds.max_bytes) {
                return Err(Bound::Bytes);
            }
            self.bytes = bytes;
        }
        Ok(())
    }

    /// Puts to use what was reserved.
    pub(crate) fn use_entry(&mut self, bytes: u64) {
        self.entries -= 1;
        self.bytes -= bytes;
    }

    /// Puts to use what was reserved for the growth of an entry.
    pub(crate) fn use_bytes(&mut self, bytes: u64) {
        self.bytes -= bytes;
    }

    /// Gives back what is reserved, for others who wait for room, too.
    pub(crate) fn release(&mut self) {
        if self.bytes > 0 {
            self.bounds.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        }
        if self.entries > 0 {
            self.bounds.entries.fetch_sub(self.entries, Ordering::AcqRel);
        }
        (self.entries, self.bytes) = (0, 0);
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.release();
    }
}
