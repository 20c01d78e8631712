//! LRU, exact within a shard, with lazy promotion: a hit only stores its tick in the entry, and the queue learns of it
//! when the entry comes to its head.

use crate::policy::recency::Recency;
use crate::policy::{Entries, Evict, PutBacks, Queue, Victim};
use crate::sync::{AtomicU64, Ordering};

/// The access word of an entry is the tick of its last use.
#[derive(Default)]
pub(crate) struct Lru(Recency);

impl Evict for Lru {
    fn hit(access: &AtomicU64, tick: impl FnOnce() -> u64) {
        let tick = tick();
        // That of another thread may be later.
        if tick > access.load(Ordering::Relaxed) {
            access.store(tick, Ordering::Relaxed);
        }
    }

    fn insert(&mut self, slot: u32, _hash: u64, access: &AtomicU64, tick: u64) {
        access.store(tick, Ordering::Relaxed);
        self.0.place(tick, slot);
    }

    fn remove(&mut self, _slot: u32) {}

    fn victim(
        &mut self,
        queue: Queue,
        limit: u64,
        put_backs: &mut PutBacks,
        shard: usize,
        entries: &mut impl Entries,
        _tick: impl Fn() -> u64,
    ) -> Victim {
        if queue != Queue::Main {
            return Victim::Empty;
        }
        loop {
            let Some((seen, slot, used)) = self.0.first(entries) else { return Victim::Empty };
            if used <= seen {
                return self.0.unused(seen, slot, limit, entries);
            }
            if put_backs.are_spent() {
                return Victim::Spent;
            }
            put_backs.count(used, shard, slot, used);
            self.0.take_oldest();
            self.0.place(used, slot);
        }
    }

    fn evicted(&mut self, _queue: Queue, _hash: u64) {}

    fn compact(&mut self, entries: &mut impl Entries) {
        self.0.compact(|slot| entries.free_if_gone(slot));
    }

    fn lower_bound(&self, queue: Queue) -> Option<u64> {
        (queue == Queue::Main).then(|| self.0.lower_bound())
    }

    fn small_len(&self) -> Option<usize> {
        None
    }

    #[cfg(any(test, feature = "validate"))]
    fn validate(&self, _is_held: impl Fn(u32) -> bool) -> Vec<(u64, u32)> {
        self.0.items()
    }
}
