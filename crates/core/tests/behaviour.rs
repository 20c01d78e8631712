//! What a user relies on, one behaviour a test.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failure in a test ends it, and a skipped test says so"
)]

use std::thread;
use std::time::{Duration, Instant};

use sark_cache_core::{
    Cache, Clock, Cursor, ENTRY_OVERHEAD, Error, InsertOptions, Inserted, Key, MAX_TAGS, ManualClock,
    Options, Space, Value,
};

fn cache(max: usize) -> (Cache<ManualClock>, ManualClock) {
    let clock = ManualClock::at(1_000);
    let options = Options { max_entries: Some(max), ..Options::default() };
    (Cache::with_clock(options, clock.clone()).unwrap(), clock)
}

fn set<C: Clock>(cache: &Cache<C>, key: &str, value: &str) {
    let inserted = cache.insert(key.into(), value.into(), InsertOptions::default());
    assert_eq!(inserted, Ok(Inserted::Stored));
}

fn set_ttl<C: Clock>(cache: &Cache<C>, key: &str, value: &str, ms: u64) {
    let inserted = cache.insert(key.into(), value.into(), InsertOptions::ttl_ms(ms));
    assert_eq!(inserted, Ok(Inserted::Stored));
}

fn get<C: Clock>(cache: &Cache<C>, key: &str) -> Option<String> {
    cache.get(key.into()).map(|hit| String::from_utf8(hit.value().to_vec()).unwrap())
}

fn keys<C: Clock>(cache: &Cache<C>) -> Vec<String> {
    let mut keys: Vec<_> =
        cache.keys().iter().map(|entry| String::from_utf8(entry.key().bytes.to_vec()).unwrap()).collect();
    keys.sort();
    keys
}

#[test]
fn a_hit_refreshes_recency_and_a_peek_does_not() {
    let (cache, _) = cache(3);
    for key in ["a", "b", "c"] {
        set(&cache, key, key);
    }
    assert_eq!(get(&cache, "a").as_deref(), Some("a"));
    assert!(cache.peek("b".into()).is_some());
    assert!(cache.contains("b".into()));
    set(&cache, "d", "d");
    assert_eq!(keys(&cache), ["a", "c", "d"]);
    cache.validate();
}

#[test]
fn evicts_in_lru_order_with_reads_in_between() {
    let (cache, _) = cache(100);
    for number in 0..100 {
        set(&cache, &format!("{number:02}"), "");
    }
    for number in (0..100).rev() {
        assert!(get(&cache, &format!("{number:02}")).is_some());
    }
    for number in 100..150 {
        set(&cache, &number.to_string(), "");
        assert_eq!(cache.len(), 100);
    }
    for number in 0..100 {
        assert_eq!(cache.contains(format!("{number:02}").as_str().into()), number < 50, "{number}");
    }
    cache.validate();
}

#[test]
fn overwriting_keeps_one_entry_and_makes_it_the_newest() {
    let (cache, _) = cache(2);
    set(&cache, "a", "1");
    set(&cache, "b", "1");
    set(&cache, "a", "a longer value than before");
    assert_eq!(cache.len(), 2);
    assert_eq!(cache.stats().evictions_by_entries, 0);
    set(&cache, "c", "1");
    assert_eq!(keys(&cache), ["a", "c"]);
    cache.validate();
}

#[test]
fn expires_to_the_millisecond() {
    let (cache, clock) = cache(10);
    set_ttl(&cache, "k", "v", 100);
    clock.advance(99);
    assert_eq!(cache.remaining_ttl_ms("k".into()), Some(Some(1)));
    assert_eq!(get(&cache, "k").as_deref(), Some("v"));
    clock.advance(1);
    assert_eq!(get(&cache, "k"), None);
    assert_eq!(cache.remaining_ttl_ms("k".into()), None);
    assert_eq!((cache.len(), cache.stats().expirations), (0, 1));
    cache.validate();
}

#[test]
fn reads_do_not_renew_the_ttl() {
    let (cache, clock) = cache(10);
    set_ttl(&cache, "k", "v", 100);
    for _ in 0..10 {
        clock.advance(10);
        let _ = cache.get("k".into());
    }
    assert_eq!(get(&cache, "k"), None);
}

#[test]
fn expires_on_the_real_clock_within_100_ms() {
    let cache = Cache::new(Options { max_entries: Some(4), ..Options::default() }).unwrap();
    let start = Instant::now();
    set_ttl(&cache, "k", "v", 150);
    while get(&cache, "k").is_some() {
        assert!(start.elapsed() < Duration::from_millis(250));
        thread::sleep(Duration::from_millis(1));
    }
    assert!(start.elapsed() >= Duration::from_millis(148), "{:?}", start.elapsed());
}

