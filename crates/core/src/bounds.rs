//! The two bounds: how many entries and how many bytes are held.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Options;

/// The bytes charged for an entry beyond its key, its value and four bytes a tag.
///
/// It stands for the header (56), the places in the table (up to 21), in the slab and the queue (16) and in the
/// timer wheel (8), and for what the allocator adds and cannot use.
pub const ENTRY_OVERHEAD: u64 = 136;

/// Which bound stood in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    Entries,
    Bytes,
}

/// Counts what is held. Room is reserved before it is used, so the counts never exceed the bounds, not
/// even for an instant between two threads.
pub(crate) struct Bounds {
    max_entries: u64,
    max_bytes: u64,
    max_entry_bytes: u64,
    entries: AtomicU64,
    bytes: AtomicU64,
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
            entries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
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

    /// Reserves room for one more entry of `bytes`, or says which bound forbids it and changes nothing.
    pub(crate) fn reserve_entry(&self, bytes: u64) -> Result<(), Bound> {
        if !reserve(&self.entries, 1, self.max_entries) {
            return Err(Bound::Entries);
        }
        if !reserve(&self.bytes, bytes, self.max_bytes) {
            self.entries.fetch_sub(1, Ordering::AcqRel);
            return Err(Bound::Bytes);
        }
        Ok(())
    }

    /// Reserves what an entry of `from` bytes needs to become one of `to` bytes. A smaller entry needs
    /// nothing now; its surplus is given back with [`Bounds::shrunk`] once it has been replaced.
    pub(crate) fn reserve_growth(&self, from: u64, to: u64) -> Result<(), Bound> {
        if to > from && !reserve(&self.bytes, to - from, self.max_bytes) {
            return Err(Bound::Bytes);
        }
        Ok(())
    }

    /// Gives back what an entry of `from` bytes no longer needs after it became one of `to` bytes.
    pub(crate) fn shrunk(&self, from: u64, to: u64) {
        if from > to {
            self.bytes.fetch_sub(from - to, Ordering::AcqRel);
        }
    }

    /// Gives back one entry of `bytes`.
    pub(crate) fn release_entry(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.entries.fetch_sub(1, Ordering::AcqRel);
    }

    /// Gives everything back and returns how many entries that was. No write is under way.
    pub(crate) fn release_all(&self) -> u64 {
        self.bytes.store(0, Ordering::Release);
        self.entries.swap(0, Ordering::AcqRel)
    }

    #[cfg(any(test, feature = "validate"))]
    pub(crate) fn validate(&self) {
        assert!(self.entries() <= self.max_entries, "the entry bound holds");
        assert!(self.bytes() <= self.max_bytes, "the byte bound holds");
    }
}
