//! The cache itself: what a caller sees of the table, the shards, the bounds and the fence.

mod copies;
mod evict;
mod increment;
pub(crate) mod insert;
mod loading;
pub(crate) mod maintenance;
mod namespaces;
mod read;
mod remove;
mod touch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::coherence::fence::Fence;
use crate::coherence::follow::{Follow, Taken};
use crate::coherence::leases::Leases;
use crate::coherence::words::Words;
use crate::error::Error;
use crate::key::Key;
use crate::namespaces::Namespaces;
use crate::options::Options;
use crate::policy::Policy;
use crate::policy::access_clock::AccessClock;
use crate::shard::bounds::Bounds;
use crate::shard::entry::{ENTRY_OVERHEAD, EntryRef, NEVER};
use crate::shard::locks::Shards;
use crate::shard::table::Table;
use crate::stats::{Counters, Event, Stats};
use crate::sync::thread_slot::ThreadSlot;
use crate::time::clock::{Clock, MonotonicClock};

/// The longest TTL in ms of an entry of a tiered cache.
const MOST_TIERED_TTL: u64 = 30 * 24 * 3_600_000;

/// A bounded map from byte strings to byte strings, for any number of threads.
///
/// Reads take a segment of the table for as long as it takes to count a reference up, and no other lock.
/// Writes take one of a few shard locks. No call does work that grows with the number of entries; what
/// [`Cache::clear`] and dropping a large cache set free is returned to the allocator by a thread of its own.
pub struct Cache<C = MonotonicClock> {
    table: Table,
    shards: Shards,
    bounds: Bounds,
    fence: Fence,
    stats: Counters,
    access_clock: AccessClock,
    policy: Policy,
    clock: C,
    /// What the clock showed when the cache was made. Deadlines count from there.
    origin: u64,
    /// Whether any entry ever had a deadline, and the time bears on anything.
    is_timed: AtomicBool,
    leases: Leases,
    default_ttl_ms: Option<u64>,
    /// Whether a hit moves the deadline.
    slides: bool,
    namespaces: Namespaces,
    follow: Follow,
}

impl Cache {
    /// An empty cache on the system's clock.
    ///
    /// # Errors
    /// [`Error::InvalidOption`]
    pub fn new(options: Options) -> Result<Self, Error> {
        Self::with_clock(options, MonotonicClock)
    }
}

impl<C: Clock> Cache<C> {
    /// An empty cache on the given clock.
    ///
    /// # Errors
    /// [`Error::InvalidOption`]
    #[expect(clippy::needless_pass_by_value, reason = "a cache keeps its options; callers make them for it")]
    pub fn with_clock(options: Options, clock: C) -> Result<Self, Error> {
        options.validate()?;
        let most_by_bytes = options.max_bytes.map_or(u64::MAX, |max| max / ENTRY_OVERHEAD);
        let most = options.max_entries.unwrap_or(usize::MAX);
        let most = most.min(usize::try_from(most_by_bytes).unwrap_or(usize::MAX));
        let words = Words::on_heap();
        let fence = Fence::new(most, &words);
        Ok(Self {
            table: Table::new(most, Arc::clone(fence.version_table()), words.hasher()),
            shards: Shards::new(options.policy),
            bounds: Bounds::new(&options),
            fence,
            stats: Counters::new(),
            access_clock: AccessClock::new(most),
            policy: options.policy,
            origin: clock.now_ms(),
            clock,
            is_timed: AtomicBool::new(false),
            leases: Leases::default(),
            namespaces: Namespaces::new(),
            default_ttl_ms: options.default_ttl_ms,
            slides: options.slides,
            follow: Follow::new(options.is_tiered),
        })
    }

    /// What is known of the changes behind a tiered cache, and the lease of its reads.
    #[must_use]
    pub fn follow(&self) -> &Follow {
        &self.follow
    }

    /// The ms of this moment, if a read of what was looked at before may be answered: `None` while no lease is held.
    #[must_use]
    pub fn answered_at(&self) -> Option<u64> {
        let taken = self.follow.take();
        let now = self.clock.now_ms();
        taken.answers(|| now).then_some(now)
    }

    /// Whether a read that took the lease may be answered now.
    fn answers(&self, taken: Taken) -> bool {
        taken.answers(|| self.clock.now_ms())
    }

    /// The TTL that is kept of one that was asked for.
    fn ttl_kept(&self, ttl: u64) -> u64 {
        if self.follow.is_tiered() { ttl.min(MOST_TIERED_TTL) } else { ttl }
    }

