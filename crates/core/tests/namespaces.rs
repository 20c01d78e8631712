//! Namespaces: keys apart, counts of their own, and a clearing that visits no entry.

#![allow(clippy::unwrap_used, reason = "a failure in a test ends it")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use sark_cache_core::{
    Cache, Claim, Clock, Cursor, ENTRY_OVERHEAD, Error, InsertOptions, Inserted, Key, MAX_NAMESPACES,
    ManualClock, Options, Policy, Space,
};

fn cache(max: usize) -> (Cache<ManualClock>, ManualClock) {
    let clock = ManualClock::at(1_000);
    let options = Options { max_entries: Some(max), ..Options::default() };
    (Cache::with_clock(options, clock.clone()).unwrap(), clock)
}

fn set<C: Clock>(cache: &Cache<C>, space: Space, key: &str, value: &str) {
    let inserted = cache.insert(Key::from(key).of(space), value.into(), InsertOptions::default());
    assert_eq!(inserted, Ok(Inserted::Stored));
}

fn get<C: Clock>(cache: &Cache<C>, space: Space, key: &str) -> Option<String> {
    let entry = cache.get(Key::from(key).of(space))?;
    Some(String::from_utf8(entry.value().to_vec()).unwrap())
}

#[test]
fn a_name_is_one_namespace_and_two_names_are_two() {
    let (cache, _) = cache(10);
    let a = cache.namespace("a".into()).unwrap();
    let b = cache.namespace("b".into()).unwrap();
    let wide = cache.namespace(Key { bytes: b"a", domain: 1, space: Space::ROOT }).unwrap();
    assert_eq!(cache.namespace("a".into()), Ok(a));
    let all = [Space::ROOT, a, b, wide, cache.namespace("".into()).unwrap()];
    for (at, space) in all.into_iter().enumerate() {
        assert!(!all[..at].contains(&space));
        set(&cache, space, "k", &at.to_string());
    }
    for (at, space) in all.into_iter().enumerate() {
        assert_eq!(get(&cache, space, "k"), Some(at.to_string()));
        assert_eq!(cache.namespace_len(space), if space == Space::ROOT { 5 } else { 1 });
    }
    cache.validate();
}

#[test]
fn there_are_as_many_as_numbers_and_no_more() {
    let (cache, _) = cache(10);
    for number in 0..MAX_NAMESPACES {
        cache.namespace(number.to_string().as_str().into()).unwrap();
    }
    assert_eq!(cache.namespace("one more".into()), Err(Error::TooManyNamespaces));
    let last = cache.namespace((MAX_NAMESPACES - 1).to_string().as_str().into()).unwrap();
    set(&cache, last, "k", "v");
    assert_eq!((cache.namespace_len(last), get(&cache, last, "k")), (1, Some("v".into())));
    cache.validate();
    cache.clear();
    assert_eq!(cache.namespace_len(last), 0);
    assert!(Error::TooManyNamespaces.to_string().contains("65535"));
}

#[test]
fn every_call_means_the_keys_of_its_own_namespace() {
    let (cache, clock) = cache(100);
    let a = cache.namespace("a".into()).unwrap();
    let key = Key::from("k");
    let options = InsertOptions { ttl_ms: Some(100), grace_ms: 50, ..InsertOptions::default() };
    assert_eq!(cache.insert(key.of(a), "in a".into(), options), Ok(Inserted::Stored));
    assert!(cache.get(key).is_none() && cache.peek(key).is_none() && !cache.contains(key));
    assert!(!cache.remove(key) && cache.take(key).is_none() && cache.get_stale(key).is_none());
    assert_eq!((cache.remaining_ttl_ms(key), cache.remaining_ttl_ms(key.of(a))), (None, Some(Some(100))));
    assert!(cache.is_due(key.of(a), 1.0) && !cache.is_due(key, 1.0));
    clock.advance(120);
    assert_eq!(cache.get_stale(key.of(a)).unwrap().1, 20);
    let fence = cache.fence();
    cache.remove(key);
    let Ok(Claim::Granted { lease, .. }) = cache.claim(key.of(a), &[], 1, 1_000) else { panic!() };
    assert_eq!(cache.claim(key.of(a), &[], 2, 1_000), Ok(Claim::Taken));
    let Ok(Claim::Granted { .. }) = cache.claim(key, &[], 2, 1_000) else { panic!() };
    assert_eq!((cache.leases(), cache.namespace_leases(a), cache.namespace_leases(Space::ROOT)), (2, 1, 2));
    assert!(cache.complete(key.of(a), lease));
    assert!(!cache.permits(key, fence, &[]));
    let names = |space| {
        let (entries, next) = cache.scan_namespace(space, Cursor::default(), 1_000);
        assert!(next.is_none());
        entries.iter().map(|entry| entry.key().bytes.to_vec()).collect::<Vec<_>>()
    };
    set(&cache, a, "in a", "");
    set(&cache, Space::ROOT, "in the root", "");
    assert_eq!(names(a), [b"in a"]);
    assert_eq!(names(Space::ROOT), [b"in the root"]);
    assert_eq!(cache.keys().len(), 1);
    cache.validate();
}

