//! Reads.

use crate::cache::Cache;
use crate::key::Key;
use crate::shard::entry::{EntryRef, NEVER};
use crate::shard::locks::Shards;
use crate::stats::Event;
use crate::sync::thread_slot::ThreadSlot;
use crate::time::clock::Clock;

impl<C: Clock> Cache<C> {
    /// The entry under `key`, which becomes the most recently used one. Counts a hit or a miss.
    #[must_use]
    pub fn get(&self, key: Key<'_>) -> Option<EntryRef> {
        let thread = ThreadSlot::current();
        let Some(entry) = self.find_readable(key) else {
            self.count(key.space, thread, Event::Miss);
            return None;
        };
        self.used(&entry, thread);
        self.slide(&entry);
        self.count(key.space, thread, Event::Hit);
        Some(entry)
    }

    /// The entry under `key`, without a trace in recency or statistics.
    #[must_use]
    pub fn peek(&self, key: Key<'_>) -> Option<EntryRef> {
        self.find_readable(key)
    }

    /// The entry under `key` also if its TTL has passed but not its grace, and for how many ms it has been
    /// stale: 0 for one that [`Cache::peek`] would find. Leaves no trace. Never an entry that was removed or
    /// whose tags were invalidated.
    #[must_use]
    pub fn get_stale(&self, key: Key<'_>) -> Option<(EntryRef, u64)> {
        let lease = self.follow.take();
        let entry = self.find_valid(key).filter(|_| self.answers(lease))?;
        let stale_ms = match entry.deadline() {
            NEVER => 0,
            _ => self.now().saturating_sub(entry.fresh_until()),
        };
        // At the very ms from which on it is stale it has been so for a moment.
        let stale_ms = if stale_ms == 0 && self.is_stale(&entry) { 1 } else { stale_ms };
        Some((entry, stale_ms))
    }

    /// Whether [`Cache::peek`] would find an entry.
    #[must_use]
    pub fn contains(&self, key: Key<'_>) -> bool {
        self.find_readable(key).is_some()
    }

    /// How long the entry under `key` has to live, in ms: `None` if there is no entry, `Some(None)` if it
    /// does not expire.
    #[must_use]
    pub fn remaining_ttl_ms(&self, key: Key<'_>) -> Option<Option<u64>> {
        self.find_readable(key).map(|entry| self.left_ms(&entry))
    }

    /// How long an entry of this cache has to live, in ms: `None` if it does not expire.
    #[must_use]
    pub fn left_ms(&self, entry: &EntryRef) -> Option<u64> {
        let expires = entry.deadline() != NEVER;
        expires.then(|| entry.fresh_until().saturating_sub(self.now()))
    }

    /// Whether no more than `part` of its TTL (from 0 to 1) is left to the entry under `key`: time to load it
    /// again. `false` for one that does not expire or was stored without a TTL, and if there is no entry.
    #[must_use]
    pub fn is_due(&self, key: Key<'_>, part: f64) -> bool {
        let has_ttl = |entry: &EntryRef| entry.deadline() != NEVER && entry.ttl() != u64::MAX;
        let Some(entry) = self.find_readable(key).filter(has_ttl) else { return false };
        let left = entry.fresh_until().saturating_sub(self.now());
        #[expect(clippy::cast_precision_loss, reason = "both stay below 2^43")]
        let due = left as f64 <= entry.ttl() as f64 * part;
        due
    }

    /// The entry under `key`, without a trace in recency or statistics, and a fence of the moment at which it was there
    /// (or at which there was none). An insertion with that fence is refused if the key changed since then: together
    /// they compare and set.
    ///
    /// A fence that was taken without the lock of the key may be later than a change that nobody can read yet, and says
    /// nothing of what is read after it.
    #[must_use]
    pub fn peek_fenced(&self, key: Key<'_>) -> (Option<EntryRef>, u64) {
        let hash = self.table.hash(key);
        let shard = self.shards.lock(Shards::of(hash));
        let fence = self.fence.now();
        let lease = self.follow.take();
        let entry = self.table.find(hash, key).filter(|entry| self.is_readable(entry, lease));
        drop(shard);
        (entry, fence)
    }
}
