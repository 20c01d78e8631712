//! Making room: the expired first, then what the policy says, of the whole cache.

use crate::cache::{Cache, charge};
use crate::options::Policy;
use crate::shard::bounds::{Bound, Room};
use crate::shard::entry::{EntryRef, NEVER};
use crate::shard::{PutBacks, Queue, Stripe, Stripes, Victim};
use crate::stats::Event;
use crate::sync::thread_slot::Lane;
use crate::sync::yield_now;
use crate::time::clock::Clock;

/// Entries that one eviction may place again because they were used; then the one of them goes that was used least.
/// Without a limit, the first eviction after every entry was used would have to visit them all.
const PUT_BACKS: u32 = 256;

/// Steps of the timer wheels that one eviction may take to find an expired entry.
const EXPIRY_STEPS: u32 = 256;

impl<C: Clock> Cache<C> {
    /// Takes the entry in a slot out of the cache and returns what it was charged, which stays reserved.
    fn detach(&self, stripe: &mut Stripe, slot: u32, hash: u64, event: Event) -> u64 {
        let entry = stripe.unlink(slot);
        // Before the entry goes: a value older than it must not come after it.
        self.versions.remember(hash, entry.written());
        self.table.remove(hash, &entry);
        // What was cleared with its namespace was counted then.
        if self.spaces.left(&entry) {
            self.count(entry.space(), Lane::current(), event);
        }
        let bytes = charge(&entry);
        stripe.dispose(entry);
        bytes
    }

    /// Takes the entry in a slot out of the cache.
    pub(crate) fn forget(&self, stripe: &mut Stripe, slot: u32, hash: u64, event: Event) {
        let bytes = self.detach(stripe, slot, hash, event);
        self.bounds.release(1, bytes);
    }

    /// Takes this very entry out if it is still there; a newer one under its key stays.
    pub(crate) fn discard(&self, entry: &EntryRef, event: Event) {
        let hash = self.table.hash(entry.key());
        let mut stripe = self.stripes.lock(Stripes::of(hash));
        if stripe.holds(entry) {
            self.forget(&mut stripe, entry.slot(), hash, event);
        }
    }

    /// Removes one entry because of `bound` and adds what it held to `room`. When nothing is there to remove, all
    /// room is held by writes of other threads, who may wait for this one's.
    pub(crate) fn evict(&self, bound: Bound, now: u64, room: &mut Room<'_>) {
        if !self.evict_expired(now, room) && !self.evict_by_policy(bound, now, room) {
            room.release();
            yield_now();
        }
    }

    fn evict_expired(&self, now: u64, room: &mut Room<'_>) -> bool {
        let mut steps = EXPIRY_STEPS;
        for number in self.stripes.due(now) {
            let mut stripe = self.stripes.lock(number);
            if let Some(slot) = stripe.expired(now, &mut steps) {
                let hash = self.table.hash(stripe.entry(slot).key());
                room.add_entry(self.detach(&mut stripe, slot, hash, Event::Expire));
                return true;
            }
        }
        false
    }

    /// The queue whose turn it is.
    fn queue(&self) -> Queue {
        match self.policy {
            Policy::S3Fifo if self.stripes.small() * 10 >= self.bounds.entries() => Queue::Small,
            Policy::Lru | Policy::S3Fifo => Queue::Main,
        }
    }

    fn evict_by_policy(&self, bound: Bound, now: u64, room: &mut Room<'_>) -> bool {
        let event = match bound {
            Bound::Entries => Event::EvictForEntries,
            Bound::Bytes => Event::EvictForBytes,
        };
        let mut put_backs = PutBacks::new(PUT_BACKS);
        loop {
            let queue = self.queue();
            let other = if queue == Queue::Main { Queue::Small } else { Queue::Main };
            let chosen = self.stripes.oldest(queue).map(|found| (queue, found));
            let chosen = chosen.or_else(|| self.stripes.oldest(other).map(|found| (other, found)));
            let Some((queue, (number, limit))) = chosen else { return false };
            let mut stripe = self.stripes.lock(number);
            let tick = || self.ticks.next(Lane::current());
            let slot = match stripe.victim(queue, limit, &mut put_backs, number, tick) {
                Victim::Found(slot) => slot,
                Victim::Elsewhere | Victim::Empty => continue,
                Victim::Spent => {
                    drop(stripe);
                    if self.evict_least(&mut put_backs, event, now, room) {
                        return true;
                    }
                    put_backs = PutBacks::new(PUT_BACKS);
                    continue;
                }
            };
            let entry = stripe.entry(slot);
            let hash = self.table.hash(entry.key());
            let is_expired = entry.deadline() != NEVER && entry.deadline() <= now;
            if queue == Queue::Small {
                stripe.remember(hash);
            }
            let event = if is_expired { Event::Expire } else { event };
            room.add_entry(self.detach(&mut stripe, slot, hash, event));
            return true;
        }
    }

    /// Evicts what was used least of all that was placed again; not if it was used or has gone since.
    fn evict_least(&self, put_backs: &mut PutBacks, event: Event, now: u64, room: &mut Room<'_>) -> bool {
        let Some((number, slot, tick)) = put_backs.least() else { return false };
        let mut stripe = self.stripes.lock(number);
        if !stripe.has_tick(slot, tick) {
            return false;
        }
        let entry = stripe.entry(slot);
        let hash = self.table.hash(entry.key());
        let is_expired = entry.deadline() != NEVER && entry.deadline() <= now;
        let event = if is_expired { Event::Expire } else { event };
        room.add_entry(self.detach(&mut stripe, slot, hash, event));
        true
    }
}
