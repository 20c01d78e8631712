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

use crate::policy::Policy;
use crate::policy::recency::Recency;
use crate::policy::s3fifo::S3Fifo;
use crate::shard::entry::{EntryRef, NEVER};
use crate::shard::slab::Slab;
use crate::shard::wheel::{Step, Wheel};
use crate::sync::{Mutex, MutexGuard};

/// Shards of a cache: enough to keep several writers apart.
pub(crate) const SHARDS: usize = 16;

/// What [`Shard::victim`] found.
pub(crate) enum Victim {
    /// The entry that is to go is in this slot.
    Found(u32),
    /// Another shard, or another queue, may hold it.
    Elsewhere,
    /// Everything that came up was used, and no more of it may be placed again.
    Spent,
    /// There is none.
    Empty,
}

/// What one search for a victim may still place again, and what of it would be the least loss.
pub(crate) struct PutBacks {
    left: u32,
    /// How much it was used, its shard, its slot, and the tick that it had.
    least: Option<(u64, usize, u32, u64)>,
}

impl PutBacks {
    pub(crate) fn new(most: u32) -> Self {
        Self { left: most, least: None }
    }

    /// Counts an entry that is placed again.
    fn count(&mut self, use_: u64, shard: usize, slot: u32, tick: u64) {
        self.left -= 1;
        if self.least.is_none_or(|(least, ..)| use_ < least) {
            self.least = Some((use_, shard, slot, tick));
        }
    }

    /// The shard, the slot and the tick of what was used least.
    pub(crate) fn least(&mut self) -> Option<(usize, u32, u64)> {
        self.least.take().map(|(_, shard, slot, tick)| (shard, slot, tick))
    }
}

/// Which queue a victim is looked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queue {
    /// The only one of an LRU, the main one of S3-FIFO.
    Main,
    /// The small one of S3-FIFO.
    Small,
}

/// The order in which entries leave.
enum Order {
    Lru(Recency),
    S3Fifo(Box<S3Fifo>),
}

impl Order {
    fn new(policy: Policy) -> Self {
        match policy {
            Policy::Lru => Self::Lru(Recency::default()),
            Policy::S3Fifo => Self::S3Fifo(Box::default()),
        }
    }

    fn queue(&self, queue: Queue) -> Option<&Recency> {
        match (self, queue) {
            (Self::Lru(recency), Queue::Main) => Some(recency),
            (Self::Lru(_), Queue::Small) => None,
            (Self::S3Fifo(order), Queue::Main) => Some(&order.main),
            (Self::S3Fifo(order), Queue::Small) => Some(&order.small),
        }
    }

    fn queue_mut(&mut self, queue: Queue) -> Option<&mut Recency> {
        match (self, queue) {
            (Self::Lru(recency), Queue::Main) => Some(recency),
            (Self::Lru(_), Queue::Small) => None,
            (Self::S3Fifo(order), Queue::Main) => Some(&mut order.main),
            (Self::S3Fifo(order), Queue::Small) => Some(&mut order.small),
        }
    }
}

