//! A hierarchical timer wheel: finds the slots whose deadline has passed without looking at the others.
//!
//! After G. Varghese and T. Lauck, "Hashed and Hierarchical Timing Wheels" (SOSP '87): eleven levels of 64
//! buckets, a bucket of level *n* spanning 64ⁿ ms, which together span every `u64`. A slot lies at the level
//! of the highest group of six bits in which its deadline differs from the wheel's time, and moves down a
//! level each time the wheel reaches its bucket. A bitmap a level finds the next bucket without a walk, so
//! the work is bounded by the slots that are moved and never by the time that has passed.

use crate::shard::slab::Slab;

const LEVELS: usize = 11;
const BITS: u32 = 6;
const BUCKETS: usize = 1 << BITS;

const NIL: u32 = u32::MAX;
/// Set in a `prev` that names a bucket rather than a slot.
const IS_BUCKET: u32 = 1 << 31;

#[derive(Clone, Copy)]
struct Link {
    /// The slot before, or the bucket (with [`IS_BUCKET`]) of which this is the first; `NIL` if not linked.
    prev: u32,
    next: u32,
}

const UNLINKED: Link = Link { prev: NIL, next: NIL };

impl Default for Link {
    fn default() -> Self {
        UNLINKED
    }
}

/// What one step of [`Wheel::step`] did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// This slot's deadline has passed; it is no longer in the wheel.
    Expired(u32),
    /// A slot was moved to a finer level, or further away.
    Moved,
    /// Nothing is due.
    Idle,
}

pub(crate) struct Wheel {
    /// The ms up to which everything has been looked at.
    time: u64,
    /// Which buckets of each level hold something.
    occupied: [u64; LEVELS],
    first: Box<[u32; LEVELS * BUCKETS]>,
    /// By slot. The wheel's lists run through it.
    links: Slab<Link>,
}

impl Wheel {
    pub(crate) fn new(now: u64) -> Self {
        Self {
            time: now,
            occupied: [0; LEVELS],
            first: Box::new([NIL; LEVELS * BUCKETS]),
            links: Slab::default(),
        }
    }

    fn bucket(&self, deadline: u64) -> usize {
        // A deadline that has passed already is due at once.
        let deadline = deadline.max(self.time);
        let level = ((self.time ^ deadline) | 1).ilog2() / BITS;
        let index = (deadline >> (level * BITS)) & (BUCKETS as u64 - 1);
        level as usize * BUCKETS + usize::try_from(index).unwrap_or_else(|_| unreachable!("below 64"))
    }

    /// Puts a slot in that is not in the wheel.
    pub(crate) fn insert(&mut self, slot: u32, deadline: u64) {
        let bucket = self.bucket(deadline);
        let index = slot as usize;
        self.links.reach(index);
        debug_assert_eq!(self.links[index].prev, NIL);
        let next = self.first[bucket];
        self.links[index] = Link { prev: IS_BUCKET | u32::try_from(bucket).unwrap_or(NIL), next };
        if next != NIL {
            self.links[next as usize].prev = slot;
        }
        self.first[bucket] = slot;
        self.occupied[bucket / BUCKETS] |= 1 << (bucket % BUCKETS);
    }

    /// Takes a slot out; one that is not in the wheel stays out.
    pub(crate) fn remove(&mut self, slot: u32) {
        let Some(link) = self.links.get_mut(slot as usize) else { return };
        let Link { prev, next } = std::mem::replace(link, UNLINKED);
        if prev == NIL {
            return;
        }
        if next != NIL {
            self.links[next as usize].prev = prev;
        }
        if prev & IS_BUCKET == 0 {
            self.links[prev as usize].next = next;
            return;
        }
        let bucket = (prev & !IS_BUCKET) as usize;
        self.first[bucket] = next;
        if next == NIL {
            self.occupied[bucket / BUCKETS] &= !(1 << (bucket % BUCKETS));
        }
    }

    /// The bucket whose span begins first, and when it begins.
    fn next_bucket(&self) -> Option<(u64, usize)> {
        (0..LEVELS)
            .filter(|&level| self.occupied[level] != 0)
            .map(|level| {
                // All slots of a level agree with `time` in the bits above it, so there is no wrap-around.
                let index = self.occupied[level].trailing_zeros();
                let shift = u32::try_from(level).unwrap_or(0) * BITS;
                let above = self.time.checked_shr(shift + BITS).map_or(0, |bits| bits << BITS);
                let start = (above | u64::from(index)) << shift;
                (start, level * BUCKETS + index as usize)
            })
            // Of two that begin together the coarser comes first: it may hold slots that belong in the finer.
            .min_by_key(|&(start, bucket)| (start, std::cmp::Reverse(bucket)))
    }

    /// A time before which nothing expires; `u64::MAX` for an empty wheel.
    pub(crate) fn next_due(&self) -> u64 {
        self.next_bucket().map_or(u64::MAX, |(start, _)| start)
    }

