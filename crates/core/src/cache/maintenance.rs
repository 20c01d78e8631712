//! The calls that visit many entries: purge, clear, and a walk over everything.

use std::time::{Duration, Instant};

use crate::cache::Cache;
use crate::key::Space;
use crate::shard::Shard;
use crate::shard::entry::EntryRef;
#[cfg(any(test, feature = "validate"))]
use crate::shard::locks::Shards;
use crate::shard::locks::{SHARDS, ShardGuard};
use crate::stats::Event;
use crate::time::clock::Clock;

/// What one slice of [`Cache::purge_expired`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Purge {
    /// Expired entries removed.
    pub removed: usize,
    /// Whether nothing expired was left when the slice ended.
    pub done: bool,
}

/// Where a walk over the entries goes on; see [`Cache::scan`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The shard.
    pub shard: u32,
    /// The slot in it.
    pub slot: u32,
}

/// Wheel steps taken before the shard is unlocked for others.
const STEPS_PER_LOCK: u32 = 64;

/// Has the allocator put freed blocks in order. That of glibc keeps small ones apart until somebody asks for a large
/// one and then joins all of them, which would take tens of ms after a million; asking after each slice keeps it short.
fn coalesce_freed() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(4_096)));
}

impl<C: Clock> Cache<C> {
    /// Removes expired entries, looking at no more than `budget` of them; call it again until it is
    /// [`done`](Purge::done). The cost follows the number of expired entries, not that of all.
    pub fn purge_expired(&self, budget: usize) -> Purge {
        let now = self.now();
        let mut left = u32::try_from(budget).unwrap_or(u32::MAX);
        let mut removed = 0;
        while let Some(number) = self.shards.due(now).next() {
            if budget == 0 && !self.shards.lock(number).has_expired(now, STEPS_PER_LOCK) {
                continue;
            }
            if left == 0 {
                coalesce_freed();
                return Purge { removed, done: false };
            }
            let mut shard = self.shards.lock(number);
            let mut steps = left.min(STEPS_PER_LOCK);
            left -= steps;
            while let Some(slot) = shard.expired(now, &mut steps) {
                let hash = self.table.hash(shard.entry(slot).key());
                self.remove_slot(&mut shard, slot, hash, Event::Expire);
                removed += 1;
            }
            left += steps;
        }
        if removed > 0 {
            coalesce_freed();
        }
        Purge { removed, done: true }
    }

    /// As [`Cache::purge_expired`], for about `time` rather than for a number of entries. At least one slice of
    /// 64 is done.
    pub fn purge_for(&self, time: Duration) -> Purge {
        let begin = Instant::now();
        let mut removed = 0;
        loop {
            let slice = self.purge_expired(STEPS_PER_LOCK as usize);
            removed += slice.removed;
            if slice.done || begin.elapsed() >= time {
                return Purge { removed, done: slice.done };
            }
        }
    }

    /// Removes everything, at one moment for all threads. Values whose load began before are refused from now
    /// on. The memory is freed by a thread of its own, so that this takes no longer with many entries.
    pub fn clear(&self) {
        // Only here is more than one shard locked.
        let mut shards: Vec<_> = (0..SHARDS).map(|number| self.shards.lock(number)).collect();
        let entries = self.table.take_all(&|| self.fence.clear());
        let states: Vec<Shard> = shards.iter_mut().map(ShardGuard::take).collect();
        let (count, bytes) =
            states.iter().map(Shard::held).fold((0, 0), |sum, held| (sum.0 + held.0, sum.1 + held.1));
        self.bounds.release(count, bytes);
        let counted_before = self.namespaces.emptied();
        drop(shards);
        self.stats.add(Event::Clear, count - counted_before);
        drop_aside(count, (entries, states));
    }

    /// Returns up to `limit` readable entries of the root in no particular order, and where to go on; `None` at the end.
    ///
    /// An entry that is there during the whole walk is returned exactly once, whatever is written meanwhile
    /// (a newer value of its key included).
    #[must_use]
    pub fn scan(&self, from: Cursor, limit: usize) -> (Vec<EntryRef>, Option<Cursor>) {
        self.scan_namespace(Space::ROOT, from, limit)
    }

