//! What the calls of one thread have to return.
//!
//! The model knows nothing of recency: before the first eviction an entry must be there, after it an entry may
//! be gone. It knows nothing of the cache's hash either: where the cache may refuse or lose something because
//! two keys or tags share a place in its version table, the model allows it only if something did change.

use std::collections::HashMap;

use sark_cache_core::{
    Cache, Claim, Cursor, EntryRef, Error, InsertOptions, Inserted, Key, MAX_TAGS, ManualClock, Options,
    Value,
};

use crate::op::{Case, Fence, Name, Op};

type Owned = (Vec<u8>, u8);

fn owned(key: Key<'_>) -> Owned {
    (key.bytes.to_vec(), key.domain)
}

/// The number of a call.
type Moment = u64;

#[derive(Debug)]
struct Kept {
    value: Vec<u8>,
    encoding: u8,
    tags: Vec<Owned>,
    ttl_ms: u64,
    fresh_until: u64,
    /// `u64::MAX` for never.
    deadline: u64,
    /// The value is as fresh as some moment from the first to the second.
    born: (Moment, Moment),
}

#[derive(Debug)]
struct Lease {
    number: u64,
    owner: u64,
    ends: u64,
    tags: Vec<Owned>,
    began: Moment,
    is_awaited: bool,
}

fn check_presence(key: &Owned, found: bool, (may, must): (bool, bool)) {
    assert!(may || !found, "{key:?} was found");
    assert!(!must || found, "{key:?} was not found");
}

struct Model {
    cache: Cache<ManualClock>,
    clock: ManualClock,
    options: Options,
    start_ms: u64,
    /// Since the start.
    now_ms: u64,
    moment: Moment,
    kept: HashMap<Owned, Kept>,
    /// When keys were last written or removed.
    keys: HashMap<Owned, Moment>,
    tags: HashMap<Owned, Moment>,
    cleared: Moment,
    last_change: Moment,
    last_invalidation: Moment,
    fences: Vec<(u64, Moment)>,
    leases: HashMap<Owned, Lease>,
    held: Vec<(EntryRef, Vec<u8>)>,
    has_evicted: bool,
}

/// Runs the calls.
///
/// # Panics
/// If one of them did not return what it had to, or the cache's bookkeeping is wrong at the end.
pub fn check(case: &Case<'_>) {
    let clock = ManualClock::at(case.setup.start_ms());
    let options = case.setup.options();
    let Ok(cache) = Cache::with_clock(options.clone(), clock.clone()) else {
        panic!("a setup has valid options");
    };
    let mut model = Model {
        cache,
        clock,
        options,
        start_ms: case.setup.start_ms(),
        now_ms: 0,
        moment: 0,
        kept: HashMap::new(),
        keys: HashMap::new(),
        tags: HashMap::new(),
        cleared: 0,
        last_change: 0,
        last_invalidation: 0,
        fences: vec![(0, 0)],
        leases: HashMap::new(),
        held: Vec::new(),
        has_evicted: false,
    };
    model.fences[0].0 = model.cache.fence();
    for op in &case.ops {
        model.moment += 1;
        model.apply(op);
        model.check_bounds();
    }
    for (entry, value) in model.held.drain(..) {
        assert_eq!(entry.value(), value, "a held entry does not change");
    }
    model.cache.validate();
}

impl Model {
    fn check_bounds(&mut self) {
        let stats = self.cache.stats();
        self.has_evicted |= stats.evictions_by_entries + stats.evictions_by_bytes > 0;
        assert!(self.cache.len() <= self.options.max_entries.unwrap_or(usize::MAX));
        assert!(self.cache.bytes() <= self.options.max_bytes.unwrap_or(u64::MAX));
        assert_eq!(self.cache.is_empty(), self.cache.bytes() == 0);
    }

    /// Whether an entry has not reached `end`, a time of its own.
    fn is_before(&self, entry: &Kept, end: u64) -> bool {
        entry.deadline == u64::MAX || self.now_ms < end
    }

    /// What is under `key` for reads to which entries end at the time that `end` names.
    ///
    /// The first answer: whether it may be read. The second: whether it must be found.
    fn state(&self, key: &Owned, end: impl Fn(&Kept) -> u64) -> (bool, bool) {
        let Some(entry) = self.kept.get(key) else { return (false, false) };
        let is_in_time = self.is_before(entry, end(entry));
        let latest = |tag| self.tags.get(tag).copied().unwrap_or(0);
        let may = is_in_time && entry.tags.iter().all(|tag| latest(tag) <= entry.born.1);
        // An invalidation may hit the entries of other tags, but none without tags.
        let is_spared = entry.tags.is_empty() || self.last_invalidation <= entry.born.0;
        (may, may && is_spared && !self.has_evicted)
    }

