//! What is known of the record of changes behind a tiered cache, and the lease by which its reads are answered.
//!
//! A read takes the lease, looks the entry up, and only then reads the clock: it is answered if the lease it took lasts
//! until now. Whoever extends the lease has applied all changes that the extension vouches for, and publishes it with
//! a release that the reader's acquire meets. So a reader who is answered under an extension has looked at a cache in
//! which those changes were made; one that took the lease after the look might have looked before them. A thread that
//! stood still between two of these steps finds, when it wakes, that the lease it took has run out.

use std::collections::HashMap;

use crate::key::Key;
use crate::sync::{AtomicU64, Mutex, Ordering};

/// A lease that does not end. In a plain cache there is none that did.
const FOR_EVER: u64 = u64::MAX;

/// Pending changes that are kept one by one.
const MOST_PENDING: usize = 1_024;

/// Acknowledged changes that are kept one by one.
const MOST_ACKNOWLEDGED: usize = 4_096;

/// The name that stands for the removal of everything.
const EVERYTHING: &[u8] = b"c";

/// The name of a change, in any alphabet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeName {
    /// Its bytes, as those of a key.
    pub bytes: Box<[u8]>,
    /// What they mean, as of a key.
    pub domain: u8,
}

impl ChangeName {
    fn everything() -> Self {
        Self { bytes: EVERYTHING.into(), domain: 0 }
    }
}

impl From<Key<'_>> for ChangeName {
    fn from(key: Key<'_>) -> Self {
        Self { bytes: key.bytes.into(), domain: key.domain }
    }
}

/// A place in the record: an epoch of it, of which 0 is none, and a sequence number within.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moment {
    /// The epoch.
    pub epoch: u64,
    /// The sequence number.
    pub sequence: u64,
}

struct Acknowledged {
    epoch: u64,
    /// The ms of the cache's clock from which on it is not delivered again.
    until: u64,
    name: ChangeName,
}

#[derive(Default)]
struct State {
    seen: Moment,
    position: Moment,
    /// By number, the oldest first.
    pending: Vec<(u64, ChangeName)>,
    acknowledged: Vec<Acknowledged>,
    last_number: u64,
}

impl State {
    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn pend(&mut self, names: impl IntoIterator<Item = ChangeName>) {
        for name in names {
            let number = self.number();
            self.pending.push((number, name));
        }
        if self.pending.len() > MOST_PENDING {
            self.pending = vec![(self.number(), ChangeName::everything())];
        }
    }

    fn forget(&mut self, now: u64) {
        self.acknowledged.retain(|one| now < one.until);
    }

    /// Leaves one removal of everything for each epoch.
    fn shorten(&mut self) {
        let mut untils = HashMap::<u64, u64>::new();
        for one in self.acknowledged.drain(..) {
            let until = untils.entry(one.epoch).or_default();
            *until = one.until.max(*until);
        }
        let everything = |(epoch, until)| Acknowledged { epoch, until, name: ChangeName::everything() };
        self.acknowledged = untils.into_iter().map(everything).collect();
    }
}

/// One in each cache; of use in a tiered one.
pub struct Follow {
    is_tiered: bool,
    /// The ms of the cache's clock from which on no read is answered.
    until: AtomicU64,
    /// The owner who follows the changes; 0 for none.
    role: AtomicU64,
    /// Locked by whoever changes `until`, for that depends on the epoch.
    state: Mutex<State>,
}

/// A lease as a read took it, before it looked for an entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken(u64);

impl Taken {
    /// Whether a read may be answered with what was found since. The clock is read when it is asked for.
    pub(crate) fn answers(self, now: impl FnOnce() -> u64) -> bool {
        self.0 == FOR_EVER || now() < self.0
    }
}

impl Follow {
    pub(crate) fn new(is_tiered: bool) -> Self {
        Self {
            is_tiered,
            until: AtomicU64::new(if is_tiered { 0 } else { FOR_EVER }),
            role: AtomicU64::new(0),
            state: Mutex::new(State::default()),
        }
    }

    /// Whether reads ask for a lease.
    #[must_use]
    pub fn is_tiered(&self) -> bool {
        self.is_tiered
    }