    /// As [`Cache::scan`], for the entries of a namespace. Those of the whole cache are looked at.
    #[must_use]
    pub fn scan_namespace(
        &self,
        space: Space,
        from: Cursor,
        limit: usize,
    ) -> (Vec<EntryRef>, Option<Cursor>) {
        let lease = self.follow.take();
        let limit = limit.max(1);
        let mut entries = Vec::with_capacity(limit.min(1_024));
        let mut from_slot = from.slot as usize;
        let mut next = None;
        for number in from.shard as usize..SHARDS {
            if let Some(slot) = self.shards.lock(number).scan(from_slot, limit, &mut entries) {
                let shard = u32::try_from(number).unwrap_or(u32::MAX);
                next = Some(Cursor { shard, slot: u32::try_from(slot).unwrap_or(u32::MAX) });
                break;
            }
            from_slot = 0;
        }
        entries.retain(|entry| entry.space() == space && self.is_current(entry));
        if !self.answers(lease) {
            return (Vec::new(), None);
        }
        (entries, next)
    }

    /// The keys of all readable entries of the root, each as it is stored.
    #[must_use]
    pub fn keys(&self) -> Vec<EntryRef> {
        let mut all = Vec::with_capacity(self.len());
        let mut cursor = Some(Cursor::default());
        while let Some(from) = cursor {
            let (mut entries, next) = self.scan(from, 1_024);
            all.append(&mut entries);
            cursor = next;
        }
        all
    }

    /// Recounts everything, with no other thread in the cache.
    ///
    /// # Panics
    /// If table, shards, wheels, published bounds and counters do not agree.
    #[cfg(any(test, feature = "validate"))]
    pub fn validate(&self) {
        let mut bytes = 0;
        let mut count = 0;
        let mut leftovers = 0;
        let mut held = std::collections::HashMap::<Space, (u64, u64)>::new();
        for number in 0..SHARDS {
            let shard = self.shards.lock(number);
            for entry in shard.validate() {
                let hash = self.table.hash(entry.key());
                assert_eq!(Shards::of(hash), number, "an entry lies in its shard");
                let found = self.table.find(hash, entry.key());
                assert!(found.is_some_and(|found| found.same(&entry)), "an entry lies in the table");
                // The table, the shard, and the vector that this loop walks.
                assert_eq!(entry.references(), 3, "no reference was leaked");
                if self.namespaces.is_cleared(&entry) {
                    leftovers += 1;
                } else if entry.space() != Space::ROOT {
                    let (entries, bytes) = held.entry(entry.space()).or_default();
                    *entries += 1;
                    *bytes += entry.charge();
                }
                bytes += entry.charge();
                count += 1;
            }
        }
        assert_eq!(self.table.count(), count, "table and shards hold the same entries");
        assert_eq!(self.bounds.entries(), count as u64);
        assert_eq!(self.bounds.bytes(), bytes);
        assert_eq!(self.namespaces.leftovers(), leftovers, "what was left over from clearing namespaces");
        assert_eq!(self.namespaces.held(), held, "the counts of namespaces");
        self.bounds.validate();
    }
}

impl<C> Drop for Cache<C> {
    fn drop(&mut self) {
        let entries = self.table.take_all(&|| ());
        let states: Vec<Shard> = (0..SHARDS).map(|number| self.shards.lock(number).take()).collect();
        drop_aside(self.bounds.entries(), (entries, states));
    }
}

/// Entries up to which it takes less time to free them than to begin a thread.
const FEW: u64 = 1_000;

/// Drops what was taken out of a cache, in a thread of its own if there are many entries. Where none can be
/// had, here.
fn drop_aside(entries: u64, garbage: (impl Send + 'static, Vec<Shard>)) {
    if entries > FEW {
        let thread = std::thread::Builder::new().name("sark-cache-free".to_owned());
        // If the thread cannot be made, the closure and all that it holds is dropped with the error.
        drop(thread.spawn(move || drop_backwards(garbage)));
    }
}

/// Drops the youngest entries first. They tend to lie where the heap ends, which then shrinks a little at a time; from
/// the other side it would shrink at once by all there was, and nobody could get memory meanwhile.
fn drop_backwards((table, mut shards): (impl Send, Vec<Shard>)) {
    drop(table);
    let mut found = true;
    while found {
        found = false;
        for shard in &mut shards {
            found |= shard.drop_last();
        }
    }
}