#[test]
fn a_clearing_takes_what_was_loaded_before_and_leaves_the_rest() {
    let (cache, _) = cache(100);
    let [a, b] = ["a", "b"].map(|name| cache.namespace(name.into()).unwrap());
    for space in [Space::ROOT, a, b] {
        set(&cache, space, "k", "v");
    }
    let (_, stamp) = cache.get_stamped(Key::from("k").of(a)).unwrap();
    let before = cache.fence();
    let Ok(Claim::Granted { .. }) = cache.claim(Key::from("load").of(a), &[], 1, 1_000) else { panic!() };
    cache.clear_namespace(a);
    assert_eq!((cache.namespace_len(a), cache.namespace_bytes(a)), (0, 0));
    let holds = cache.version_table().words()[0].load(Ordering::SeqCst) == stamp.invalidation;
    assert!(!holds, "copies are asked about");
    let fenced = InsertOptions { fence: Some(before), ..InsertOptions::default() };
    assert_eq!(cache.insert(Key::from("new").of(a), "v".into(), fenced), Ok(Inserted::Fenced));
    assert!(!cache.permits(Key::from("new").of(a), before, &[]));
    // The load under way is nobody's to wait for.
    assert!(matches!(cache.claim(Key::from("load").of(a), &[], 2, 1_000), Ok(Claim::Granted { .. })));
    for space in [Space::ROOT, b] {
        assert_eq!(get(&cache, space, "k"), Some("v".into()));
        assert_eq!(cache.insert(Key::from("new").of(space), "v".into(), fenced), Ok(Inserted::Stored));
    }
    cache.validate();
    assert_eq!(get(&cache, a, "k"), None);
    set(&cache, a, "k", "again");
    assert_eq!((get(&cache, a, "k"), cache.namespace_len(a)), (Some("again".into()), 1));
    cache.validate();
}

#[test]
fn what_a_clearing_left_behind_counts_for_nothing_when_it_goes() {
    let (cache, clock) = cache(4);
    let a = cache.namespace("a".into()).unwrap();
    for key in ["1", "2", "3", "4"] {
        let options = InsertOptions { ttl_ms: (key == "4").then_some(10), ..InsertOptions::default() };
        let key = Key::from(key).of(a);
        assert_eq!(cache.insert(key, "value".into(), options), Ok(Inserted::Stored));
    }
    cache.clear_namespace(a);
    let held = cache.stats();
    // Read, overwritten, evicted, expired.
    assert_eq!(get(&cache, a, "1"), None);
    set(&cache, a, "2", "longer than it was before");
    set(&cache, Space::ROOT, "5", "");
    set(&cache, Space::ROOT, "6", "");
    clock.advance(100);
    let _ = cache.purge_expired(100);
    cache.validate();
    let stats = cache.stats();
    assert_eq!((stats.cleared, stats.sets), (4, held.sets + 3));
    assert_eq!((stats.expirations, stats.evictions_by_entries, stats.deletes), (0, 0, 0));
    let own = cache.namespace_stats(a);
    assert_eq!((own.cleared, own.sets, own.misses, own.hits), (4, 5, 1, 0));
    assert_eq!(cache.namespace_bytes(a), 1 + 25 + 4 + ENTRY_OVERHEAD);
    cache.reset_namespace_stats(a);
    assert_eq!(cache.namespace_stats(a), sark_cache_core::Stats::default());
    assert_eq!(cache.stats().cleared, 4);
    cache.clear();
    assert_eq!(cache.stats().cleared, 4 + 3, "what was cleared before is not counted again");
}

#[test]
fn tags_are_those_of_the_whole_cache() {
    let (cache, _) = cache(10);
    let a = cache.namespace("a".into()).unwrap();
    let tags = [Key::from("t")];
    for space in [Space::ROOT, a] {
        let options = InsertOptions { tags: &tags, ..InsertOptions::default() };
        assert_eq!(cache.insert(Key::from("k").of(space), "v".into(), options), Ok(Inserted::Stored));
    }
    cache.invalidate_tag(Key::from("t").of(a));
    assert_eq!((get(&cache, a, "k"), get(&cache, Space::ROOT, "k")), (None, None));
    assert_eq!((cache.namespace_stats(a).invalidations, cache.stats().invalidations), (1, 2));
    cache.validate();
}

