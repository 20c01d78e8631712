//! One part of the cache's bookkeeping: the slots, the order of use and the deadlines of some of the keys.
//!
//! A key belongs to one shard for good, and every change of it happens under that shard's lock. Two
//! shards are never locked together but by `clear`, in their order, and a segment of the table is locked only
//! inside a shard, never the other way round: that is the whole lock order.

pub(crate) mod bounds;
pub(crate) mod entry;
mod facts;
mod slab;
pub(crate) mod table;
mod ttl;
mod wheel;

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use crate::policy::{AccessWord, Entries, Order, Policy, PutBacks, Queue, Victim};
use crate::shard::entry::{EntryRef, NEVER};
use crate::shard::slab::Slab;
use crate::shard::wheel::{Step, Wheel};
use crate::sync::{Mutex, MutexGuard};

/// Shards of a cache: enough to keep several writers apart.
pub(crate) const SHARDS: usize = 16;

/// The places of entries; an entry keeps its slot as long as it lives.
#[derive(Default)]
struct Slots {
    /// By slot number. `None`: the entry is gone, and the slot waits in its queue to be freed, or is free.
    entries: Slab<Option<EntryRef>>,
    /// Slots that were ever used.
    used: u32,
    /// Those of them that are in no queue.
    free: Vec<u32>,
}

impl Slots {
    /// A slot in no queue.
    fn take_free(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            let slot = self.used;
            assert!(slot < u32::MAX, "four thousand million entries need more memory than there is");
            self.used += 1;
            self.entries.reach(slot as usize);
            slot
        })
    }

    /// Slots in a queue.
    fn queued(&self) -> usize {
        self.used as usize - self.free.len()
    }

    fn get(&self, slot: u32) -> Option<&EntryRef> {
        self.entries[slot as usize].as_ref()
    }
}

impl Entries for Slots {
    fn access(&self, slot: u32) -> Option<&AccessWord> {
        self.get(slot).map(EntryRef::access)
    }

    fn prefetch(&self, slot: u32) {
        if let Some(entry) = self.get(slot) {
            entry.prefetch();
        }
    }

    fn free(&mut self, slot: u32) {
        self.free.push(slot);
    }
}

pub(crate) struct Shard {
    slots: Slots,
    len: usize,
    /// The bytes charged for them.
    charged: u64,
    order: Order,
    /// Made when the first entry with a deadline comes.
    wheel: Option<Wheel>,
    /// A time before which nothing here expires.
    due: u64,
    /// Large entries that have left, until the shard is unlocked.
    garbage: Vec<EntryRef>,
}

/// The bytes of an entry that takes long to free: the allocator may give them back to the system.
const LARGE: u64 = 16 * 1_024;

impl Shard {
    fn new(policy: Policy) -> Self {
        Self {
            slots: Slots::default(),
            len: 0,
            charged: 0,
            order: Order::new(policy),
            wheel: None,
            due: u64::MAX,
            garbage: Vec::new(),
        }
    }

    /// Lets go of an entry, of a large one when the shard is unlocked.
    pub(crate) fn dispose(&mut self, entry: EntryRef) {
        if entry.charge() > LARGE {
            self.garbage.push(entry);
        }
    }

    /// Takes in a new entry of a key of this hash, at `tick`.
    pub(crate) fn link(&mut self, entry: EntryRef, hash: u64, tick: u64, now: u64) {
        let slot = self.slots.take_free();
        entry.set_slot(slot);
        self.order.insert(slot, hash, entry.access(), tick);
        self.len += 1;
        self.charged += entry.charge();
        self.set_deadline(slot, entry.deadline(), now);
        self.slots.entries[slot as usize] = Some(entry);
    }

    /// Puts `new` in the place of the entry in `slot`.
    ///
    /// The queue keeps the tick it saw of the old one: it is older than that of the new one, which is all that it
    /// needs.
    pub(crate) fn relink(&mut self, slot: u32, new: EntryRef, now: u64) {
        let from = self.entry(slot).charge();
        new.set_slot(slot);
        if let Some(old) = self.slots.entries[slot as usize].replace(new) {
            self.dispose(old);
        }
        self.rewritten(slot, from, now);
    }

    /// Follows a change of the entry in `slot`, for which `from` was charged before.
    pub(crate) fn rewritten(&mut self, slot: u32, from: u64, now: u64) {
        let entry = self.entry(slot);
        let (deadline, to) = (entry.deadline(), entry.charge());
        self.charged = self.charged - from + to;
        if let Some(wheel) = &mut self.wheel {
            wheel.remove(slot);
        }
        self.set_deadline(slot, deadline, now);
    }

    fn set_deadline(&mut self, slot: u32, deadline: u64, now: u64) {
        if deadline != NEVER {
            self.due = self.due.min(deadline);
            self.wheel.get_or_insert_with(|| Wheel::new(now)).insert(slot, deadline);
        }
    }

    /// The entry in a slot that holds one.
    pub(crate) fn entry(&self, slot: u32) -> &EntryRef {
        self.slots.get(slot).unwrap_or_else(|| unreachable!("the caller found it there"))
    }

    /// As [`Shard::entry`], for [`EntryRef::overwrite`].
    pub(crate) fn entry_mut(&mut self, slot: u32) -> &mut EntryRef {
        self.slots.entries[slot as usize]
            .as_mut()
            .unwrap_or_else(|| unreachable!("the caller found it there"))
    }

    /// Follows a change of the deadline of the entry in `slot`.
    pub(crate) fn rescheduled(&mut self, slot: u32, now: u64) {
        self.rewritten(slot, self.entry(slot).charge(), now);
    }