#[test]
fn entries_have_ttls_of_their_own() {
    let clock = ManualClock::at(0);
    let options = Options { max_entries: Some(10), default_ttl_ms: Some(50), ..Options::default() };
    let cache = Cache::with_clock(options, clock.clone()).unwrap();
    set(&cache, "default", "");
    set_ttl(&cache, "short", "", 10);
    set_ttl(&cache, "long", "", 1_000);
    set_ttl(&cache, "for ever", "", u64::MAX);
    assert_eq!(cache.remaining_ttl_ms("for ever".into()), Some(None));
    for (wait, left) in [(10, 3), (40, 2), (950, 1), (u64::MAX / 2, 1)] {
        clock.advance(wait);
        assert_eq!(cache.keys().len(), left);
    }
    cache.validate();
}

#[test]
fn ttl_zero_stores_nothing_and_removes_what_was_there() {
    let (cache, _) = cache(10);
    set(&cache, "k", "v");
    assert_eq!(cache.insert("k".into(), "w".into(), InsertOptions::ttl_ms(0)), Ok(Inserted::Expired));
    assert_eq!((get(&cache, "k"), cache.len()), (None, 0));
    cache.validate();
}

#[test]
fn a_huge_ttl_does_not_wrap() {
    for now in [0, 1 << 32, u64::MAX - 10] {
        let clock = ManualClock::at(now);
        let cache = Cache::with_clock(Options { max_entries: Some(9), ..Options::default() }, clock).unwrap();
        for ttl in [1 << 31, 1 << 32, 1 << 53, u64::MAX - 1, u64::MAX] {
            set_ttl(&cache, &ttl.to_string(), "v", ttl);
            assert!(get(&cache, &ttl.to_string()).is_some(), "{ttl} ms from {now}");
        }
        cache.validate();
    }
}

#[test]
fn the_clock_may_start_anywhere() {
    for start in [0, 1, (1 << 32) - 5, 1 << 32, (1 << 42) - 1, u64::MAX - 100_000] {
        let clock = ManualClock::at(start);
        let cache =
            Cache::with_clock(Options { max_entries: Some(9), ..Options::default() }, clock.clone()).unwrap();
        set_ttl(&cache, "ms", "", 1);
        set_ttl(&cache, "minute", "", 60_000);
        clock.advance(10);
        assert_eq!(keys(&cache), ["minute"]);
        clock.advance(59_989);
        assert_eq!(keys(&cache), ["minute"]);
        clock.advance(1);
        let purged = cache.purge_expired(100);
        assert!(purged.done);
        assert_eq!((purged.removed, cache.len()), (2, 0), "from {start}");
        cache.validate();
    }
}

#[test]
fn a_purge_at_the_end_of_time_ends() {
    let (cache, clock) = cache(10);
    set(&cache, "k", "v");
    clock.advance(u64::MAX);
    assert_eq!(cache.purge_expired(1), sark_cache_core::Purge { removed: 0, done: true });
}

#[test]
fn purge_removes_only_what_expired_in_slices() {
    let (cache, clock) = cache(10_000);
    for number in 0..1_000 {
        set_ttl(&cache, &format!("short {number}"), "", 10 + number % 7);
        set_ttl(&cache, &format!("long {number}"), "", 1_000);
        set(&cache, &format!("always {number}"), "");
    }
    assert_eq!(cache.purge_expired(10), sark_cache_core::Purge { removed: 0, done: true });
    clock.advance(20);
    let mut removed = 0;
    let mut slices = 0;
    loop {
        let slice = cache.purge_expired(100);
        assert!(slice.removed <= 100);
        removed += slice.removed;
        slices += 1;
        if slice.done {
            break;
        }
    }
    assert_eq!((removed, cache.len()), (1_000, 2_000));
    assert!(slices >= 10);
    assert_eq!(cache.stats().expirations, 1_000);
    cache.validate();
}

#[test]
fn expired_entries_go_before_live_ones() {
    let (cache, clock) = cache(10);
    for number in 0..5 {
        set(&cache, &format!("old {number}"), "");
    }
    for number in 0..5 {
        set_ttl(&cache, &format!("dead {number}"), "", 10);
    }
    clock.advance(10);
    for number in 0..5 {
        set(&cache, &format!("new {number}"), "");
    }
    assert_eq!(cache.keys().len(), 10);
    assert_eq!((cache.stats().evictions_by_entries, cache.stats().expirations), (0, 5));
    cache.validate();
}

#[test]
fn capacity_one_holds_the_latest() {
    let (cache, _) = cache(1);
    for key in ["a", "b", "a", "c"] {
        set(&cache, key, key);
        assert_eq!(keys(&cache), [key]);
        cache.validate();
    }
}