    /// The lease as it is, before anything is looked at that is to be answered under it.
    pub(crate) fn take(&self) -> Taken {
        Taken(if self.is_tiered { self.until.load(Ordering::Acquire) } else { FOR_EVER })
    }

    /// Has reads answered up to `until`, if that is later than before and `epoch` is the one that was seen last; says
    /// whether it is. What was applied before is seen by every read that is answered so. `u64::MAX` is for ever.
    pub fn extend(&self, epoch: u64, until: u64) -> bool {
        let state = self.state.lock();
        let is_current = epoch != 0 && epoch == state.seen.epoch;
        if is_current {
            self.until.fetch_max(until, Ordering::Release);
        }
        is_current
    }

    /// Makes every read a miss until the lease is extended.
    pub fn suspend(&self) {
        let _state = self.state.lock();
        if self.is_tiered {
            self.until.store(0, Ordering::Release);
        }
    }

    /// The ms of the cache's clock up to which reads are answered; `u64::MAX` for ever.
    #[must_use]
    pub fn held_until(&self) -> u64 {
        self.until.load(Ordering::Acquire)
    }

    /// The newest moment that was told of.
    #[must_use]
    pub fn seen(&self) -> Moment {
        self.state.lock().seen
    }

    /// Notes what was told; `false` if its epoch is one that was left behind. A newer one ends the lease.
    pub fn saw(&self, epoch: u64, sequence: u64) -> bool {
        let mut state = self.state.lock();
        if epoch < state.seen.epoch {
            return false;
        }
        if epoch > state.seen.epoch {
            state.seen = Moment { epoch, sequence };
            if self.is_tiered {
                self.until.store(0, Ordering::Release);
            }
        }
        state.seen.sequence = state.seen.sequence.max(sequence);
        true
    }

    /// Asks to be the one who follows the changes, as an owner that is not 0; says whether it is.
    pub fn follow(&self, owner: u64) -> bool {
        let taken = self.role.compare_exchange(0, owner, Ordering::AcqRel, Ordering::Acquire);
        taken.is_ok() || taken == Err(owner)
    }