    fn fresh(&self, key: &Owned) -> (bool, bool) {
        self.state(key, |entry| entry.fresh_until)
    }

    fn check_entry(&self, key: &Owned, entry: &EntryRef) {
        let kept = &self.kept[key];
        assert_eq!(owned(entry.key()), *key);
        assert_eq!(entry.value(), kept.value);
        assert_eq!(entry.encoding(), kept.encoding);
        assert_eq!(entry.value().as_ptr() as usize % 2, 0);
    }

    fn check_read(&self, name: Name<'_>, got: Option<&EntryRef>) {
        let key = owned(name.key());
        check_presence(&key, got.is_some(), self.fresh(&key));
        if let Some(entry) = got {
            self.check_entry(&key, entry);
        }
    }

    fn changed(&mut self, key: &Owned) {
        self.keys.insert(key.clone(), self.moment);
        self.last_change = self.moment;
    }

    /// A fence for the cache, and when it was taken, where that is known.
    fn fence(&self, fence: Fence) -> (Option<u64>, Option<Moment>) {
        match fence {
            Fence::None => (None, None),
            Fence::Taken(back) => {
                let (fence, moment) =
                    self.fences[self.fences.len() - 1 - usize::from(back) % self.fences.len()];
                (Some(fence), Some(moment))
            }
            Fence::Any(fence) => (Some(fence), None),
        }
    }

    /// Whether the key or a tag changed after `moment`.
    fn overtaken(&self, key: &Owned, tags: &[Owned], moment: Moment) -> bool {
        let at = |map: &HashMap<Owned, Moment>, name| map.get(name).copied().unwrap_or(0);
        self.cleared > moment
            || at(&self.keys, key) > moment
            || tags.iter().any(|tag| at(&self.tags, tag) > moment)
    }

    fn apply(&mut self, op: &Op<'_>) {
        match *op {
            Op::Insert { .. } => self.insert(op),
            Op::Get(name) => self.check_read(name, self.cache.get(name.key()).as_ref()),
            Op::Peek(name) => self.check_read(name, self.cache.peek(name.key()).as_ref()),
            Op::Contains(name) => {
                let key = owned(name.key());
                check_presence(&key, self.cache.contains(name.key()), self.fresh(&key));
            }
            Op::Take(name) => {
                let taken = self.cache.take(name.key());
                self.check_read(name, taken.as_ref());
                self.removed(name);
            }
            Op::Remove(name) => {
                let key = owned(name.key());
                let removed = self.cache.remove(name.key());
                check_presence(&key, removed, self.fresh(&key));
                self.removed(name);
            }
            Op::GetStale(name) => self.get_stale(name),
            Op::IsDue(name, part) => self.is_due(name, part),
            Op::RemainingTtl(name) => self.remaining_ttl(name),
            Op::Hold(name) => {
                if let Some(entry) = self.cache.peek(name.key()) {
                    self.check_read(name, Some(&entry));
                    let value = entry.value().to_vec();
                    self.held.push((entry, value));
                }
            }
            Op::LetGo => {
                if let Some((entry, value)) = self.held.pop() {
                    assert_eq!(entry.value(), value, "a held entry does not change");
                }
            }
            Op::Fence => self.fences.push((self.cache.fence(), self.moment)),
            Op::Permits { key, fence, ref tags } => self.permits(key, fence, tags),
            Op::Purge(budget) => self.purge(budget.into()),
            Op::Scan { shard, slot, limit } => {
                let (entries, _) = self.cache.scan(Cursor { shard, slot }, limit.into());
                assert!(entries.len() <= usize::from(limit).max(1));
                for entry in entries {
                    let key = owned(entry.key());
                    check_presence(&key, true, self.fresh(&key));
                    self.check_entry(&key, &entry);
                }
            }
            Op::Keys => self.all_keys(),
            Op::Clear => {
                self.cache.clear();
                assert_eq!((self.cache.len(), self.cache.bytes()), (0, 0));
                self.kept.clear();
                self.cleared = self.moment;
                self.last_change = self.moment;
            }
            Op::InvalidateTag(tag) => {
                self.cache.invalidate_tag(tag.key());
                self.tags.insert(owned(tag.key()), self.moment);
                self.last_change = self.moment;
                self.last_invalidation = self.moment;
            }
            Op::Claim { .. } => self.claim(op),
            Op::Complete { key, lease } => self.complete(key, lease),
            Op::Release(owner) => {
                self.cache.release(owner.into());
                self.leases.retain(|_, lease| lease.owner != u64::from(owner));
            }
            Op::Advance(ms) => self.advance(ms.into()),
            Op::AdvanceFar(ms) => self.advance(ms),
            Op::ResetStats => self.cache.reset_stats(),
        }
    }

