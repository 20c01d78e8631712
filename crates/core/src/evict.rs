//! Making room: the expired first, then the least recently used entry of the whole cache.

use crate::bounds::Bound;
use crate::cache::{Cache, charge};
use crate::clock::Clock;
use crate::entry::{EntryRef, NEVER};
use crate::stats::Event;
use crate::stripe::{Stripe, Victim};

/// Entries that one eviction may place again because they were used. Without a limit, the first eviction
/// after every entry was used would have to visit them all.
const PUT_BACKS: u32 = 256;

/// Steps of the timer wheels that one eviction may take to find an expired entry.
const EXPIRY_STEPS: u32 = 256;

impl<C: Clock> Cache<C> {
    /// Takes an entry that is still in the cache out of it.
    pub(crate) fn forget(&self, stripe: &mut Stripe, entry: &EntryRef, event: Event) {
        // Before the entry goes: a value older than it must not come after it.
        self.versions.remember(self.table.hash(entry.key()), entry.written());
        self.table.remove(entry);
        stripe.unlink(entry);
        self.bounds.release_entry(charge(entry));
        self.stats.count(event);
    }

    /// Takes this very entry out if it is still there; a newer one under its key stays.
    pub(crate) fn discard(&self, entry: &EntryRef, event: Event) {
        let mut stripe = self.stripe(self.table.hash(entry.key())).lock();
        if stripe.holds(entry) {
            self.forget(&mut stripe, entry, event);
        }
    }

    /// Removes one entry because of `bound`. When nothing is there to remove, all room is held by writes of
    /// other threads that are about to finish.
    pub(crate) fn evict(&self, bound: Bound, now: u64) {
        if self.evict_expired(now) || self.evict_oldest(bound) {
            return;
        }
        std::thread::yield_now();
    }

    fn evict_expired(&self, now: u64) -> bool {
        let mut steps = EXPIRY_STEPS;
        for cell in &self.stripes {
            if cell.due() > now {
                continue;
            }
            let mut stripe = cell.lock();
            if let Some(entry) = stripe.expired(now, &mut steps) {
                self.forget(&mut stripe, &entry, Event::Expire);
                return true;
            }
        }
        false
    }

    fn evict_oldest(&self, bound: Bound) -> bool {
        let event = match bound {
            Bound::Entries => Event::EvictForEntries,
            Bound::Bytes => Event::EvictForBytes,
        };
        let mut put_backs = PUT_BACKS;
        loop {
            // The stripe that may hold the oldest entry, and how old the others may be.
            let (mut oldest, mut limit, mut chosen) = (u64::MAX, u64::MAX, None);
            for cell in &self.stripes {
                let bound = cell.oldest();
                if bound < oldest {
                    (limit, oldest, chosen) = (oldest, bound, Some(cell));
                } else {
                    limit = limit.min(bound);
                }
            }
            let Some(cell) = chosen else { return false };
            let mut stripe = cell.lock();
            match stripe.victim(limit, &mut put_backs) {
                Victim::Found(entry) => {
                    let expired = entry.deadline() != NEVER && entry.deadline() <= self.clock.now_ms();
                    self.forget(&mut stripe, &entry, if expired { Event::Expire } else { event });
                    return true;
                }
                Victim::Elsewhere | Victim::Empty => {}
            }
        }
    }
}
