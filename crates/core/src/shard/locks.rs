//! The shards of a cache behind their locks, with what is published of them.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use crate::policy::{Policy, Queue};
use crate::shard::Shard;
use crate::shard::entry::EntryRef;
use crate::sync::{Mutex, MutexGuard};

/// Shards of a cache: enough to keep several writers apart.
pub(crate) const SHARDS: usize = 16;

/// A number of each shard, side by side: whoever looks for a victim reads all of them.
type Published = CachePadded<[AtomicU64; SHARDS]>;

fn publish(number: &AtomicU64, value: u64) {
    // A store that changes nothing would still take the line from those who read it.
    if number.load(Ordering::Relaxed) != value {
        number.store(value, Ordering::Relaxed);
    }
}

/// The shards behind their locks, with what other threads may know without them.
pub(crate) struct Shards {
    policy: Policy,
    all: Box<[CachePadded<Mutex<Shard>>]>,
    /// No entry of the shard's queue came there before this tick.
    oldest: [Published; 2],
    /// Live entries of the small queue.
    small: Published,
    /// No entry of the shard expires before this ms.
    due: Published,
}

impl Shards {
    pub(crate) fn new(policy: Policy) -> Self {
        let never = || CachePadded::new(std::array::from_fn(|_| AtomicU64::new(u64::MAX)));
        let shard = || CachePadded::new(Mutex::new(Shard::new(policy)));
        Self {
            policy,
            all: std::iter::repeat_with(shard).take(SHARDS).collect(),
            oldest: [never(), never()],
            small: CachePadded::default(),
            due: never(),
        }
    }

    /// The number of the shard of a hash.
    pub(crate) fn of(hash: u64) -> usize {
        // Neither end of the hash: the table takes its shard and its place from those.
        (hash >> 40) as usize % SHARDS
    }

    pub(crate) fn lock(&self, number: usize) -> ShardGuard<'_> {
        ShardGuard { shard: self.all[number].lock(), all: self, number, garbage: Vec::new() }
    }

    /// The shard that may hold the entry of a queue that is to go first, and how old those of the others may be.
    pub(crate) fn oldest(&self, queue: Queue) -> Option<(usize, u64)> {
        let (mut oldest, mut limit, mut chosen) = (u64::MAX, u64::MAX, None);
        for (number, bound) in self.oldest[queue as usize].iter().enumerate() {
            let bound = bound.load(Ordering::Relaxed);
            if bound < oldest {
                (limit, oldest, chosen) = (oldest, bound, Some(number));
            } else {
                limit = limit.min(bound);
            }
        }
        chosen.map(|number| (number, limit))
    }

    /// The shards that may hold something expired.
    pub(crate) fn due(&self, now: u64) -> impl Iterator<Item = usize> {
        // Nothing ever expires where the largest number stands.
        let now = now.min(u64::MAX - 1);
        (0..SHARDS).filter(move |&number| self.due[number].load(Ordering::Relaxed) <= now)
    }

    /// Live entries of all small queues.
    pub(crate) fn small(&self) -> u64 {
        self.small.iter().map(|len| len.load(Ordering::Relaxed)).sum()
    }
}

/// The lock of a shard. What is published is brought up to date when it goes.
pub(crate) struct ShardGuard<'a> {
    shard: MutexGuard<'a, Shard>,
    all: &'a Shards,
    number: usize,
    /// Behind the lock, so that it goes after it.
    garbage: Vec<EntryRef>,
}

impl ShardGuard<'_> {
    /// Leaves an empty shard.
    pub(crate) fn take(&mut self) -> Shard {
        std::mem::replace(&mut self.shard, Shard::new(self.all.policy))
    }
}

impl Deref for ShardGuard<'_> {
    type Target = Shard;
    fn deref(&self) -> &Shard {
        &self.shard
    }
}

impl DerefMut for ShardGuard<'_> {
    fn deref_mut(&mut self) -> &mut Shard {
        &mut self.shard
    }
}

impl Drop for ShardGuard<'_> {
    fn drop(&mut self) {
        for queue in [Queue::Main, Queue::Small] {
            if let Some(bound) = self.shard.order.lower_bound(queue) {
                publish(&self.all.oldest[queue as usize][self.number], bound);
            }
        }
        if let Some(len) = self.shard.order.small_len() {
            publish(&self.all.small[self.number], len as u64);
        }
        publish(&self.all.due[self.number], self.shard.due);
        self.garbage = std::mem::take(&mut self.shard.garbage);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::key::{Key, Value};
    use crate::shard::entry::{NEVER, Parts};

    #[test]
    fn a_large_entry_is_freed_when_its_stripe_is_unlocked() {
        let shards = Shards::new(Policy::Lru);
        for (len, references) in [(10, 1), (100_000, 2)] {
            let value = vec![0; len];
            let parts = Parts {
                key: Key::from("k"),
                value: Value::from(&value[..]),
                tags: &[],
                deadline: NEVER,
                grace: 0,
                ttl: u64::MAX,
            };
            let [first, second] = [(); 2].map(|()| EntryRef::new(&parts).unwrap());
            let (first_ours, second_ours) = (first.clone(), second.clone());
            let mut shard = shards.lock(0);
            shard.link(first, 0, 1, 0);
            let slot = first_ours.slot();
            shard.relink(slot, second, 0);
            assert_eq!(first_ours.references(), references);
            let gone = shard.unlink(slot);
            shard.dispose(gone);
            assert_eq!(second_ours.references(), references);
            drop(shard);
            assert_eq!([first_ours.references(), second_ours.references()], [1, 1]);
        }
    }
}