#[test]
fn clearing_takes_no_longer_with_many_entries() {
    let (cache, _) = cache(300_000);
    let [small, large] = ["small", "large"].map(|name| cache.namespace(name.into()).unwrap());
    let fastest = |space, count: u32| {
        let times = (0..5).map(|_| {
            for number in 0..count {
                set(&cache, space, &number.to_string(), "");
            }
            let begin = Instant::now();
            cache.clear_namespace(space);
            begin.elapsed()
        });
        times.min().unwrap()
    };
    let few = fastest(small, 10);
    let many = fastest(large, 200_000);
    assert!(many < few * 20 + Duration::from_micros(200), "{many:?} for many, {few:?} for few");
}

#[derive(Debug, Clone)]
enum Op {
    Get(u8, u8),
    Insert { space: u8, key: u8, len: u16, ttl: Option<u64>, tag: Option<u8> },
    Remove(u8, u8),
    Clear(u8),
    ClearAll,
    Invalidate(u8),
    Advance(u64),
    Purge,
}

fn op() -> impl Strategy<Value = Op> {
    let (space, key) = (0_u8..4, 0_u8..6);
    let ttl = prop::option::of(1_u64..100);
    prop_oneof![
        6 => (space.clone(), key.clone()).prop_map(|(space, key)| Op::Get(space, key)),
        8 => (space.clone(), key.clone(), 0_u16..300, ttl, prop::option::of(0_u8..2))
            .prop_map(|(space, key, len, ttl, tag)| Op::Insert { space, key, len, ttl, tag }),
        2 => (space.clone(), key).prop_map(|(space, key)| Op::Remove(space, key)),
        2 => space.prop_map(Op::Clear),
        1 => Just(Op::ClearAll),
        1 => (0_u8..2).prop_map(Op::Invalidate),
        2 => (0_u64..60).prop_map(Op::Advance),
        1 => Just(Op::Purge),
    ]
}

/// Two tags that do not share a stripe of the version table, which would cost one the entries of the other.
fn tags_apart<C: Clock>(cache: &Cache<C>) -> [String; 2] {
    let fence = cache.fence();
    let first = "t".to_owned();
    cache.invalidate_tag(first.as_str().into());
    let is_apart = |name: &String| cache.permits("probe".into(), fence, &[name.as_str().into()]);
    let second = (0..1_000).map(|number: u32| number.to_string()).find(is_apart).unwrap();
    [first, second]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, ..ProptestConfig::default() })]
    /// With room for all, every key is what the model says; with less, it is that or gone. The counts are
    /// recounted by `validate` after each step.
    #[test]
    fn does_what_the_model_does(
        max in prop_oneof![Just(100_usize), 1_usize..16],
        policy in prop_oneof![Just(Policy::Lru), Just(Policy::S3Fifo)],
        ops in prop::collection::vec(op(), 1..120),
    ) {
        let clock = ManualClock::at(5);
        let options = Options { max_entries: Some(max), policy, ..Options::default() };
        let cache = Cache::with_clock(options, clock.clone()).unwrap();
        let mut spaces = vec![Space::ROOT];
        spaces.extend(["a", "b", "c"].map(|name| cache.namespace(name.into()).unwrap()));
        // Length, deadline, tag.
        let mut model = HashMap::<(u8, u8), (u16, u64, Option<u8>)>::new();
        let mut now = 0;
        let text = "v".repeat(300);
        let names = tags_apart(&cache);
        let tags = [names[0].as_str(), names[1].as_str()];
        for op in ops {
            match op {
                Op::Get(space, key) => {
                    let bytes = [key];
                    let got = cache.get(Key::from(&bytes[..]).of(spaces[usize::from(space)]));
                    let expected = model.get(&(space, key)).filter(|(_, deadline, _)| *deadline > now);
                    let expected = expected.map(|(len, ..)| usize::from(*len));
                    let got = got.map(|entry| entry.value().len());
                    prop_assert!(got == expected || (got.is_none() && max < 100), "{got:?} {expected:?}");
                }
                Op::Insert { space, key, len, ttl, tag } => {
                    let bytes = [key];
                    let tag_keys: Vec<Key<'_>> = tag.iter().map(|&tag| tags[usize::from(tag)].into()).collect();
                    let options = InsertOptions { ttl_ms: ttl, tags: &tag_keys, ..InsertOptions::default() };
                    let value = text[..usize::from(len)].into();
                    let key_in = Key::from(&bytes[..]).of(spaces[usize::from(space)]);
                    prop_assert_eq!(cache.insert(key_in, value, options), Ok(Inserted::Stored));
                    model.insert((space, key), (len, ttl.map_or(u64::MAX, |ttl| now + ttl), tag));
                }
                Op::Remove(space, key) => {
                    let bytes = [key];
                    let got = cache.remove(Key::from(&bytes[..]).of(spaces[usize::from(space)]));
                    let gone = model.remove(&(space, key)).filter(|(_, deadline, _)| *deadline > now);
                    prop_assert!(got == gone.is_some() || (!got && max < 100));
                }
                Op::Clear(0) | Op::ClearAll => {
                    cache.clear();
                    model.clear();
                    prop_assert_eq!((cache.len(), cache.bytes()), (0, 0));
                }
                Op::Clear(space) => {
                    cache.clear_namespace(spaces[usize::from(space)]);
                    model.retain(|(other, _), _| *other != space);
                    prop_assert_eq!(cache.namespace_len(spaces[usize::from(space)]), 0);
                    prop_assert_eq!(cache.namespace_bytes(spaces[usize::from(space)]), 0);
                }
                Op::Invalidate(tag) => {
                    cache.invalidate_tag(tags[usize::from(tag)].into());
                    model.retain(|_, (_, _, other)| *other != Some(tag));
                }
                Op::Advance(ms) => {
                    clock.advance(ms);
                    now += ms;
                }
                Op::Purge => {
                    let _ = cache.purge_expired(1_000);
                }
            }
            cache.validate();
            for (number, &space) in (0_u8..).zip(&spaces) {
                let (entries, _) = cache.scan_namespace(space, Cursor::default(), 1_000);
                let live = model.iter().filter(|((other, _), (_, deadline, _))| *other == number && *deadline > now);
                let live = live.count();
                prop_assert!(entries.len() == live || (entries.len() < live && max < 100));
            }
        }
    }
}

