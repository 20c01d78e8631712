//! Making room: the expired first, then what the policy says, of the whole cache.

use crate::cache::Cache;
use crate::policy::{PutBacks, Queue, Victim};
use crate::shard::bounds::{Bound, Reservation};
use crate::shard::entry::NEVER;
use crate::stats::Event;
use crate::sync::thread_slot::ThreadSlot;
use crate::sync::yield_now;
use crate::time::clock::Clock;

/// Entries that one eviction may place again because they were used; then the one of them goes that was used least.
/// Without a limit, the first eviction after every entry was used would have to visit them all.
const PUT_BACKS: u32 = 256;

/// Steps of the timer wheels that one eviction may take to find an expired entry.
const EXPIRY_STEPS: u32 = 256;

impl<C: Clock> Cache<C> {
    /// Removes one entry because of `bound` and adds what it held to `reservation`. When nothing is there to remove, all
    /// room is held by writes of other threads, who may wait for this one's.
    pub(super) fn evict(&self, bound: Bound, now: u64, reservation: &mut Reservation<'_>) {
        if !self.evict_expired(now, reservation) && !self.evict_by_policy(bound, now, reservation) {
            reservation.release();
            yield_now();
        }
    }

    fn evict_expired(&self, now: u64, reservation: &mut Reservation<'_>) -> bool {
        let mut steps = EXPIRY_STEPS;
        for number in self.shards.due(now) {
            let mut shard = self.shards.lock(number);
            if let Some(slot) = shard.expired(now, &mut steps) {
                let hash = self.table.hash(shard.entry(slot).key());
                reservation.add_entry(self.take_slot(&mut shard, slot, hash, Event::Expire));
                return true;
            }
        }
        false
    }

    fn evict_by_policy(&self, bound: Bound, now: u64, reservation: &mut Reservation<'_>) -> bool {
        let event = match bound {
            Bound::Entries => Event::EvictForEntries,
            Bound::Bytes => Event::EvictForBytes,
        };
        let mut put_backs = PutBacks::new(PUT_BACKS);
        loop {
            let queue = self.policy.turn(|| self.shards.small(), || self.bounds.entries());
            let other = if queue == Queue::Main { Queue::Small } else { Queue::Main };
            let chosen = self.shards.oldest(queue).map(|found| (queue, found));
            let chosen = chosen.or_else(|| self.shards.oldest(other).map(|found| (other, found)));
            let Some((queue, (number, limit))) = chosen else { return false };
            let mut shard = self.shards.lock(number);
            let tick = || self.access_clock.next(ThreadSlot::current());
            let slot = match shard.victim(queue, limit, &mut put_backs, number, tick) {
                Victim::Found(slot) => slot,
                Victim::Elsewhere | Victim::Empty => continue,
                Victim::Spent => {
                    drop(shard);
                    if self.evict_least(&mut put_backs, event, now, reservation) {
                        return true;
                    }
                    put_backs = PutBacks::new(PUT_BACKS);
                    continue;
                }
            };
            let entry = shard.entry(slot);
            let hash = self.table.hash(entry.key());
            let is_expired = entry.deadline() != NEVER && entry.deadline() <= now;
            shard.evicted(queue, hash);
            let event = if is_expired { Event::Expire } else { event };
            reservation.add_entry(self.take_slot(&mut shard, slot, hash, event));
            return true;
        }
    }

    /// Evicts what was used least of all that was placed again; not if it was used or has gone since.
    fn evict_least(
        &self,
        put_backs: &mut PutBacks,
        event: Event,
        now: u64,
        reservation: &mut Reservation<'_>,
    ) -> bool {
        let Some((number, slot, access)) = put_backs.least() else { return false };
        let mut shard = self.shards.lock(number);
        if !shard.has_access(slot, access) {
            return false;
        }
        let entry = shard.entry(slot);
        let hash = self.table.hash(entry.key());
        let is_expired = entry.deadline() != NEVER && entry.deadline() <= now;
        let event = if is_expired { Event::Expire } else { event };
        reservation.add_entry(self.take_slot(&mut shard, slot, hash, event));
        true
    }
}