    /// Lets go of the entry in a slot that holds one; the slot is freed when the queue comes to it.
    pub(crate) fn unlink(&mut self, slot: u32) -> EntryRef {
        if let Some(wheel) = &mut self.wheel {
            wheel.remove(slot);
        }
        let gone = self.slots.entries[slot as usize].take();
        let gone = gone.unwrap_or_else(|| unreachable!("the caller found it there"));
        self.len -= 1;
        self.charged -= gone.charge();
        self.order.remove(slot);
        if self.slots.queued() > self.len + self.len / 4 + 64 {
            self.order.compact(&mut self.slots);
        }
        gone
    }

    /// Drops what is in the last slots; says whether there were any.
    pub(crate) fn drop_last(&mut self) -> bool {
        self.slots.entries.pop_chunk().is_some()
    }

    /// How many entries there are, and the bytes charged for them.
    pub(crate) fn held(&self) -> (u64, u64) {
        (self.len as u64, self.charged)
    }

    /// Whether this very entry is in the cache.
    pub(crate) fn holds(&self, entry: &EntryRef) -> bool {
        let slot = self.slots.entries.get(entry.slot() as usize);
        slot.is_some_and(|slot| slot.as_ref().is_some_and(|held| held.same(entry)))
    }

    /// Finds the entry of a queue that the policy would evict first, if it came there no later than `limit`.
    pub(crate) fn victim(
        &mut self,
        queue: Queue,
        limit: u64,
        put_backs: &mut PutBacks,
        number: usize,
        tick: impl Fn() -> u64,
    ) -> Victim {
        self.order.victim(queue, limit, put_backs, number, &mut self.slots, tick)
    }

    /// Whether there is an entry in `slot` with this access word.
    pub(crate) fn has_access(&self, slot: u32, access: u64) -> bool {
        self.slots.access(slot).is_some_and(|word| word.load(Ordering::Relaxed) == access)
    }

    /// Tells the policy that the victim of a queue is evicted, a key of this hash.
    pub(crate) fn evicted(&mut self, queue: Queue, hash: u64) {
        self.order.evicted(queue, hash);
    }

    /// Finds an entry that is expired at `now`, in at most `steps` steps of the wheel. The caller unlinks it.
    pub(crate) fn expired(&mut self, now: u64, steps: &mut u32) -> Option<u32> {
        if self.due > now {
            return None;
        }
        let wheel = self.wheel.as_mut()?;
        let slots = &self.slots;
        let mut found = None;
        while found.is_none() && *steps > 0 {
            *steps -= 1;
            let deadline = |slot: u32| slots.get(slot).map_or(NEVER, EntryRef::deadline);
            match wheel.step(now, deadline) {
                Step::Expired(slot) => found = Some(slot),
                Step::Moved => {}
                Step::Idle => break,
            }
        }
        self.due = wheel.next_due();
        found
    }

    /// Whether an entry is expired at `now`, which stays where it is; `true` also where that is not known after `steps`
    /// steps of the wheel.
    pub(crate) fn has_expired(&mut self, now: u64, steps: u32) -> bool {
        let mut left = steps;
        let Some(slot) = self.expired(now, &mut left) else { return left == 0 && self.due <= now };
        let deadline = self.entry(slot).deadline();
        self.set_deadline(slot, deadline, now);
        true
    }

    /// Copies up to `limit` entries from slot `from` on to `out` and returns the slot to go on from, or
    /// `None` at the end. An entry keeps its slot as long as it lives, so it is met once.
    pub(crate) fn scan(&self, from: usize, limit: usize, out: &mut Vec<EntryRef>) -> Option<usize> {
        for slot in from..self.slots.used as usize {
            if out.len() >= limit {
                return Some(slot);
            }
            out.extend(self.slots.entries[slot].clone());
        }
        None
    }

    /// Recounts everything and returns the entries.
    ///
    /// # Panics
    /// If slots, free list, queues, wheel and counters do not agree.
    #[cfg(any(test, feature = "validate"))]
    pub(crate) fn validate(&self) -> Vec<EntryRef> {
        let mut seen = vec![false; self.slots.used as usize];
        let mut mark =
            |slot: u32| assert!(!std::mem::replace(&mut seen[slot as usize], true), "slot used twice");
        for &slot in &self.slots.free {
            assert!(self.slots.get(slot).is_none(), "a free slot is empty");
            mark(slot);
        }
        for (_, slot) in self.order.validate(|slot| self.slots.get(slot).is_some()) {
            mark(slot);
        }
        assert!(seen.iter().all(|&seen| seen), "every slot is free or queued");
        let mut timed = self.wheel.as_ref().map_or_else(Vec::new, Wheel::slots);
        timed.sort_unstable();
        let has_deadline = |slot: &u32| self.slots.get(*slot).is_some_and(|e| e.deadline() != NEVER);
        let expected: Vec<u32> = (0..self.slots.used).filter(has_deadline).collect();
        assert_eq!(timed, expected, "the wheel holds the entries with a deadline and no other");
        let soonest =
            self.slots.entries.iter().flatten().map(EntryRef::deadline).filter(|&deadline| deadline != NEVER);
        assert!(soonest.min().is_none_or(|soonest| soonest >= self.due), "nothing expires before it is due");
        let entries: Vec<EntryRef> = self.slots.entries.iter().flatten().cloned().collect();
        assert_eq!(entries.len(), self.len);
        assert_eq!(entries.iter().map(EntryRef::charge).sum::<u64>(), self.charged);
        entries
    }
}

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
    use crate::shard::entry::Parts;

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