    fn advance(&mut self, ms: u64) {
        self.clock.advance(ms);
        self.now_ms = self.now_ms.saturating_add(ms).min(u64::MAX - self.start_ms);
    }

    fn removed(&mut self, name: Name<'_>) {
        let key = owned(name.key());
        self.kept.remove(&key);
        self.changed(&key);
    }

    fn insert(&mut self, op: &Op<'_>) {
        let &Op::Insert { key: ref name, ref text, encoding, ttl, grace_ms, fence, ref tags, more_tags } = op
        else {
            return;
        };
        let bytes = text.bytes();
        let tags = Op::tags(tags, more_tags);
        let (fence, taken) = self.fence(fence);
        let grace_ms = grace_ms.unwrap_or(0);
        let options =
            InsertOptions { ttl_ms: ttl.ms(), grace_ms, fence, tags: &tags, ..InsertOptions::default() };
        let outcome = self.cache.insert(name.key(), Value { bytes: &bytes, encoding }, options);
        if tags.len() > MAX_TAGS {
            assert_eq!(outcome, Err(Error::TooManyTags));
            return;
        }
        let Ok(outcome) = outcome else { panic!("{outcome:?}") };

        let key = owned(name.key());
        let tags: Vec<Owned> = tags.into_iter().map(owned).collect();
        if let Some(moment) = taken {
            let is_fenced = outcome == Inserted::Fenced;
            assert!(is_fenced || !self.overtaken(&key, &tags, moment), "{outcome:?} after a change");
            assert!(!is_fenced || self.last_change > moment, "fenced without a change");
        }
        if outcome == Inserted::Fenced {
            assert!(fence.is_some());
            return;
        }
        let ttl_ms = ttl.ms().or(self.options.default_ttl_ms).unwrap_or(u64::MAX);
        let most = self.options.max_entry_bytes.into_iter().chain(self.options.max_bytes).min();
        let most = most.unwrap_or(u64::MAX);
        let payload = (key.0.len() + bytes.len()) as u64;
        match outcome {
            Inserted::Expired => assert_eq!(ttl_ms, 0),
            Inserted::TooLarge => assert!(payload + 300 > most, "{payload} of {most} are not too many"),
            _ => assert!(ttl_ms > 0 && payload < most, "{payload} of {most}, {ttl_ms} ms"),
        }
        self.changed(&key);
        self.kept.remove(&key);
        if outcome != Inserted::Stored {
            return;
        }
        let grace_ms = if ttl_ms == u64::MAX { 0 } else { u64::from(grace_ms) };
        let deadline = self.now_ms.saturating_add(ttl_ms).saturating_add(grace_ms);
        // What would expire more than 278 years after the cache was made does not.
        let deadline = if deadline >= (1 << 43) - 1 { u64::MAX } else { deadline };
        let born = match (fence, taken) {
            (None, _) => (self.moment, self.moment),
            (_, Some(moment)) => (moment, moment),
            // How old such a fence is nobody knows.
            _ => (0, self.moment),
        };
        let kept = Kept {
            value: bytes.into_owned(),
            encoding,
            tags,
            ttl_ms,
            fresh_until: if deadline == u64::MAX { deadline } else { deadline - grace_ms },
            deadline,
            born,
        };
        self.kept.insert(key, kept);
    }

    fn get_stale(&self, name: Name<'_>) {
        let key = owned(name.key());
        let got = self.cache.get_stale(name.key());
        check_presence(&key, got.is_some(), self.state(&key, |entry| entry.deadline));
        let Some((entry, stale_ms)) = got else { return };
        self.check_entry(&key, &entry);
        let kept = &self.kept[&key];
        let expect = match kept.deadline {
            u64::MAX => 0,
            _ if self.now_ms < kept.fresh_until => 0,
            _ => (self.now_ms - kept.fresh_until).max(1),
        };
        assert_eq!(stale_ms, expect);
    }

