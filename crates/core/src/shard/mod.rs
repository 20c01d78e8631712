//! A shard: the entries of some of the keys, with their slots, the policy that orders them, and their deadlines.
//!
//! A key belongs to one shard for good, and every change of it happens under that shard's lock. Two
//! shards are never locked together but by `clear`, in their order, and a segment of the table is locked only
//! inside a shard, never the other way round: that is the whole lock order.

pub(crate) mod bounds;
pub(crate) mod entry;
mod facts;
pub(crate) mod locks;
mod slab;
mod slots;
pub(crate) mod table;
mod ttl;
mod wheel;

use std::sync::atomic::Ordering;

use crate::policy::{Entries, Order, Policy, PutBacks, Queue, Victim};
use crate::shard::entry::{EntryRef, NEVER};
use crate::shard::slots::Slots;
use crate::shard::wheel::{Step, Wheel};

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