#[test]
fn delete_is_true_then_false_and_take_gives_the_value() {
    let (cache, _) = cache(4);
    set(&cache, "k", "v");
    assert!(cache.remove("k".into()));
    assert!(!cache.remove("k".into()));
    set(&cache, "k", "w");
    assert_eq!(cache.take("k".into()).unwrap().value(), b"w");
    assert!(cache.take("k".into()).is_none());
    assert_eq!(cache.stats().deletes, 2);
    cache.validate();
}

#[test]
fn deleting_an_expired_entry_is_false() {
    let (cache, clock) = cache(4);
    set_ttl(&cache, "k", "v", 5);
    clock.advance(5);
    assert!(!cache.remove("k".into()));
    assert_eq!((cache.stats().deletes, cache.stats().expirations, cache.len()), (0, 1, 0));
}

#[test]
fn clear_empties_and_the_cache_goes_on() {
    let (cache, _) = cache(100);
    for round in 1..4 {
        for number in 0..150 {
            set_ttl(&cache, &number.to_string(), "v", 1_000);
        }
        cache.clear();
        assert_eq!((cache.len(), cache.bytes(), cache.keys().len()), (0, 0, 0));
        assert_eq!(cache.stats().cleared, 100 * round);
        cache.validate();
    }
}

#[test]
fn empty_keys_and_values_are_keys_and_values() {
    let (cache, _) = cache(4);
    set(&cache, "", "");
    assert_eq!(get(&cache, "").as_deref(), Some(""));
    assert_eq!(cache.len(), 1);
}

#[test]
fn equal_bytes_in_two_domains_are_two_keys() {
    let (cache, _) = cache(4);
    for domain in [0, 1] {
        let value = [domain];
        let stored = cache
            .insert(
                Key { bytes: b"ab", domain, space: Space::ROOT },
                (&value[..]).into(),
                InsertOptions::default(),
            )
            .unwrap();
        assert_eq!(stored, Inserted::Stored);
    }
    for domain in [0, 1] {
        assert_eq!(cache.get(Key { bytes: b"ab", domain, space: Space::ROOT }).unwrap().value(), [domain]);
    }
    assert_eq!(cache.len(), 2);
}

#[test]
fn the_encoding_comes_back_with_the_value() {
    let (cache, _) = cache(4);
    let value = Value { bytes: b"x", encoding: 9 };
    assert_eq!(cache.insert("k".into(), value, InsertOptions::default()), Ok(Inserted::Stored));
    assert_eq!(cache.get("k".into()).unwrap().encoding(), 9);
}

#[test]
fn bytes_are_charged_as_documented() {
    let (cache, _) = cache(4);
    set(&cache, "key", "value");
    assert_eq!(cache.bytes(), 3 + 5 + ENTRY_OVERHEAD);
    set(&cache, "key", "a longer value");
    assert_eq!(cache.bytes(), 3 + 14 + ENTRY_OVERHEAD);
    set(&cache, "key", "v");
    assert_eq!(cache.bytes(), 3 + 1 + ENTRY_OVERHEAD);
    assert!(cache.remove("key".into()));
    assert_eq!(cache.bytes(), 0);
}

#[test]
fn the_byte_bound_evicts_and_an_entry_too_large_removes_what_it_would_have_replaced() {
    let max_bytes = 10 * (ENTRY_OVERHEAD + 100);
    let options = Options { max_bytes: Some(max_bytes), ..Options::default() };
    let cache = Cache::with_clock(options, ManualClock::at(0)).unwrap();
    let value = "v".repeat(99);
    for number in 0..10 {
        set(&cache, &number.to_string(), &value);
    }
    assert_eq!((cache.len(), cache.bytes()), (10, max_bytes));
    set(&cache, "a", &value);
    assert_eq!((cache.len(), cache.stats().evictions_by_bytes), (10, 1));
    assert_eq!(get(&cache, "0"), None);
    // A growing overwrite takes its room from others, never from itself.
    set(&cache, "1", &"v".repeat(99 + 300));
    assert!(get(&cache, "1").is_some());
    assert!(cache.bytes() <= max_bytes);
    let huge = "v".repeat(usize::try_from(max_bytes).unwrap());
    let refused = cache.insert("1".into(), huge.as_str().into(), InsertOptions::default());
    assert_eq!(refused, Ok(Inserted::TooLarge));
    assert_eq!((get(&cache, "1"), cache.stats().rejections), (None, 1));
    cache.validate();
}

