//! The order of one shard under S3-FIFO.
//!
//! After J. Yang, Y. Zhang, Z. Qiu, Y. Yue and K. V. Rashmi, "FIFO Queues Are All You Need for Cache Eviction"
//! (SOSP '23). New keys enter a small queue, a tenth of the cache; what was used more than once there moves on to
//! the main queue, and what was not leaves, its key remembered as a ghost. A key that comes back while its ghost is
//! there enters the main queue at once. In the main queue an entry that was used goes round again. In which shard
//! a queue of the whole cache gives way is for the caller.

use std::collections::{HashMap, VecDeque};

use crate::policy::recency::Recency;
use crate::policy::{Entries, Evict, PutBacks, Queue, Victim};
use crate::sync::{AtomicU64, Ordering};

/// Uses that are counted, so that what was once popular does not stay for ever.
const MOST_USES: u64 = 3;

/// The small queues hold one entry in so many.
pub(crate) const SMALL_PART: u64 = 10;

/// Hashes of keys that left the small queue, in the order in which they did.
#[derive(Default)]
struct Ghosts {
    order: VecDeque<(u64, u64)>,
    /// The number under which a hash was last entered.
    numbers: HashMap<u64, u64, foldhash::fast::RandomState>,
    last: u64,
}

impl Ghosts {
    fn enter(&mut self, hash: u64, most: usize) {
        self.last += 1;
        self.numbers.insert(hash, self.last);
        self.order.push_back((hash, self.last));
        while self.order.len() > most {
            let Some((hash, number)) = self.order.pop_front() else { return };
            if self.numbers.get(&hash) == Some(&number) {
                self.numbers.remove(&hash);
            }
        }
    }

    fn take(&mut self, hash: u64) -> bool {
        self.numbers.remove(&hash).is_some()
    }
}

/// The access word of an entry counts its uses since it was placed, up to [`MOST_USES`].
#[derive(Default)]
pub(crate) struct S3Fifo {
    small: Recency,
    main: Recency,
    /// By slot, a bit each: whether it is in the small queue.
    in_small: Vec<u64>,
    /// Live entries in each queue.
    small_len: usize,
    main_len: usize,
    ghosts: Ghosts,
}

impl S3Fifo {
    fn is_small(&self, slot: u32) -> bool {
        self.in_small.get(slot as usize / 64).is_some_and(|bits| bits >> (slot % 64) & 1 == 1)
    }

    fn set_small(&mut self, slot: u32, small: bool) {
        let word = slot as usize / 64;
        if word >= self.in_small.len() {
            self.in_small.resize(word + 1, 0);
        }
        self.in_small[word] = self.in_small[word] & !(1 << (slot % 64)) | u64::from(small) << (slot % 64);
    }

    /// Moves the slot that `small.oldest()` has just shown to the main queue.
    fn promote(&mut self, slot: u32, tick: u64) {
        self.small.take_oldest();
        self.set_small(slot, false);
        self.small_len -= 1;
        self.main_len += 1;
        self.main.place(tick, slot);
    }

    fn victim_of_small(
        &mut self,
        limit: u64,
        put_backs: &mut PutBacks,
        shard: usize,
        entries: &mut impl Entries,
        tick: impl Fn() -> u64,
    ) -> Victim {
        let Some((seen, slot, uses)) = self.small.first(entries) else { return Victim::Empty };
        if seen > limit || uses <= 1 {
            return self.small.unused(seen, slot, limit, entries);
        }
        if put_backs.are_spent() {
            return Victim::Spent;
        }
        put_backs.count(uses, shard, slot, 0);
        set_uses(entries, slot, 0);
        self.promote(slot, tick());
        // It may now be the main queue's turn.
        Victim::Elsewhere
    }

    fn victim_of_main(
        &mut self,
        limit: u64,
        put_backs: &mut PutBacks,
        shard: usize,
        entries: &mut impl Entries,
        tick: impl Fn() -> u64,
    ) -> Victim {
        loop {
            let Some((seen, slot, uses)) = self.main.first(entries) else { return Victim::Empty };
            if seen > limit || uses == 0 {
                return self.main.unused(seen, slot, limit, entries);
            }
            if put_backs.are_spent() {
                return Victim::Spent;
            }
            put_backs.count(uses, shard, slot, uses - 1);
            set_uses(entries, slot, uses - 1);
            self.main.take_oldest();
            self.main.place(tick(), slot);
        }
    }
}

fn set_uses(entries: &impl Entries, slot: u32, uses: u64) {
    if let Some(access) = entries.access(slot) {
        access.store(uses, Ordering::Relaxed);
    }
}

impl Evict for S3Fifo {
    fn hit(access: &AtomicU64, _tick: impl FnOnce() -> u64) {
        let uses = access.load(Ordering::Relaxed);
        if uses < MOST_USES {
            access.store(uses + 1, Ordering::Relaxed);
        }
    }

    fn insert(&mut self, slot: u32, hash: u64, access: &AtomicU64, tick: u64) {
        access.store(0, Ordering::Relaxed);
        let small = !self.ghosts.take(hash);
        self.set_small(slot, small);
        if small {
            self.small.place(tick, slot);
            self.small_len += 1;
        } else {
            self.main.place(tick, slot);
            self.main_len += 1;
        }
    }

    fn remove(&mut self, slot: u32) {
        if self.is_small(slot) {
            self.small_len -= 1;
        } else {
            self.main_len -= 1;
        }
    }

    fn victim(
        &mut self,
        queue: Queue,
        limit: u64,
        put_backs: &mut PutBacks,
        shard: usize,
        entries: &mut impl Entries,
        tick: impl Fn() -> u64,
    ) -> Victim {
        match queue {
            Queue::Main => self.victim_of_main(limit, put_backs, shard, entries, tick),
            Queue::Small => self.victim_of_small(limit, put_backs, shard, entries, tick),
        }
    }

    fn evicted(&mut self, queue: Queue, hash: u64) {
        if queue == Queue::Small {
            // Of as many keys as the main queue is meant to hold.
            self.ghosts.enter(hash, ((self.small_len + self.main_len) * 9 / 10).max(4));
        }
    }

    fn compact(&mut self, entries: &mut impl Entries) {
        for queue in [&mut self.main, &mut self.small] {
            queue.compact(|slot| entries.free_if_gone(slot));
        }
    }

    fn lower_bound(&self, queue: Queue) -> Option<u64> {
        Some(match queue {
            Queue::Main => self.main.lower_bound(),
            Queue::Small => self.small.lower_bound(),
        })
    }

    fn small_len(&self) -> Option<usize> {
        Some(self.small_len)
    }

    #[cfg(any(test, feature = "validate"))]
    fn validate(&self, is_held: impl Fn(u32) -> bool) -> Vec<(u64, u32)> {
        let small = self.small.items();
        let main = self.main.items();
        let count = |items: &[(u64, u32)]| items.iter().filter(|item| is_held(item.1)).count();
        assert_eq!(count(&small), self.small_len, "live entries of the small queue");
        assert_eq!(count(&main), self.main_len, "live entries of the main queue");
        assert!(small.iter().filter(|item| is_held(item.1)).all(|item| self.is_small(item.1)));
        assert!(main.iter().filter(|item| is_held(item.1)).all(|item| !self.is_small(item.1)));
        assert!(self.ghosts.numbers.len() <= self.ghosts.order.len());
        small.into_iter().chain(main).collect()
    }
}