    /// Moves or expires one slot that is due by `now`. `deadline` is that of a slot at present, which is no earlier
    /// than the one that it was put in with.
    pub(crate) fn step(&mut self, now: u64, deadline: impl Fn(u32) -> u64) -> Step {
        let Some((start, bucket)) = self.next_bucket().filter(|&(start, _)| start <= now) else {
            // Later deadlines are then told apart as finely as the distance from now allows.
            self.time = self.time.max(now);
            return Step::Idle;
        };
        self.time = self.time.max(start);
        let slot = self.first[bucket];
        self.remove(slot);
        let deadline = deadline(slot);
        // It may have been put off since the slot was put in.
        if bucket < BUCKETS && deadline <= now {
            return Step::Expired(slot);
        }
        self.insert(slot, deadline);
        Step::Moved
    }

    /// The slots in the wheel, after a check of its lists. For tests.
    #[cfg(any(test, feature = "validate"))]
    pub(crate) fn slots(&self) -> Vec<u32> {
        let mut all = Vec::new();
        for bucket in 0..LEVELS * BUCKETS {
            let mut prev = IS_BUCKET | u32::try_from(bucket).expect("small");
            let mut slot = self.first[bucket];
            assert_eq!(slot != NIL, self.occupied[bucket / BUCKETS] >> (bucket % BUCKETS) & 1 == 1);
            while slot != NIL {
                assert_eq!(self.links[slot as usize].prev, prev);
                all.push(slot);
                prev = slot;
                slot = self.links[slot as usize].next;
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Everything that is due at `now`.
    fn due(wheel: &mut Wheel, now: u64, deadlines: &[u64]) -> Vec<u32> {
        let mut out = Vec::new();
        loop {
            match wheel.step(now, |slot| deadlines[slot as usize]) {
                Step::Expired(slot) => out.push(slot),
                Step::Moved => {}
                Step::Idle => return out,
            }
        }
    }

    proptest! {
        #[test]
        fn expires_each_slot_at_its_deadline_and_none_before(
            origin in prop_oneof![Just(0), Just((1_u64 << 32) - 3), Just(u64::MAX - 5_000), any::<u64>()],
            ttls in prop::collection::vec(
                prop_oneof![0_u64..200, 0_u64..100_000, 0_u64..1 << 40, any::<u64>()], 1..200),
            removed in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
            waits in prop::collection::vec(
                prop_oneof![0_u64..100, 0_u64..100_000, 0_u64..1 << 41, any::<u64>()], 1..60),
        ) {
            let mut wheel = Wheel::new(origin);
            let deadlines: Vec<u64> = ttls.iter().map(|ttl| origin.saturating_add(*ttl)).collect();
            for (slot, &deadline) in (0..).zip(&deadlines) {
                wheel.insert(slot, deadline);
            }
            let mut alive: std::collections::BTreeSet<u32> = (0..).take(deadlines.len()).collect();
            for index in removed {
                let slot = u32::try_from(index.index(deadlines.len())).unwrap();
                wheel.remove(slot);
                alive.remove(&slot);
            }
            let mut now = origin;
            for wait in waits {
                now = now.saturating_add(wait);
                let expect: Vec<u32> =
                    alive.iter().copied().filter(|&slot| deadlines[slot as usize] <= now).collect();
                prop_assert_eq!(expect.is_empty() && wheel.next_due() > now, wheel.next_due() > now);
                let mut got = due(&mut wheel, now, &deadlines);
                got.sort_unstable();
                prop_assert_eq!(&got, &expect);
                alive.retain(|slot| !got.contains(slot));
                let mut left = wheel.slots();
                left.sort_unstable();
                prop_assert_eq!(left, alive.iter().copied().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_deadline_that_was_put_off_is_found_when_the_old_one_comes_up() {
        let mut wheel = Wheel::new(0);
        wheel.insert(0, 10);
        wheel.insert(1, 70_000);
        let deadlines = [5_000, 90_000];
        for (now, expired) in
            [(10, vec![]), (4_999, vec![]), (5_000, vec![0]), (89_999, vec![]), (90_000, vec![1])]
        {
            assert_eq!(due(&mut wheel, now, &deadlines), expired, "at {now}");
        }
        assert!(wheel.slots().is_empty());
    }

    #[test]
    fn a_bucket_half_moved_down_takes_new_slots_and_removals() {
        let mut deadlines = vec![5_000; 100];
        let mut wheel = Wheel::new(0);
        for slot in 0..100 {
            wheel.insert(slot, 5_000);
        }
        for _ in 0..30 {
            assert_eq!(wheel.step(4_100, |slot| deadlines[slot as usize]), Step::Moved);
        }
        deadlines.push(4_100);
        wheel.insert(100, 4_100);
        for slot in 0..50 {
            wheel.remove(slot);
        }
        assert_eq!(due(&mut wheel, 4_999, &deadlines), vec![100]);
        assert_eq!(due(&mut wheel, 5_000, &deadlines).len(), 50);
        assert!(wheel.slots().is_empty());
    }
}
