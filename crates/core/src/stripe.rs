//! One part of the cache's bookkeeping: the slots, the order of use and the deadlines of some of the keys.
//!
//! A key belongs to one stripe for good, and every change of it happens under that stripe's lock. Two
//! stripes are never locked together, and a shard of the table is locked only inside a stripe, never the
//! other way round: that is the whole lock order.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use parking_lot::{Mutex, MutexGuard};

use crate::entry::{EntryRef, NEVER};
use crate::recency::Recency;
use crate::wheel::{Step, Wheel};

/// What [`Stripe::victim`] found.
pub(crate) enum Victim {
    /// The least recently used entry of the stripe, which is older than anything elsewhere.
    Found(EntryRef),
    /// Another stripe may hold an older one.
    Elsewhere,
    /// The stripe is empty.
    Empty,
}

pub(crate) struct Stripe {
    /// By slot number. `None`: the entry is gone, and the slot waits in the recency queue to be freed.
    slots: Vec<Option<EntryRef>>,
    /// Slots that are not in the recency queue.
    free: Vec<u32>,
    live: usize,
    recency: Recency,
    /// Made when the first entry with a deadline comes.
    wheel: Option<Wheel>,
    /// A time before which nothing here expires.
    due: u64,
}

impl Default for Stripe {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            live: 0,
            recency: Recency::default(),
            wheel: None,
            due: u64::MAX,
        }
    }
}

impl Stripe {
    /// Takes in a new entry, used at `tick`.
    pub(crate) fn link(&mut self, entry: EntryRef, tick: u64, now: u64) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or_else(|_| {
                unreachable!("four thousand million entries need more memory than there is")
            })
        });
        entry.set_tick(tick);
        entry.set_slot(slot);
        self.recency.place(tick, slot);
        self.live += 1;
        self.set_deadline(slot, entry.deadline(), now);
        self.slots[slot as usize] = Some(entry);
    }

    /// Puts `new`, used at `tick`, in the place of `old`.
    ///
    /// The queue keeps the tick it saw of `old`: it is older than `tick`, which is all that it needs.
    pub(crate) fn relink(&mut self, old: &EntryRef, new: EntryRef, tick: u64, now: u64) {
        let slot = old.slot();
        new.set_tick(tick);
        new.set_slot(slot);
        if let Some(wheel) = &mut self.wheel {
            wheel.remove(slot);
        }
        self.set_deadline(slot, new.deadline(), now);
        self.slots[slot as usize] = Some(new);
    }

    fn set_deadline(&mut self, slot: u32, deadline: u64, now: u64) {
        if deadline != NEVER {
            self.due = self.due.min(deadline);
            self.wheel.get_or_insert_with(|| Wheel::new(now)).insert(slot, deadline);
        }
    }

    /// Lets go of an entry; its slot is freed when the queue comes to it.
    pub(crate) fn unlink(&mut self, entry: &EntryRef) {
        let slot = entry.slot();
        if let Some(wheel) = &mut self.wheel {
            wheel.remove(slot);
        }
        let gone = self.slots[slot as usize].take();
        debug_assert!(gone.is_some_and(|gone| gone.same(entry)));
        self.live -= 1;
        let queued = self.slots.len() - self.free.len();
        if queued > self.live + self.live / 4 + 64 {
            let Self { recency, slots, free, .. } = self;
            recency.compact(|slot| slots[slot as usize].is_none(), |slot| free.push(slot));
        }
    }

    /// Whether this very entry is in the cache.
    pub(crate) fn holds(&self, entry: &EntryRef) -> bool {
        let slot = self.slots.get(entry.slot() as usize);
        slot.is_some_and(|slot| slot.as_ref().is_some_and(|held| held.same(entry)))
    }

    /// Finds the least recently used entry, if it is no newer than `limit`.
    ///
    /// Each entry that was used since the queue saw it is placed again and costs one of `put_backs`; when
    /// they are used up, the next entry is taken as it is.
    pub(crate) fn victim(&mut self, limit: u64, put_backs: &mut u32) -> Victim {
        while let Some((seen, slot)) = self.recency.oldest() {
            let Some(entry) = &self.slots[slot as usize] else {
                self.recency.take_oldest();
                self.free.push(slot);
                continue;
            };
            if *put_backs > 0 {
                let used = entry.tick();
                if used > seen {
                    *put_backs -= 1;
                    self.recency.take_oldest();
                    self.recency.place(used, slot);
                    continue;
                }
                if seen > limit {
                    return Victim::Elsewhere;
                }
            }
            return Victim::Found(entry.clone());
        }
        Victim::Empty
    }

    /// Finds an entry that is expired at `now`, in at most `steps` steps of the wheel. The caller unlinks it.
    pub(crate) fn expired(&mut self, now: u64, steps: &mut u32) -> Option<EntryRef> {
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
                Step::Expired(slot) => found.clone_from(&slots[slot as usize]),
                Step::Moved => {}
                Step::Idle => break,
            }
        }
        self.due = wheel.next_due();
        found
    }

    /// Copies up to `limit` entries from slot `from` on to `out` and returns the slot to go on from, or
    /// `None` at the end. An entry keeps its slot as long as it lives, so it is met once.
    pub(crate) fn scan(&self, from: usize, limit: usize, out: &mut Vec<EntryRef>) -> Option<usize> {
        for (slot, entry) in self.slots.iter().enumerate().skip(from) {
            if out.len() >= limit {
                return Some(slot);
            }
            out.extend(entry.clone());
        }
        None
    }

    /// Recounts everything and returns the entries.
    ///
    /// # Panics
    /// If slots, free list, queue, wheel and counters do not agree.
    #[cfg(any(test, feature = "validate"))]
    pub(crate) fn validate(&self) -> Vec<EntryRef> {
        let mut seen = vec![false; self.slots.len()];
        let mut mark =
            |slot: u32| assert!(!std::mem::replace(&mut seen[slot as usize], true), "slot used twice");
        for &slot in &self.free {
            assert!(self.slots[slot as usize].is_none(), "a free slot is empty");
            mark(slot);
        }
        for (tick, slot) in self.recency.items() {
            mark(slot);
            assert!(tick >= self.recency.lower_bound(), "nothing is older than the bound");
        }
        assert!(seen.iter().all(|&seen| seen), "every slot is free or queued");
        let mut timed = self.wheel.as_ref().map_or_else(Vec::new, Wheel::slots);
        timed.sort_unstable();
        let has_deadline =
            |slot: &u32| self.slots[*slot as usize].as_ref().is_some_and(|e| e.deadline() != NEVER);
        let expected: Vec<u32> = (0..).take(self.slots.len()).filter(has_deadline).collect();
        assert_eq!(timed, expected, "the wheel holds the entries with a deadline and no other");
        let entries: Vec<EntryRef> = self.slots.iter().flatten().cloned().collect();
        assert_eq!(entries.len(), self.live);
        entries
    }
}

