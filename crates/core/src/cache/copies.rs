//! Reads for threads that keep copies of entries, and what they report of them.

use std::sync::Arc;

use crate::cache::Cache;
use crate::coherence::version_table::{Stamp, VersionTable};
use crate::key::{Key, Space};
use crate::shard::entry::{EntryRef, NEVER};
use crate::stats::Event;
use crate::sync::thread_slot::ThreadSlot;
use crate::time::clock::Clock;
use crate::time::coarse_clock;

impl<C: Clock> Cache<C> {
    /// Where copies of this cache's entries are checked.
    #[must_use]
    pub fn version_table(&self) -> &Arc<VersionTable> {
        self.fence.version_table()
    }

    /// As [`Cache::get`], with what a copy is to be checked against.
    #[must_use]
    pub fn get_stamped(&self, key: Key<'_>) -> Option<(EntryRef, Stamp)> {
        let thread = ThreadSlot::current();
        let lease = self.follow.take();
        let hash = self.table.hash(key);
        // Before the tags are looked at: what is invalidated after that changes this number.
        let invalidation = Stamp::of_invalidation(self.version_table().invalidation());
        let found = self.table.find_stamped(hash, key);
        let found = found.and_then(|(entry, version)| Some((self.valid(entry)?, version)));
        let Some((entry, version)) =
            found.filter(|(entry, _)| !self.is_in_grace(entry) && self.answers(lease))
        else {
            self.count(key.space, thread, Event::Miss);
            return None;
        };
        self.used(&entry, thread);
        self.slide(&entry);
        self.count(key.space, thread, Event::Hit);
        let fresh_until = entry.fresh_until();
        let expires = fresh_until != NEVER;
        if expires && self.clock.is_system() {
            coarse_clock::want(|| self.origin + self.now());
        }
        let stamp = Stamp {
            cell: u32::try_from(self.version_table().cell(hash))
                .unwrap_or_else(|_| unreachable!("a small table")),
            version,
            invalidation,
            fresh_until: if expires { self.origin + fresh_until } else { u64::MAX },
            written: entry.written(),
            hash,
        };
        Some((entry, stamp))
    }

    /// Makes the entry that was seen with these numbers the most recently used one, if it is still there. Counts
    /// no hit.
    pub fn report_read(&self, hash: u64, written: u64) {
        if let Some(entry) = self.table.find_written(hash, written) {
            self.used(&entry, ThreadSlot::current());
        }
    }

    /// Counts reads that were answered from copies of values of a namespace.
    pub fn count_hits(&self, space: Space, hits: u64) {
        if self.clock.is_system() {
            coarse_clock::keep();
        }
        for event in [Event::Hit, Event::NearHit] {
            self.stats.add(event, hits);
            self.namespaces.count(space, event, hits);
        }
    }
}
