//! Removals: by key, by slot, and of what has expired.

use crate::cache::Cache;
use crate::key::Key;
use crate::shard::Shard;
use crate::shard::entry::EntryRef;
use crate::shard::locks::Shards;
use crate::stats::Event;
use crate::sync::thread_slot::ThreadSlot;
use crate::time::clock::Clock;

/// Expired entries that a write removes on the side.
const EXPIRE_PER_WRITE: u32 = 2;
/// Steps of the timer wheel that a write takes for it.
const STEPS_PER_WRITE: u32 = 8;

impl<C: Clock> Cache<C> {
    /// Removes the entry under `key`, and says whether there was one that could have been read. Values
    /// whose load began before are refused from now on.
    pub fn remove(&self, key: Key<'_>) -> bool {
        self.take_held(key).is_some()
    }

    /// Removes the entry under `key` and returns it if it could have been read. Values whose load began
    /// before are refused from now on.
    #[must_use]
    pub fn take(&self, key: Key<'_>) -> Option<EntryRef> {
        let lease = self.follow.take();
        self.take_held(key).filter(|_| self.answers(lease))
    }

    /// As `take`, whether reads are answered or not.
    fn take_held(&self, key: Key<'_>) -> Option<EntryRef> {
        let hash = self.table.hash(key);
        let mut shard = self.shards.lock(Shards::of(hash));
        self.fence.remove_key(hash);
        let entry = self.table.find(hash, key)?;
        let event = self.removal(&entry);
        self.remove_slot(&mut shard, entry.slot(), hash, event);
        (event == Event::Delete).then_some(entry)
    }

    /// What the removal of an entry by its key counts as, unless it was counted when its namespace was cleared.
    pub(super) fn removal(&self, entry: &EntryRef) -> Event {
        match () {
            () if self.namespaces.is_cleared(entry) => Event::Clear,
            () if self.is_stale(entry) => Event::Expire,
            () if self.is_invalidated(entry) => Event::Invalidate,
            () => Event::Delete,
        }
    }

    /// Takes the entry in a slot out of the cache and returns what it was charged, which stays reserved.
    pub(super) fn take_slot(&self, shard: &mut Shard, slot: u32, hash: u64, event: Event) -> u64 {
        let entry = shard.unlink(slot);
        // Before the entry goes: a value older than it must not come after it.
        self.fence.remember(hash, entry.written());
        self.table.remove(hash, &entry);
        // What was cleared with its namespace was counted then.
        if self.namespaces.left(&entry) {
            self.count(entry.space(), ThreadSlot::current(), event);
        }
        let bytes = entry.charge();
        shard.dispose(entry);
        bytes
    }

    /// Takes the entry in a slot out of the cache.
    pub(super) fn remove_slot(&self, shard: &mut Shard, slot: u32, hash: u64, event: Event) {
        let bytes = self.take_slot(shard, slot, hash, event);
        self.bounds.release(1, bytes);
    }

    /// Takes this very entry out if it is still there; a newer one under its key stays.
    pub(super) fn remove_if_held(&self, entry: &EntryRef, event: Event) {
        let hash = self.table.hash(entry.key());
        let mut shard = self.shards.lock(Shards::of(hash));
        if shard.holds(entry) {
            self.remove_slot(&mut shard, entry.slot(), hash, event);
        }
    }

    /// Removes a few entries of the shard that have expired.
    pub(super) fn expire_some(&self, shard: &mut Shard, now: u64) {
        let mut steps = STEPS_PER_WRITE;
        for _ in 0..EXPIRE_PER_WRITE {
            let Some(slot) = shard.expired(now, &mut steps) else { break };
            let hash = self.table.hash(shard.entry(slot).key());
            self.remove_slot(shard, slot, hash, Event::Expire);
        }
    }
}