    fn is_due(&self, name: Name<'_>, part: f64) {
        let key = owned(name.key());
        let is_due = self.cache.is_due(name.key(), part);
        let (may, must) = self.fresh(&key);
        let Some(kept) = self.kept.get(&key).filter(|_| may) else {
            return assert!(!is_due, "an entry that cannot be read is not due");
        };
        if kept.deadline == u64::MAX {
            return assert!(!is_due, "an entry that does not expire is not due");
        }
        let (Ok(ttl), Ok(left)) = (u32::try_from(kept.ttl_ms), u32::try_from(kept.fresh_until - self.now_ms))
        else {
            return;
        };
        let fits = is_due == (f64::from(left) <= f64::from(ttl) * part);
        assert!(fits || (!must && !is_due), "{left} of {ttl} ms left, {part}");
    }

    fn remaining_ttl(&self, name: Name<'_>) {
        let key = owned(name.key());
        let left = self.cache.remaining_ttl_ms(name.key());
        check_presence(&key, left.is_some(), self.fresh(&key));
        if let Some(left) = left {
            let kept = &self.kept[&key];
            let expires = kept.deadline != u64::MAX;
            assert_eq!(left, expires.then(|| kept.fresh_until - self.now_ms));
        }
    }

    fn permits(&self, name: Name<'_>, fence: Fence, tags: &[Option<Name<'_>>]) {
        let tags = Op::tags(tags, 0);
        let (Some(fence), taken) = self.fence(fence) else { return };
        let permits = self.cache.permits(name.key(), fence, &tags);
        let Some(moment) = taken else { return };
        let tags: Vec<Owned> = tags.into_iter().map(owned).collect();
        assert!(!permits || !self.overtaken(&owned(name.key()), &tags, moment));
        assert!(permits || self.last_change > moment);
    }

    fn purge(&self, budget: usize) {
        let before = self.cache.len();
        let purge = self.cache.purge_expired(budget);
        assert!(purge.removed <= budget);
        assert_eq!(self.cache.len(), before - purge.removed);
        if purge.done && !self.has_evicted && self.last_invalidation == 0 {
            let left = self.kept.values().filter(|entry| self.is_before(entry, entry.deadline)).count();
            assert_eq!(self.cache.len(), left, "what is left is what has not expired");
        }
    }

    fn all_keys(&self) {
        let mut keys: Vec<Owned> = Vec::new();
        for entry in self.cache.keys() {
            let key = owned(entry.key());
            check_presence(&key, true, self.fresh(&key));
            self.check_entry(&key, &entry);
            keys.push(key);
        }
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count, "each key comes once");
        for key in self.kept.keys() {
            let is_there = keys.binary_search(key).is_ok();
            check_presence(key, is_there, self.fresh(key));
        }
    }

    fn claim(&mut self, op: &Op<'_>) {
        let &Op::Claim { key: ref name, ref tags, owner, timeout_ms } = op else { return };
        let tags = Op::tags(tags, 0);
        let timeout_ms = timeout_ms.ms().unwrap_or(0);
        let Ok(claim) = self.cache.claim(name.key(), &tags, owner.into(), timeout_ms) else {
            panic!("two tags are not too many");
        };
        let key = owned(name.key());
        let tags: Vec<Owned> = tags.into_iter().map(owned).collect();
        let is_current = self.leases.get(&key).filter(|lease| self.now_ms < lease.ends).filter(|lease| {
            // Of the tags of the lease, and of those of whoever asks.
            !self.overtaken(&key, &lease.tags, lease.began) && !self.overtaken(&key, &tags, lease.began)
        });
        match claim {
            Claim::Taken => {
                assert!(is_current.is_some(), "nobody loads {key:?}");
                if let Some(lease) = self.leases.get_mut(&key) {
                    lease.is_awaited = true;
                }
            }
            Claim::Granted { lease: number, fence } => {
                let is_untouched = is_current.is_some_and(|lease| self.last_change <= lease.began);
                assert!(!is_untouched, "two loads of {key:?}");
                let ends = self.now_ms.saturating_add(timeout_ms);
                let began = self.moment;
                let lease = Lease { number, owner: owner.into(), ends, tags, began, is_awaited: false };
                self.leases.insert(key, lease);
                self.fences.push((fence, self.moment));
            }
        }
        assert!(self.cache.leases() <= self.leases.len());
    }

    fn complete(&mut self, name: Name<'_>, number: Option<u64>) {
        let key = owned(name.key());
        let own = self.leases.get(&key).map(|lease| lease.number);
        let Some(number) = number.or(own) else { return };
        let was_awaited = self.cache.complete(name.key(), number);
        if own == Some(number) {
            let expect = self.leases.remove(&key).is_some_and(|lease| lease.is_awaited);
            assert_eq!(was_awaited, expect);
        } else {
            assert!(!was_awaited, "nobody waits for a lease that is over");
        }
    }
}