/// A stripe behind its lock, with what other threads may know without it.
#[derive(Default)]
pub(crate) struct StripeCell {
    stripe: CachePadded<Mutex<Stripe>>,
    /// No entry of the stripe was last used before this tick.
    oldest: AtomicU64,
    /// No entry of the stripe expires before this ms.
    due: AtomicU64,
}

impl StripeCell {
    pub(crate) fn new() -> Self {
        let cell = Self::default();
        drop(cell.lock());
        cell
    }

    pub(crate) fn lock(&self) -> LockedStripe<'_> {
        LockedStripe { stripe: self.stripe.lock(), cell: self }
    }

    pub(crate) fn oldest(&self) -> u64 {
        self.oldest.load(Ordering::Relaxed)
    }

    pub(crate) fn due(&self) -> u64 {
        self.due.load(Ordering::Relaxed)
    }
}

/// The lock of a stripe. What is published is brought up to date when it goes.
pub(crate) struct LockedStripe<'a> {
    stripe: MutexGuard<'a, Stripe>,
    cell: &'a StripeCell,
}

impl Deref for LockedStripe<'_> {
    type Target = Stripe;
    fn deref(&self) -> &Stripe {
        &self.stripe
    }
}

impl DerefMut for LockedStripe<'_> {
    fn deref_mut(&mut self) -> &mut Stripe {
        &mut self.stripe
    }
}

impl Drop for LockedStripe<'_> {
    fn drop(&mut self) {
        self.cell.oldest.store(self.stripe.recency.lower_bound(), Ordering::Relaxed);
        self.cell.due.store(self.stripe.due, Ordering::Relaxed);
    }
}