    /// The ms since the cache was made.
    fn now(&self) -> u64 {
        self.clock.now_ms().saturating_sub(self.origin)
    }

    /// The ms since the cache was made, for a write with this TTL; 0 as long as no entry has ever had a deadline.
    fn now_for(&self, ttl: u64) -> u64 {
        if ttl != u64::MAX && !self.is_timed.load(Ordering::Relaxed) {
            self.is_timed.store(true, Ordering::Relaxed);
        }
        if self.is_timed.load(Ordering::Relaxed) { self.now() } else { 0 }
    }

    /// Makes an entry the most recently used one, or counts its use.
    fn used(&self, entry: &EntryRef, thread: ThreadSlot) {
        self.policy.hit(entry.access(), || self.access_clock.next(thread));
    }

    /// Puts the deadline of an entry that was read off, where that is how the cache is set up.
    fn slide(&self, entry: &EntryRef) {
        if self.slides && entry.deadline() != NEVER && entry.ttl() != u64::MAX {
            entry.extend_deadline(deadline(self.now(), entry.ttl(), entry.grace()));
        }
    }

    /// The clock is read only for entries that have a deadline.
    fn is_expired(&self, entry: &EntryRef) -> bool {
        entry.deadline() != NEVER && entry.deadline() <= self.now()
    }

    /// Whether the entry is expired for all but [`Cache::get_stale`].
    fn is_stale(&self, entry: &EntryRef) -> bool {
        entry.deadline() != NEVER && entry.fresh_until() <= self.now()
    }

    fn is_invalidated(&self, entry: &EntryRef) -> bool {
        let fence = entry.fence();
        let Some(known) = self.fence.tags_unchanged_until(fence, entry.tags()) else { return true };
        if known > fence {
            // The next read asks again only after another invalidation.
            entry.set_fence(known);
        }
        false
    }

    /// Whether a read may be answered with the entry, if it is answered at all.
    fn is_current(&self, entry: &EntryRef) -> bool {
        !self.is_stale(entry) && !self.is_invalidated(entry) && !self.namespaces.is_cleared(entry)
    }

    /// Whether a read that took the lease before it found the entry may be answered with it.
    fn is_readable(&self, entry: &EntryRef, lease: Taken) -> bool {
        self.is_current(entry) && self.answers(lease)
    }

    /// The entry under `key` if it is valid, in its grace or not; one that is not is removed.
    fn find_valid(&self, key: Key<'_>) -> Option<EntryRef> {
        self.valid(self.table.find(self.table.hash(key), key)?)
    }

    /// The entry, just found, if it is valid, in its grace or not; one that is not is removed.
    fn valid(&self, entry: EntryRef) -> Option<EntryRef> {
        if self.namespaces.is_cleared(&entry) {
            self.remove_if_held(&entry, Event::Clear);
            return None;
        }
        if self.is_expired(&entry) {
            self.remove_if_held(&entry, Event::Expire);
            return None;
        }
        if self.is_invalidated(&entry) {
            self.remove_if_held(&entry, Event::Invalidate);
            return None;
        }
        Some(entry)
    }

    /// The entry under `key` if a read may be answered with it.
    fn find_readable(&self, key: Key<'_>) -> Option<EntryRef> {
        let lease = self.follow.take();
        self.find_current(key).filter(|_| self.answers(lease))
    }

    /// The entry under `key` if a read may be answered with it while reads are answered.
    fn find_current(&self, key: Key<'_>) -> Option<EntryRef> {
        self.find_valid(key).filter(|entry| !self.is_in_grace(entry))
    }

    /// Whether only the grace of an entry that is not expired is left.
    fn is_in_grace(&self, entry: &EntryRef) -> bool {
        entry.has_grace() && self.is_stale(entry)
    }

    /// How many entries are held. Expired ones count until they are removed.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.bounds.entries()).unwrap_or(usize::MAX)
    }

    /// Whether no entry is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes are charged for the entries held: keys, values, four a tag, and
    /// [`ENTRY_OVERHEAD`] for each.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bounds.bytes()
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats.read()
    }

    /// Starts the statistics from zero.
    pub fn reset_stats(&self) {
        self.stats.reset();
    }
}

/// When an entry leaves the cache.
fn deadline(now: u64, ttl: u64, grace: u32) -> u64 {
    now.saturating_add(ttl).saturating_add(u64::from(grace)).min(NEVER)
}

impl<C> std::fmt::Debug for Cache<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("entries", &self.bounds.entries())
            .field("bytes", &self.bounds.bytes())
            .finish_non_exhaustive()
    }
}