/// Two threads write, expire, evict and clear; the counts are exact when they are done, and nobody reads what was
/// cleared before it began to read.
#[test]
fn counts_are_exact_after_a_storm() {
    for policy in [Policy::Lru, Policy::S3Fifo] {
        let options =
            Options { max_entries: Some(500), max_bytes: Some(90_000), policy, ..Options::default() };
        let cache = Cache::new(options).unwrap();
        let spaces: Vec<Space> =
            (0..4).map(|number: u32| cache.namespace(number.to_string().as_str().into()).unwrap()).collect();
        std::thread::scope(|scope| {
            for thread in 0_u64..4 {
                let (cache, spaces) = (&cache, &spaces);
                scope.spawn(move || {
                    let mut random = thread * 7 + 1;
                    for step in 0..40_000_u64 {
                        random = random
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1_442_695_040_888_963_407);
                        let number = random >> 33;
                        let space = if number % 5 == 4 { Space::ROOT } else { spaces[(number % 5) as usize] };
                        let key = (number / 5 % 300).to_string();
                        let key = Key::from(key.as_str()).of(space);
                        match number / 1_500 % 100 {
                            0..50 => {
                                let options = InsertOptions {
                                    ttl_ms: number.is_multiple_of(3).then_some(1 + number % 4),
                                    ..InsertOptions::default()
                                };
                                let value = vec![b'v'; (number % 200) as usize];
                                assert_eq!(
                                    cache.insert(key, value[..].into(), options),
                                    Ok(Inserted::Stored)
                                );
                            }
                            50..90 => drop(cache.get(key)),
                            90..97 => drop(cache.take(key)),
                            97 => cache.clear_namespace(spaces[(number % 4) as usize]),
                            98 => drop(cache.purge_expired(50)),
                            _ if step % 50 == 0 => cache.clear(),
                            _ => {}
                        }
                    }
                });
            }
        });
        cache.validate();
        let sum: usize = spaces.iter().map(|&space| cache.namespace_len(space)).sum();
        assert!(sum <= cache.len());
        for &space in &spaces {
            cache.clear_namespace(space);
            assert_eq!((cache.namespace_len(space), cache.namespace_bytes(space)), (0, 0));
        }
        cache.validate();
    }
}

#[test]
fn nobody_reads_after_a_clearing_what_was_loaded_before() {
    let (cache, _) = cache(1_000);
    let space = cache.namespace("a".into()).unwrap();
    let key = Key::from("k").of(space);
    // The truth, and the truth as of the last clearing that has returned.
    let (truth, cleared, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let fence = cache.fence();
                    let value = truth.load(Ordering::SeqCst).to_le_bytes();
                    let options = InsertOptions { fence: Some(fence), ..InsertOptions::default() };
                    let _ = cache.insert(key, (&value[..]).into(), options).unwrap();
                    let least = cleared.load(Ordering::SeqCst);
                    if let Some(entry) = cache.get(key) {
                        let value = u64::from_le_bytes(entry.value().try_into().unwrap());
                        assert!(value >= least, "{value} was read after {least} was cleared");
                    }
                }
            });
        }
        for number in 1..20_000 {
            truth.store(number, Ordering::SeqCst);
            cache.clear_namespace(space);
            cleared.store(number, Ordering::SeqCst);
        }
        done.store(true, Ordering::SeqCst);
    });
    cache.validate();
}
