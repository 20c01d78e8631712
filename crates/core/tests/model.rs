//! The cache against a model so simple that it is plainly right, op for op, victims included.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failure in a test ends it, and a skipped test says so"
)]

use proptest::prelude::*;
use sark_cache_core::{Cache, ENTRY_OVERHEAD, InsertOptions, Inserted, ManualClock, Options, Policy};

#[derive(Debug, Clone)]
enum Op {
    Get(u8),
    Peek(u8),
    Insert { key: u8, len: u16, ttl: Option<u64> },
    Remove(u8),
    Take(u8),
    Purge(usize),
    Advance(u64),
    Clear,
}

#[derive(Debug, Clone)]
struct Slot {
    key: u8,
    len: u16,
    deadline: u64,
}

/// Entries from the least to the most recently used one. Expired ones leave at once: whether the cache
/// still holds them shows nowhere but in `len` and `bytes`.
struct Model {
    entries: Vec<Slot>,
    options: Options,
    now: u64,
}

fn size(len: u16) -> u64 {
    1 + u64::from(len) + ENTRY_OVERHEAD
}

impl Model {
    fn expire(&mut self) {
        let now = self.now;
        self.entries.retain(|slot| slot.deadline > now);
    }

    fn position(&self, key: u8) -> Option<usize> {
        self.entries.iter().position(|slot| slot.key == key)
    }

    fn get(&mut self, key: u8) -> Option<u16> {
        let slot = self.entries.remove(self.position(key)?);
        self.entries.push(slot.clone());
        Some(slot.len)
    }

    fn remove(&mut self, key: u8) -> Option<u16> {
        Some(self.entries.remove(self.position(key)?).len)
    }

    fn bytes(&self) -> u64 {
        self.entries.iter().map(|slot| size(slot.len)).sum()
    }

    fn insert(&mut self, key: u8, len: u16, ttl: Option<u64>) -> Inserted {
        self.remove(key);
        let ttl = ttl.or(self.options.default_ttl_ms).unwrap_or(u64::MAX);
        if ttl == 0 {
            return Inserted::Expired;
        }
        let max_bytes = self.options.max_bytes.unwrap_or(u64::MAX);
        if size(len) > self.options.max_entry_bytes.unwrap_or(u64::MAX).min(max_bytes) {
            return Inserted::TooLarge;
        }
        let max_entries = self.options.max_entries.unwrap_or(usize::MAX);
        while self.entries.len() >= max_entries || self.bytes() + size(len) > max_bytes {
            self.entries.remove(0);
        }
        self.entries.push(Slot { key, len, deadline: self.now.saturating_add(ttl) });
        Inserted::Stored
    }
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0_u8..24;
    let ttl = prop_oneof![
        4 => Just(None),
        3 => (1_u64..60).prop_map(Some),
        2 => (1_u64..100_000).prop_map(Some),
        1 => prop_oneof![Just(0), Just(u64::MAX), Just(u64::MAX - 1), any::<u64>()].prop_map(Some),
    ];
    prop_oneof![
        6 => key.clone().prop_map(Op::Get),
        2 => key.clone().prop_map(Op::Peek),
        8 => (key.clone(), prop_oneof![0_u16..30, 0_u16..600], ttl)
            .prop_map(|(key, len, ttl)| Op::Insert { key, len, ttl }),
        2 => key.clone().prop_map(Op::Remove),
        1 => key.prop_map(Op::Take),
        1 => (0_usize..20).prop_map(Op::Purge),
        3 => prop_oneof![0_u64..20, 0_u64..5_000, 0_u64..200_000].prop_map(Op::Advance),
        1 => Just(Op::Clear),
    ]
}

fn options() -> impl Strategy<Value = Options> {
    let entries = prop::option::weighted(0.8, 1_usize..20);
    let bytes = prop::option::weighted(0.5, ENTRY_OVERHEAD..8 * ENTRY_OVERHEAD);
    let entry = prop::option::weighted(0.2, 1..2 * ENTRY_OVERHEAD);
    let ttl = prop::option::weighted(0.3, 1_u64..2_000);
    (entries, bytes, entry, ttl).prop_map(|(entries, max_bytes, max_entry_bytes, default_ttl_ms)| Options {
        max_entries: if max_bytes.is_none() { entries.or(Some(3)) } else { entries },
        max_bytes,
        max_entry_bytes,
        default_ttl_ms,
        policy: Policy::Lru,
        ..Options::default()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]
    #[test]
    fn does_what_the_model_does(
        options in options(),
        start in prop_oneof![Just(0_u64), Just((1 << 32) - 100), 0_u64..1 << 50],
        ops in prop::collection::vec(op(), 1..400),
    ) {
        let clock = ManualClock::at(start);
        let cache = Cache::with_clock(options.clone(), clock.clone()).unwrap();
        let mut model = Model { entries: Vec::new(), options: options.clone(), now: start };
        let text = "v".repeat(600);
        for op in ops {
            match op {
                Op::Get(key) => {
                    let got = cache.get((&[key][..]).into()).map(|hit| hit.value().len());
                    prop_assert_eq!(got, model.get(key).map(usize::from));
                }
                Op::Peek(key) => {
                    let got = cache.peek((&[key][..]).into()).map(|hit| hit.value().len());
                    let expect = model.position(key).map(|at| usize::from(model.entries[at].len));
                    prop_assert_eq!(got, expect);
                }
                Op::Insert { key, len, ttl } => {
                    let options = InsertOptions { ttl_ms: ttl, ..InsertOptions::default() };
                    let got = cache.insert((&[key][..]).into(), text[..usize::from(len)].into(), options).unwrap();
                    prop_assert_eq!(got, model.insert(key, len, ttl));
                }
                Op::Remove(key) => {
                    prop_assert_eq!(cache.remove((&[key][..]).into()), model.remove(key).is_some());
                }
                Op::Take(key) => {
                    let got = cache.take((&[key][..]).into()).map(|hit| hit.value().len());
                    prop_assert_eq!(got, model.remove(key).map(usize::from));
                }
                Op::Purge(budget) => {
                    if cache.purge_expired(budget).done {
                        prop_assert_eq!(cache.len(), model.entries.len());
                        prop_assert_eq!(cache.bytes(), model.bytes());
                    }
                }
                Op::Advance(ms) => {
                    clock.advance(ms);
                    model.now = model.now.saturating_add(ms);
                    model.expire();
                }
                Op::Clear => {
                    cache.clear();
                    model.entries.clear();
                }
            }
            prop_assert!(cache.len() >= model.entries.len());
            prop_assert!(cache.len() <= options.max_entries.unwrap_or(usize::MAX));
            prop_assert!(cache.bytes() <= options.max_bytes.unwrap_or(u64::MAX));
            let mut held: Vec<(u8, usize)> =
                cache.keys().iter().map(|entry| (entry.key().bytes[0], entry.value().len())).collect();
            held.sort_unstable();
            let mut expect: Vec<(u8, usize)> =
                model.entries.iter().map(|slot| (slot.key, usize::from(slot.len))).collect();
            expect.sort_unstable();
            prop_assert_eq!(held, expect);
        }
        cache.validate();
    }
}
