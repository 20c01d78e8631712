//! Namespaces: parts of a cache that are counted, cleared and measured by themselves.
//!
//! An entry carries the number of its namespace, and is one of it as long as it was written after the namespace
//! was last cleared. What was written before stays in memory, unreadable and uncounted, until it is overwritten,
//! evicted or expires, so that clearing visits no entry.

use std::collections::HashMap;
use std::sync::OnceLock;

use parking_lot::Mutex;

use crate::cache::{Cache, charge};
use crate::shard::SHARDS;
use crate::shard::entry::EntryRef;
use crate::stats::{Event, Stats, Tally};
use crate::sync::thread_slot::ThreadSlot;
use crate::sync::{AtomicU64, Ordering};
use crate::time::clock::Clock;
use crate::{Error, Key};

/// The most namespaces of one cache.
pub const MAX_NAMESPACES: usize = u16::MAX as usize;

/// A namespace of a cache, as [`Cache::namespace`] gives it; by default the root, which has no name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Space(u16);

impl Space {
    /// Where keys are that belong to no namespace.
    pub const ROOT: Self = Self(0);

    pub(crate) fn number(self) -> u16 {
        self.0
    }

    pub(crate) fn of_number(number: u16) -> Self {
        Self(number)
    }
}

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

pub(crate) struct Spaces {
    /// The number of each name, counted from 1.
    numbers: Mutex<HashMap<Name, u16>>,
    /// By number, in chunks that never move, for whoever holds no lock.
    chunks: [OnceLock<Box<[State]>>; CHUNKS],
    /// Entries that were counted out by a clearing and are still in memory.
    leftovers: AtomicU64,
}

impl Spaces {
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
        let at = usize::from(space.0) + FIRST;
        let chunk = (at / FIRST).ilog2();
        let first = FIRST << chunk;
        let make = || std::iter::repeat_with(State::default).take(first).collect();
        Some(&self.chunks[chunk as usize].get_or_init(make)[at - first])
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
            state.bytes.fetch_sub(charge(entry), Ordering::Relaxed);
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
            .map(Space)
            .filter(|space| {
                self.chunks[((usize::from(space.0) + FIRST) / FIRST).ilog2() as usize].get().is_some()
            })
            .filter_map(|space| {
                let state = self.state(space)?;
                let held = (state.entries.load(Ordering::Relaxed), state.bytes.load(Ordering::Relaxed));
                (held != (0, 0)).then_some((space, held))
            })
            .collect()
    }
}

impl<C: Clock> Cache<C> {
    /// The namespace of this name: the same one each time, as long as the cache lives. Its keys are apart from
    /// those of the root and of every other namespace. The space in `name` itself does not matter.
    ///
    /// # Errors
    /// [`Error::TooManyNamespaces`]
    pub fn namespace(&self, name: Key<'_>) -> Result<Space, Error> {
        let mut numbers = self.spaces.numbers.lock();
        let known = (Box::from(name.bytes), name.domain);
        if let Some(&number) = numbers.get(&known) {
            return Ok(Space(number));
        }
        let number = u16::try_from(numbers.len() + 1).map_err(|_| Error::TooManyNamespaces)?;
        numbers.insert(known, number);
        Ok(Space(number))
    }

    /// Empties a namespace at one moment for all threads, in a time that does not grow with the number of entries.
    /// Values of it whose load began before are refused from now on. The memory is reclaimed as entries are
    /// overwritten, expire or are evicted; until then [`Cache::len`] and [`Cache::bytes`] count them. For the root,
    /// this is [`Cache::clear`].
    pub fn clear_namespace(&self, space: Space) {
        let Some(state) = self.spaces.state(space) else { return self.clear() };
        // With all shards locked nothing is written or removed, so that the counts are those of this moment.
        let shards: Vec<_> = (0..SHARDS).map(|number| self.shards.lock(number)).collect();
        self.fence.clear_space(&state.cleared);
        let count = state.entries.swap(0, Ordering::Relaxed);
        state.bytes.store(0, Ordering::Relaxed);
        self.spaces.leftovers.fetch_add(count, Ordering::Relaxed);
        drop(shards);
        self.stats.add(Event::Clear, count);
        state.tally.add(Event::Clear, count);
    }

    /// How many entries a namespace has, counted as by [`Cache::len`]; those of the whole cache for the root.
    #[must_use]
    pub fn namespace_len(&self, space: Space) -> usize {
        let Some(state) = self.spaces.state(space) else { return self.len() };
        usize::try_from(state.entries.load(Ordering::Acquire)).unwrap_or(usize::MAX)
    }

    /// How many bytes are charged for them; for those of the whole cache for the root.
    #[must_use]
    pub fn namespace_bytes(&self, space: Space) -> u64 {
        self.spaces.state(space).map_or_else(|| self.bytes(), |state| state.bytes.load(Ordering::Acquire))
    }

    /// What happened in a namespace so far; in the whole cache for the root.
    #[must_use]
    pub fn namespace_stats(&self, space: Space) -> Stats {
        self.spaces.state(space).map_or_else(|| self.stats(), |state| state.tally.read())
    }

    /// Starts the statistics of a namespace from zero; those of the whole cache for the root.
    pub fn reset_namespace_stats(&self, space: Space) {
        self.spaces.state(space).map_or_else(|| self.reset_stats(), |state| state.tally.reset());
    }

    /// Counts an event of a namespace, and of the cache.
    pub(crate) fn count(&self, space: Space, thread: ThreadSlot, event: Event) {
        self.stats.count_in(thread, event);
        self.spaces.count(space, event, 1);
    }
}