#[test]
fn max_entry_bytes_refuses_without_evicting() {
    let options =
        Options { max_entries: Some(4), max_entry_bytes: Some(ENTRY_OVERHEAD + 4), ..Options::default() };
    let cache = Cache::with_clock(options, ManualClock::at(0)).unwrap();
    set(&cache, "k", "abc");
    assert_eq!(cache.insert("l".into(), "abcd".into(), InsertOptions::default()), Ok(Inserted::TooLarge));
    assert_eq!(keys(&cache), ["k"]);
}

#[test]
fn impossible_options_are_refused_by_name() {
    let max = |options: Options| Options { max_entries: Some(1), ..options };
    for (options, name) in [
        (Options::default(), "max_entries and max_bytes"),
        (Options { max_entries: Some(0), ..Options::default() }, "max_entries"),
        (Options { max_bytes: Some(0), ..Options::default() }, "max_bytes"),
        (max(Options { max_entry_bytes: Some(0), ..Options::default() }), "max_entry_bytes"),
        (max(Options { default_ttl_ms: Some(0), ..Options::default() }), "default_ttl_ms"),
    ] {
        let error = Cache::new(options).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
    let (cache, _) = cache(1);
    let tags = [Key::from("t"); MAX_TAGS + 1];
    let options = InsertOptions { tags: &tags, ..InsertOptions::default() };
    assert_eq!(cache.insert("k".into(), "v".into(), options), Err(Error::TooManyTags));
    assert!(Error::TooManyTags.to_string().contains('8'));
    assert!(Error::OutOfMemory.to_string().contains("allocator"));
}

#[test]
fn a_walk_meets_every_lasting_entry_once() {
    let (cache, _) = cache(5_000);
    for number in 0..2_000 {
        set(&cache, &format!("lasting {number}"), "");
    }
    let mut seen = std::collections::HashMap::new();
    let mut cursor = Some(Cursor::default());
    let mut number = 0;
    while let Some(from) = cursor {
        let (entries, next) = cache.scan(from, 10);
        for entry in entries {
            *seen.entry(entry.key().bytes.to_vec()).or_insert(0) += 1;
        }
        // Meanwhile values change, entries come and go.
        set(&cache, &format!("lasting {}", number % 2_000), "a newer value");
        set(&cache, &format!("passing {number}"), "");
        cache.remove(format!("passing {}", number / 2).as_str().into());
        number += 1;
        cursor = next;
    }
    for number in 0..2_000 {
        assert_eq!(seen.get(format!("lasting {number}").as_bytes()), Some(&1));
    }
}

#[test]
fn statistics_count_what_happened() {
    let (cache, clock) = cache(2);
    set(&cache, "a", "");
    set_ttl(&cache, "b", "", 5);
    assert!(get(&cache, "a").is_some());
    assert!(get(&cache, "x").is_none());
    clock.advance(5);
    assert!(get(&cache, "b").is_none());
    set(&cache, "c", "");
    set(&cache, "d", "");
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.sets), (1, 2, 4));
    assert_eq!((stats.expirations, stats.evictions_by_entries, stats.evictions_by_bytes), (1, 1, 0));
    cache.reset_stats();
    assert_eq!(cache.stats(), sark_cache_core::Stats::default());
    assert!(get(&cache, "d").is_some());
    assert_eq!(cache.stats().hits, 1);
    assert!(!cache.is_empty());
    assert!(format!("{cache:?}").contains("entries: 2"));
}

#[test]
fn an_entry_in_hand_outlives_its_removal() {
    let (cache, _) = cache(1);
    set(&cache, "k", "v");
    let hit = cache.get("k".into()).unwrap();
    cache.clear();
    set(&cache, "l", "w");
    assert_eq!((hit.key().bytes, hit.value()), (&b"k"[..], &b"v"[..]));
    assert!(format!("{hit:?}").contains("value_len: 1"));
}

#[test]
fn a_purge_of_nothing_says_whether_anything_is_expired() {
    let (cache, clock) = cache(1_000);
    set_ttl(&cache, "k", "v", 5_000);
    set_ttl(&cache, "l", "v", 5_000);
    let early: Vec<String> = (0..100).map(|number| format!("early {number}")).collect();
    for key in &early {
        set_ttl(&cache, key, "v", 10);
    }
    clock.advance(10);
    assert!(cache.purge_expired(1_000).done);
    clock.advance(4_989);
    // Buckets of the wheel have come up, and nothing is expired.
    assert!((0..100).any(|_| cache.purge_expired(0).done));
    clock.advance(1);
    for _ in 0..100 {
        let purge = cache.purge_expired(0);
        assert_eq!((purge.removed, purge.done), (0, false));
    }
    assert_eq!(cache.len(), 2);
    cache.validate();
    let purge = cache.purge_expired(100);
    assert_eq!((purge.removed, purge.done), (2, true));
    assert!(cache.purge_expired(0).done);
    cache.validate();
}
