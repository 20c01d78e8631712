//! Namespaces: parts of a cache that are counted, cleared and measured by themselves.
//!
//! An entry carries the number of its namespace, and is one of it as long as it was written after the namespace
//! was last cleared. What was written before stays in memory, unreadable and uncounted, until it is overwritten,
//! evicted or expires, so that clearing visits no entry.

use std::collections::HashMap;
use std::sync::OnceLock;

use parking_lot::Mutex;

use crate::error::Error;
use crate::key::{Key, Space};
use crate::shard::entry::EntryRef;
use crate::stats::{Event, Stats, Tally};
use crate::sync::{AtomicU64, Ordering};

/// What is known of one namespace. `entries` and `bytes` change under the lock of an entry's shard.
#[derive(Default)]
struct State {
    /// The sequence of the last clearing; changed with all shards locked.
    cleared: AtomicU64,
    entries: AtomicU64,
    bytes: AtomicU64,
    tally: Tally,
}

/// A name as the bytes and the domain of its key.
type Name = (Box<[u8]>, u8);

/// States of the first chunk; each chunk has twice as many as the one before.
const FIRST: usize = 8;
/// Chunks enough for all numbers.
const CHUNKS: usize = 14;

pub(crate) struct Namespaces {
    /// The number of each name, counted from 1.
    numbers: Mutex<HashMap<Name, u16>>,
    /// By number, in chunks that never move, for whoever holds no lock.
    chunks: [OnceLock<Box<[State]>>; CHUNKS],
    /// Entries that were counted out by a clearing and are still in memory.
    leftovers: AtomicU64,
}

impl Namespaces {
    pub(crate) fn new() -> Self {
        Self {
            numbers: Mutex::default(),
            chunks: std::array::from_fn(|_| OnceLock::new()),
            leftovers: AtomicU64::new(0),
        }
    }

    /// The state of a namespace; `None` for the root.
    fn state(&self, space: Space) -> Option<&State> {
        if space == Space::ROOT {
            return None;
        }
        let at = usize::from(space.number()) + FIRST;
        let chunk = (at / FIRST).ilog2();
        let first = FIRST << chunk;
        let make = || std::iter::repeat_with(State::default).take(first).collect();
        Some(&self.chunks[chunk as usize].get_or_init(make)[at - first])
    }

    /// The namespace of this name.
    pub(crate) fn of(&self, name: Key<'_>) -> Result<Space, Error> {
        let mut numbers = self.numbers.lock();
        let known = (Box::from(name.bytes), name.domain);
        if let Some(&number) = numbers.get(&known) {
            return Ok(Space::of_number(number));
        }
        let number = u16::try_from(numbers.len() + 1).map_err(|_| Error::TooManyNamespaces)?;
        numbers.insert(known, number);
        Ok(Space::of_number(number))
    }

    /// The sequence of the last clearing of a namespace alone.
    pub(crate) fn cleared(&self, space: Space) -> u64 {
        self.state(space).map_or(0, |state| state.cleared.load(Ordering::SeqCst))
    }

    /// Whether the entry was written before its namespace was last cleared.
    pub(crate) fn is_cleared(&self, entry: &EntryRef) -> bool {
        let space = entry.space();
        space != Space::ROOT && entry.written() <= self.cleared(space)
    }

    /// Counts an entry of `bytes` in. The caller has its shard locked, as for the next two.
    pub(crate) fn entered(&self, space: Space, bytes: u64) {
        if let Some(state) = self.state(space) {
            state.entries.fetch_add(1, Ordering::Relaxed);
            state.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Counts an entry that leaves the cache out; says whether it was counted.
    pub(crate) fn left(&self, entry: &EntryRef) -> bool {
        let Some(state) = self.state(entry.space()) else { return true };
        let counted = !self.is_cleared(entry);
        if counted {
            state.entries.fetch_sub(1, Ordering::Relaxed);
            state.bytes.fetch_sub(entry.charge(), Ordering::Relaxed);
        } else {
            self.leftovers.fetch_sub(1, Ordering::Relaxed);
        }
        counted
    }

    /// Follows an entry of `from` bytes that was overwritten by one of `to` bytes; it may have been left over from a
    /// clearing.
    pub(crate) fn overwritten(&self, space: Space, was_cleared: bool, from: u64, to: u64) {
        let Some(state) = self.state(space) else { return };
        if was_cleared {
            self.leftovers.fetch_sub(1, Ordering::Relaxed);
            self.entered(space, to);
        } else {
            // Modulo 2^64, like the sum.
            state.bytes.fetch_add(to.wrapping_sub(from), Ordering::Relaxed);
        }
    }

    pub(crate) fn count(&self, space: Space, event: Event, times: u64) {
        if let Some(state) = self.state(space) {
            state.tally.add(event, times);
        }
    }

    /// Counts out all entries of a namespace and says how many there were; `clear` gives its clearing a number. The caller
    /// has all shards locked. `None` for the root.
    pub(crate) fn clear(&self, space: Space, clear: impl FnOnce(&AtomicU64)) -> Option<u64> {
        let state = self.state(space)?;
        clear(&state.cleared);
        let count = state.entries.swap(0, Ordering::Relaxed);
        state.bytes.store(0, Ordering::Relaxed);
        self.leftovers.fetch_add(count, Ordering::Relaxed);
        Some(count)
    }

    /// How many entries a namespace has; `None` for the root, as for the next three.
    pub(crate) fn len(&self, space: Space) -> Option<u64> {
        Some(self.state(space)?.entries.load(Ordering::Acquire))
    }

    /// How many bytes are charged for them.
    pub(crate) fn bytes(&self, space: Space) -> Option<u64> {
        Some(self.state(space)?.bytes.load(Ordering::Acquire))
    }

    pub(crate) fn stats(&self, space: Space) -> Option<Stats> {
        Some(self.state(space)?.tally.read())
    }

    pub(crate) fn reset_stats(&self, space: Space) -> Option<()> {
        self.state(space).map(|state| state.tally.reset())
    }

    /// Counts everything out; says how many entries had been counted out before. The caller has all shards locked.
    pub(crate) fn emptied(&self) -> u64 {
        for state in self.chunks.iter().filter_map(OnceLock::get).flatten() {
            let entries = state.entries.swap(0, Ordering::Relaxed);
            state.bytes.store(0, Ordering::Relaxed);
            state.tally.add(Event::Clear, entries);
        }
        self.leftovers.swap(0, Ordering::Relaxed)
    }

    /// Entries that were counted out and are still in memory.
    #[cfg(any(test, feature = "validate"))]
    pub(crate) fn leftovers(&self) -> u64 {
        self.leftovers.load(Ordering::Relaxed)
    }

    /// The entries and bytes of each namespace, the empty ones left out.
    #[cfg(any(test, feature = "validate"))]
    pub(crate) fn held(&self) -> HashMap<Space, (u64, u64)> {
        (1..=u16::MAX)
            .map(Space::of_number)
            .filter(|space| {
                self.chunks[((usize::from(space.number()) + FIRST) / FIRST).ilog2() as usize].get().is_some()
            })
            .filter_map(|space| {
                let state = self.state(space)?;
                let held = (state.entries.load(Ordering::Relaxed), state.bytes.load(Ordering::Relaxed));
                (held != (0, 0)).then_some((space, held))
            })
            .collect()
    }
}
