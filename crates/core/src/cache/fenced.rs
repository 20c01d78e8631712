//! Reads that a write may be based on.

use crate::Key;
use crate::cache::Cache;
use crate::shard::Shards;
use crate::shard::entry::EntryRef;
use crate::time::clock::Clock;

impl<C: Clock> Cache<C> {
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
        let entry = self.table.find(hash, key).filter(|entry| self.is_readable(entry));
        drop(shard);
        (entry, fence)
    }
}
