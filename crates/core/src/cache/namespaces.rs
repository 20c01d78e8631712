//! Namespaces, as callers see them.

use crate::cache::Cache;
use crate::error::Error;
use crate::key::{Key, Space};
use crate::shard::locks::SHARDS;
use crate::stats::{Event, Stats};
use crate::sync::thread_slot::ThreadSlot;
use crate::time::clock::Clock;

impl<C: Clock> Cache<C> {
    /// The namespace of this name: the same one each time, as long as the cache lives. Its keys are apart from
    /// those of the root and of every other namespace. The space in `name` itself does not matter.
    ///
    /// # Errors
    /// [`Error::TooManyNamespaces`]
    pub fn namespace(&self, name: Key<'_>) -> Result<Space, Error> {
        self.namespaces.of(name)
    }

    /// Empties a namespace at one moment for all threads, in a time that does not grow with the number of entries.
    /// Values of it whose load began before are refused from now on. The memory is freed as entries are
    /// overwritten, expire or are evicted; until then [`Cache::len`] and [`Cache::bytes`] count them. For the root,
    /// this is [`Cache::clear`].
    pub fn clear_namespace(&self, space: Space) {
        if space == Space::ROOT {
            return self.clear();
        }
        // With all shards locked nothing is written or removed, so that the counts are those of this moment.
        let shards: Vec<_> = (0..SHARDS).map(|number| self.shards.lock(number)).collect();
        let count = self.namespaces.clear(space, |cleared| self.fence.clear_space(cleared)).unwrap_or(0);
        drop(shards);
        self.stats.add(Event::Clear, count);
        self.namespaces.count(space, Event::Clear, count);
    }

    /// How many entries a namespace has, counted as by [`Cache::len`]; those of the whole cache for the root.
    #[must_use]
    pub fn namespace_len(&self, space: Space) -> usize {
        let len = self.namespaces.len(space);
        len.map_or_else(|| self.len(), |len| usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// How many bytes are charged for them; for those of the whole cache for the root.
    #[must_use]
    pub fn namespace_bytes(&self, space: Space) -> u64 {
        self.namespaces.bytes(space).unwrap_or_else(|| self.bytes())
    }

    /// What happened in a namespace so far; in the whole cache for the root.
    #[must_use]
    pub fn namespace_stats(&self, space: Space) -> Stats {
        self.namespaces.stats(space).unwrap_or_else(|| self.stats())
    }

    /// Starts the statistics of a namespace from zero; those of the whole cache for the root.
    pub fn reset_namespace_stats(&self, space: Space) {
        self.namespaces.reset_stats(space).unwrap_or_else(|| self.reset_stats());
    }

    /// Counts an event of a namespace, and of the cache.
    pub(super) fn count(&self, space: Space, thread: ThreadSlot, event: Event) {
        self.stats.count_in(thread, event);
        self.namespaces.count(space, event, 1);
    }
}
