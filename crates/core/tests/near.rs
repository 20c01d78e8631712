//! What a thread that keeps copies relies on: a copy holds exactly as long as a read would return its entry.

#![allow(clippy::unwrap_used, reason = "a failure in a test ends it")]

use std::sync::atomic::Ordering;
use std::time::Duration;

use sark_cache_core::{
    Cache, Clock, InsertOptions, Inserted, ManualClock, MonotonicClock, Options, Space, Stamp, VersionTable,
    coarse_clock,
};

fn cache(max_entries: usize) -> Cache {
    Cache::new(Options { max_entries: Some(max_entries), ..Options::default() }).unwrap()
}

fn set(cache: &Cache, key: &str, value: &str) {
    let options = InsertOptions { tags: &["tag".into()], ..InsertOptions::default() };
    assert_eq!(cache.insert(key.into(), value.into(), options), Ok(Inserted::Stored));
}

fn find_stamped(cache: &Cache, key: &str) -> Stamp {
    cache.get_stamped(key.into()).unwrap().1
}

/// The comparison that readers of copies make.
fn holds(cache: &Cache, stamp: &Stamp) -> bool {
    let word = |place: usize| cache.version_table().words()[place].load(Ordering::SeqCst);
    word(stamp.cell as usize) == stamp.version && word(0) == stamp.invalidation
}

#[test]
fn a_copy_holds_until_its_key_changes() {
    let cache = cache(2);
    let changes: [&dyn Fn(); 5] = [
        &|| set(&cache, "k", "new"),
        &|| drop(cache.take("k".into())),
        &|| cache.invalidate_tag("tag".into()),
        &|| cache.clear(),
        &|| ["a", "b", "c"].iter().for_each(|key| set(&cache, key, "")),
    ];
    for (number, change) in changes.iter().enumerate() {
        set(&cache, "k", "old");
        let stamp = find_stamped(&cache, "k");
        assert!(holds(&cache, &stamp) && holds(&cache, &find_stamped(&cache, "k")));
        change();
        assert!(!holds(&cache, &stamp), "after change {number}");
    }
    assert!(cache.get_stamped("nothing".into()).is_none());
}

/// A count, and how far it has come since; no two counts are equal as numbers.
fn count(cache: &Cache, word: usize) -> impl Fn() -> u64 {
    let read = move |cache: &Cache| cache.version_table().words()[word].load(Ordering::SeqCst);
    let first = read(cache);
    let table = cache.version_table().clone();
    move || {
        let now = table.words()[word].load(Ordering::SeqCst);
        assert!(now == first || f64::from_bits(now) > f64::from_bits(first));
        now - first
    }
}

#[test]
fn every_change_is_counted_and_no_read_is() {
    let cache = cache(100);
    let changes = count(&cache, VersionTable::CHANGES);
    set(&cache, "k", "v");
    assert_eq!(changes(), 1);
    set(&cache, "k", "w");
    assert_eq!(changes(), 2);
    assert!(cache.get("k".into()).is_some() && cache.get("none".into()).is_none());
    let _ = cache.take("none".into());
    assert_eq!(changes(), 2);
    cache.invalidate_tag("tag".into());
    assert_eq!(changes(), 4);
    let _ = cache.get("k".into());
    let before = changes();
    set(&cache, "k", "x");
    drop(cache.take("k".into()));
    assert_eq!(changes(), before + 2);
    cache.clear();
    assert!(changes() > before + 2);
}

#[test]
fn writes_that_take_room_are_counted_once_an_eighth_is_full() {
    let cache = cache(64);
    let pressure = count(&cache, VersionTable::PRESSURE);
    for key in 0..8 {
        set(&cache, &format!("{key}"), "");
    }
    assert_eq!(pressure(), 0);
    for key in 8..200 {
        set(&cache, &format!("{key}"), "");
    }
    assert_eq!(pressure(), 192);
    set(&cache, "199", "a longer value");
    assert_eq!(pressure(), 192, "an overwrite takes the place of no entry");
    let options = Options { max_bytes: Some(4_000), ..Options::default() };
    let cache = Cache::new(options).unwrap();
    let pressure = count(&cache, VersionTable::PRESSURE);
    set(&cache, "k", "");
    assert_eq!(pressure(), 0);
    set(&cache, "k", &"x".repeat(1_000));
    assert_eq!(pressure(), 1, "an overwrite takes room");
}

#[test]
fn a_stamp_says_what_was_seen() {
    let clock = ManualClock::at(5_000);
    let options = Options { max_entries: Some(9), ..Options::default() };
    let cache = Cache::with_clock(options, clock.clone()).unwrap();
    for (ttl, fresh_until) in [(700, 5_700), (u64::MAX, u64::MAX)] {
        let _ = cache.insert("k".into(), "v".into(), InsertOptions::ttl_ms(ttl)).unwrap();
        let (entry, stamp) = cache.get_stamped("k".into()).unwrap();
        assert_eq!(entry.value(), b"v");
        assert_eq!(entry.charge(), cache.bytes());
        assert!((stamp.cell as usize) >= VersionTable::CELLS);
        assert_eq!(stamp.fresh_until, fresh_until);
    }
    // Within its grace a value is no hit.
    let stale = InsertOptions { grace_ms: 50, ..InsertOptions::ttl_ms(10) };
    let _ = cache.insert("k".into(), "v".into(), stale).unwrap();
    clock.advance(10);
    assert!(cache.get_stamped("k".into()).is_none());
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.near_hits), (2, 1, 0));
}

#[test]
fn what_is_reported_stays_and_hits_are_counted() {
    let cache = cache(2);
    set(&cache, "a", "");
    let stamp = find_stamped(&cache, "a");
    set(&cache, "b", "");
    cache.report_read(stamp.hash, stamp.written);
    // Another write of the key is another entry.
    cache.report_read(stamp.hash, u64::MAX);
    set(&cache, "c", "");
    assert!(cache.contains("a".into()) && !cache.contains("b".into()));
    cache.count_hits(Space::ROOT, 41);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.near_hits), (42, 41));
    cache.validate();
}

#[test]
fn the_time_is_told_while_somebody_asks() {
    let cache = cache(2);
    let _ = cache.insert("k".into(), "v".into(), InsertOptions::ttl_ms(600_000)).unwrap();
    let _ = find_stamped(&cache, "k");
    let now = || coarse_clock::word().load(Ordering::SeqCst);
    while now() == coarse_clock::NONE {
        std::thread::yield_now();
    }
    let end = MonotonicClock.now_ms() + 1_500;
    // Longer than it is told without being asked for.
    while MonotonicClock.now_ms() < end {
        cache.count_hits(Space::ROOT, 1);
        assert!(now() != coarse_clock::NONE);
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_purge_takes_its_time_and_no_more() {
    let clock = ManualClock::at(0);
    let options = Options { max_entries: Some(10_000), ..Options::default() };
    let cache = Cache::with_clock(options, clock.clone()).unwrap();
    for number in 0..1_000_u32 {
        let key = number.to_le_bytes();
        let _ = cache.insert((&key[..]).into(), "".into(), InsertOptions::ttl_ms(5)).unwrap();
    }
    clock.advance(5);
    let first = cache.purge_for(Duration::ZERO);
    assert!((1..=64).contains(&first.removed) && !first.done, "{first:?}");
    let rest = cache.purge_for(Duration::from_secs(60));
    assert_eq!((first.removed + rest.removed, rest.done), (1_000, true));
    cache.validate();
}
