//! A new deadline for an entry, and nothing else.

use crate::cache::{Cache, deadline};
use crate::key::Key;
use crate::shard::locks::Shards;
use crate::sync::thread_slot::ThreadSlot;
use crate::time::clock::Clock;

impl<C: Clock> Cache<C> {
    /// Gives the entry under `key` a TTL that begins now, and makes it the most recently used one: `ttl_ms` (`u64::MAX`
    /// for none, 0 to remove it), or that which it was stored with. Says whether there is one that could be read.
    ///
    /// Fences, tags and the TTL that the entry was stored with stay as they are; copies of the entry learn of the
    /// new deadline at their next look at the version table.
    pub fn touch(&self, key: Key<'_>, ttl_ms: Option<u64>) -> bool {
        if ttl_ms == Some(0) {
            return self.remove(key);
        }
        // What cannot be read any more goes, and is counted.
        if self.find_current(key).is_none() {
            return false;
        }
        let hash = self.table.hash(key);
        let mut shard = self.shards.lock(Shards::of(hash));
        let Some(entry) = self.table.find(hash, key).filter(|entry| self.is_current(entry)) else {
            return false;
        };
        let ttl = self.ttl_kept(ttl_ms.unwrap_or_else(|| entry.ttl()));
        let now = self.now_for(ttl);
        entry.set_deadline(deadline(now, ttl, entry.grace()));
        shard.rescheduled(entry.slot(), now);
        // After the deadline: who reads this number reads that one.
        self.version_table().wrote(hash, self.fence.write());
        self.used(&entry, ThreadSlot::current());
        true
    }
}
