//! Reads for threads that keep copies of entries, and what they report of them.

use std::sync::Arc;

use crate::cache::Cache;
use crate::coherence::version_table::{Board, Sighting};
use crate::shard::entry::{EntryRef, NEVER};
use crate::stats::Event;
use crate::sync::thread_slot::Lane;
use crate::time::clock::Clock;
use crate::time::coarse_clock;
use crate::{Key, Space};

impl<C: Clock> Cache<C> {
    /// Where copies of this cache's entries are checked.
    #[must_use]
    pub fn board(&self) -> &Arc<Board> {
        self.versions.board()
    }

    /// As [`Cache::get`], with what a copy is to be checked against.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "ms and sequence numbers stay below 2^53")]
    pub fn get_sighted(&self, key: Key<'_>) -> Option<(EntryRef, Sighting)> {
        let lane = Lane::current();
        let hash = self.table.hash(key);
        // Before the tags are looked at: what is invalidated after that changes this number.
        let invalidation = Sighting::of_invalidation(self.board().invalidation());
        let found = self.table.sight(hash, key);
        let found = found.and_then(|(entry, version)| Some((self.readable(entry)?, version)));
        let Some((entry, version)) = found.filter(|(entry, _)| self.is_fresh(entry)) else {
            self.count(key.space, lane, Event::Miss);
            return None;
        };
        self.used(&entry, lane);
        self.slide(&entry);
        self.count(key.space, lane, Event::Hit);
        let fresh_until = entry.fresh_until();
        let expires = fresh_until != NEVER;
        if expires && self.clock.is_system() {
            coarse_clock::want(self.origin + self.now());
        }
        let sighting = Sighting {
            cell: u32::try_from(self.board().cell(hash)).unwrap_or_else(|_| unreachable!("a small table")),
            version: f64::from_bits(version),
            invalidation,
            fresh_until: if expires { (self.origin + fresh_until) as f64 } else { f64::INFINITY },
            written: entry.written() as f64,
            hash,
        };
        Some((entry, sighting))
    }

    /// Makes the entry that was seen with these numbers the most recently used one, if it is still there. Counts
    /// no hit.
    pub fn report_read(&self, hash: u64, written: u64) {
        if let Some(entry) = self.table.find_written(hash, written) {
            self.used(&entry, Lane::current());
        }
    }

    /// Counts reads that were answered from copies of values of a namespace.
    pub fn count_hits(&self, space: Space, hits: u64) {
        if self.clock.is_system() {
            coarse_clock::keep();
        }
        for event in [Event::Hit, Event::NearHit] {
            self.stats.add(event, hits);
            self.spaces.count(space, event, hits);
        }
    }
}