    /// Has somebody else follow the changes, if `owner` does.
    pub fn unfollow(&self, owner: u64) {
        let _ = self.role.compare_exchange(owner, 0, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Up to which moment changes are applied.
    #[must_use]
    pub fn position(&self) -> Moment {
        self.state.lock().position
    }

    /// Says up to which moment changes are applied.
    pub fn advance(&self, epoch: u64, sequence: u64) {
        self.state.lock().position = Moment { epoch, sequence };
    }

    /// Notes changes that were not acknowledged. Of more than 1 024 one is left, the removal of everything.
    pub fn pend(&self, names: impl IntoIterator<Item = ChangeName>) {
        self.state.lock().pend(names);
    }

    /// What was not acknowledged, the oldest first, each under a number of its own.
    #[must_use]
    pub fn pending(&self) -> Vec<(u64, ChangeName)> {
        self.state.lock().pending.clone()
    }

    /// How many those are.
    #[must_use]
    pub fn pending_count(&self) -> usize {
        self.state.lock().pending.len()
    }

    /// Strikes off what was delivered, by number.
    pub fn delivered(&self, numbers: &[u64]) {
        let numbers: std::collections::HashSet<&u64> = numbers.iter().collect();
        self.state.lock().pending.retain(|(number, _)| !numbers.contains(number));
    }

    /// Notes changes that were acknowledged in an epoch, to be kept for `ms` from `now` on; of more than 4 096 one is
    /// left for each epoch, the removal of everything.
    pub fn acknowledged(&self, epoch: u64, names: impl IntoIterator<Item = ChangeName>, now: u64, ms: u64) {
        let until = now.saturating_add(ms);
        let mut state = self.state.lock();
        for name in names {
            state.acknowledged.push(Acknowledged { epoch, until, name });
        }
        if state.acknowledged.len() > MOST_ACKNOWLEDGED {
            state.forget(now);
            if state.acknowledged.len() > MOST_ACKNOWLEDGED {
                state.shorten();
            }
        }
    }

    /// Makes what was acknowledged in another epoch than this one, and is kept at `now`, pending again.
    pub fn redeliver(&self, epoch: u64, now: u64) {
        let mut state = self.state.lock();
        state.forget(now);
        let all = std::mem::take(&mut state.acknowledged);
        let (kept, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| one.epoch == epoch);
        state.acknowledged = kept;
        state.pend(others.into_iter().map(|one| one.name));
    }
}

/// What a read is answered with, in every order of the steps.
#[cfg(all(test, loom))]
mod explored {
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicBool, AtomicU64};
    use loom::thread;

    use super::*;

    /// A change is applied, and then a lease is extended that vouches for it: a reader who is answered under that lease
    /// sees the change.
    #[test]
    fn who_is_answered_under_an_extended_lease_sees_what_was_applied_before() {
        loom::model(|| {
            let (follow, applied) = (Arc::new(Follow::new(true)), Arc::new(AtomicBool::new(false)));
            follow.saw(1, 0);
            follow.extend(1, 10);
            let follower = {
                let (follow, applied) = (Arc::clone(&follow), Arc::clone(&applied));
                thread::spawn(move || {
                    applied.store(true, Ordering::Relaxed);
                    follow.extend(1, 20);
                })
            };
            let taken = follow.take();
            let seen = applied.load(Ordering::Relaxed);
            // At 15 the first lease has run out.
            assert!(!taken.answers(|| 15) || seen);
            follower.join().unwrap();
        });
    }

    /// A newer epoch is met while the follower of the old one extends the lease: once whoever met it has returned,
    /// nobody is answered, and the old epoch extends nothing.
    #[test]
    fn a_newer_epoch_ends_the_lease_whoever_extends_it() {
        loom::model(|| {
            let (follow, met) = (Arc::new(Follow::new(true)), Arc::new(AtomicBool::new(false)));
            follow.saw(1, 0);
            let follower = {
                let follow = Arc::clone(&follow);
                thread::spawn(move || follow.extend(1, 20))
            };
            let other = {
                let (follow, met) = (Arc::clone(&follow), Arc::clone(&met));
                thread::spawn(move || {
                    follow.saw(2, 0);
                    met.store(true, Ordering::Release);
                })
            };
            let was_met = met.load(Ordering::Acquire);
            assert!(!(was_met && follow.take().answers(|| 15)));
            follower.join().unwrap();
            other.join().unwrap();
            assert!(!follow.take().answers(|| 0));
        });
    }

    /// A lease is suspended, what it hid is changed, and it is held again.
    #[test]
    fn who_is_answered_after_a_suspension_sees_what_was_changed_in_it() {
        loom::model(|| {
            let (follow, value) = (Arc::new(Follow::new(true)), Arc::new(AtomicU64::new(0)));
            follow.saw(1, 0);
            let follower = {
                let (follow, value) = (Arc::clone(&follow), Arc::clone(&value));
                thread::spawn(move || {
                    follow.saw(2, 0);
                    value.store(1, Ordering::Relaxed);
                    follow.extend(2, 20);
                })
            };
            let taken = follow.take();
            let seen = value.load(Ordering::Relaxed);
            assert!(!taken.answers(|| 15) || seen == 1);
            follower.join().unwrap();
        });
    }

    /// The role is that of one at a time.
    #[test]
    fn one_follows_at_a_time() {
        loom::model(|| {
            let follow = Arc::new(Follow::new(true));
            let held = Arc::new(AtomicU64::new(0));
            let turns: Vec<_> = (1..3)
                .map(|owner| {
                    let (follow, held) = (Arc::clone(&follow), Arc::clone(&held));
                    thread::spawn(move || {
                        if follow.follow(owner) {
                            assert_eq!(held.fetch_add(1, Ordering::Relaxed), 0);
                            held.fetch_sub(1, Ordering::Relaxed);
                            follow.unfollow(owner);
                        }
                    })
                })
                .collect();
            turns.into_iter().for_each(|turn| turn.join().unwrap());
            assert!(follow.follow(3));
        });
    }
}