pub(crate) struct Shard {
    /// By slot number. `None`: the entry is gone, and the slot waits in its queue to be freed, or is free.
    slots: Slab<Option<EntryRef>>,
    /// Slots that were ever used.
    used: u32,
    /// Those of them that are in no queue.
    free: Vec<u32>,
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
            slots: Slab::default(),
            used: 0,
            free: Vec::new(),
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
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = self.used;
            assert!(slot < u32::MAX, "four thousand million entries need more memory than there is");
            self.used += 1;
            self.slots.reach(slot as usize);
            slot
        });
        entry.set_slot(slot);
        match &mut self.order {
            Order::Lru(recency) => {
                entry.set_tick(tick);
                recency.place(tick, slot);
            }
            Order::S3Fifo(order) => {
                entry.set_tick(0);
                order.enter(slot, hash, tick);
            }
        }
        self.len += 1;
        self.charged += entry.charge();
        self.set_deadline(slot, entry.deadline(), now);
        self.slots[slot as usize] = Some(entry);
    }

    /// Puts `new` in the place of the entry in `slot`.
    ///
    /// The queue keeps the tick it saw of the old one: it is older than that of the new one, which is all that it
    /// needs.
    pub(crate) fn relink(&mut self, slot: u32, new: EntryRef, now: u64) {
        let from = self.entry(slot).charge();
        new.set_slot(slot);
        if let Some(old) = self.slots[slot as usize].replace(new) {
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
        self.slots[slot as usize].as_ref().unwrap_or_else(|| unreachable!("the caller found it there"))
    }

    /// As [`Shard::entry`], for [`EntryRef::overwrite`].
    pub(crate) fn entry_mut(&mut self, slot: u32) -> &mut EntryRef {
        self.slots[slot as usize].as_mut().unwrap_or_else(|| unreachable!("the caller found it there"))
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
        let gone = self.slots[slot as usize].take();
        let gone = gone.unwrap_or_else(|| unreachable!("the caller found it there"));
        self.len -= 1;
        self.charged -= gone.charge();
        if let Order::S3Fifo(order) = &mut self.order {
            order.leave(slot);
        }
        let queued = self.used as usize - self.free.len();
        if queued > self.len + self.len / 4 + 64 {
            let Self { order, slots, free, .. } = self;
            for queue in [Queue::Main, Queue::Small] {
                if let Some(queue) = order.queue_mut(queue) {
                    queue.compact(|slot| slots[slot as usize].is_none(), |slot| free.push(slot));
                }
            }
        }
        gone
    }

    /// Drops what is in the last slots; says whether there were any.
    pub(crate) fn drop_last(&mut self) -> bool {
        self.slots.pop_chunk().is_some()
    }

    /// How many entries there are, and the bytes charged for them.
    pub(crate) fn held(&self) -> (u64, u64) {
        (self.len as u64, self.charged)
    }

    /// Whether this very entry is in the cache.
    pub(crate) fn holds(&self, entry: &EntryRef) -> bool {
        let slot = self.slots.get(entry.slot() as usize);
        slot.is_some_and(|slot| slot.as_ref().is_some_and(|held| held.same(entry)))
    }

    /// Finds the entry of a queue that is to go first, if it came there no later than `limit`.
    ///
    /// Each entry that was used since the queue saw it is placed again and costs one of `put_backs`. `number` is that
    /// of this shard, and `tick` gives the time for what is placed again.
    pub(crate) fn victim(
        &mut self,
        queue: Queue,
        limit: u64,
        put_backs: &mut PutBacks,
        number: usize,
        tick: impl Fn() -> u64,
    ) -> Victim {
        loop {
            let Some(order) = self.order.queue_mut(queue) else { return Victim::Empty };
            let Some((seen, slot)) = order.oldest() else { return Victim::Empty };
            let Some(entry) = &self.slots[slot as usize] else {
                order.take_oldest();
                self.free.push(slot);
                continue;
            };
            let used = entry.tick();
            let is_used = match (&self.order, queue) {
                (Order::Lru(_), _) => used > seen,
                (Order::S3Fifo(_), Queue::Small) => seen <= limit && used > 1,
                (Order::S3Fifo(_), Queue::Main) => seen <= limit && used > 0,
            };
            if !is_used {
                if seen > limit {
                    return Victim::Elsewhere;
                }
                // The next eviction would wait for it longer than for anything else.
                let next = self.order.queue(queue).and_then(Recency::next_oldest);
                if let Some(next) = next.and_then(|slot| self.slots[slot as usize].as_ref()) {
                    next.prefetch();
                }
                return Victim::Found(slot);
            }
            if put_backs.left == 0 {
                return Victim::Spent;
            }
            match &mut self.order {
                Order::Lru(recency) => {
                    put_backs.count(used, number, slot, used);
                    recency.take_oldest();
                    recency.place(used, slot);
                }
                Order::S3Fifo(order) if queue == Queue::Small => {
                    put_backs.count(used, number, slot, 0);
                    entry.set_tick(0);
                    order.promote(slot, tick());
                    // It may now be the main queue's turn.
                    return Victim::Elsewhere;
                }
                Order::S3Fifo(order) => {
                    put_backs.count(used, number, slot, used - 1);
                    entry.set_tick(used - 1);
                    order.main.take_oldest();
                    order.main.place(tick(), slot);
                }
            }
        }
    }

    /// Whether there is an entry in `slot` of this tick.
    pub(crate) fn has_tick(&self, slot: u32, tick: u64) -> bool {
        self.slots[slot as usize].as_ref().is_some_and(|entry| entry.tick() == tick)
    }

    /// Keeps in mind, where the policy does, that a key of this hash left by way of the small queue.
    pub(crate) fn remember(&mut self, hash: u64) {
        if let Order::S3Fifo(order) = &mut self.order {
            order.remember(hash);
        }
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
            let deadline = |slot: u32| slots[slot as usize].as_ref().map_or(NEVER, EntryRef::deadline);
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
        for slot in from..self.used as usize {
            if out.len() >= limit {
                return Some(slot);
            }
            out.extend(self.slots[slot].clone());
        }
        None
    }

    /// Recounts everything and returns the entries.
    ///
    /// # Panics
    /// If slots, free list, queues, wheel and counters do not agree.
    #[cfg(any(test, feature = "validate"))]
    pub(crate) fn validate(&self) -> Vec<EntryRef> {
        let mut seen = vec![false; self.used as usize];
        let mut mark =
            |slot: u32| assert!(!std::mem::replace(&mut seen[slot as usize], true), "slot used twice");
        for &slot in &self.free {
            assert!(self.slots[slot as usize].is_none(), "a free slot is empty");
            mark(slot);
        }
        let queued = match &self.order {
            Order::Lru(recency) => recency.items(),
            Order::S3Fifo(order) => order.validate(|slot| self.slots[slot as usize].is_some()),
        };
        for (_, slot) in queued {
            mark(slot);
        }
        assert!(seen.iter().all(|&seen| seen), "every slot is free or queued");
        for queue in [Queue::Main, Queue::Small] {
            let Some(queue) = self.order.queue(queue) else { continue };
            let bound = queue.lower_bound();
            assert!(queue.items().iter().all(|&(tick, _)| tick >= bound), "nothing is older than the bound");
        }
        let mut timed = self.wheel.as_ref().map_or_else(Vec::new, Wheel::slots);
        timed.sort_unstable();
        let has_deadline =
            |slot: &u32| self.slots[*slot as usize].as_ref().is_some_and(|e| e.deadline() != NEVER);
        let expected: Vec<u32> = (0..self.used).filter(has_deadline).collect();
        assert_eq!(timed, expected, "the wheel holds the entries with a deadline and no other");
        let soonest =
            self.slots.iter().flatten().map(EntryRef::deadline).filter(|&deadline| deadline != NEVER);
        assert!(soonest.min().is_none_or(|soonest| soonest >= self.due), "nothing expires before it is due");
        let entries: Vec<EntryRef> = self.slots.iter().flatten().cloned().collect();
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
            if let Some(order) = self.shard.order.queue(queue) {
                publish(&self.all.oldest[queue as usize][self.number], order.lower_bound());
            }
        }
        if let Order::S3Fifo(order) = &self.shard.order {
            publish(&self.all.small[self.number], order.small_len as u64);
        }
        publish(&self.all.due[self.number], self.shard.due);
        self.garbage = std::mem::take(&mut self.shard.garbage);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::shard::entry::Parts;
    use crate::{Key, Value};

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
