//! The calls that read and change an entry in one step: touch, insertion where there is none, increments; and TTLs
//! that slide.

#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "a failure in a test ends it; sums here are exact")]

use std::sync::atomic::Ordering;

use sark_cache_core::{Cache, Error, InsertOptions, Inserted, ManualClock, Options, Stamp, ToldClock, Value};

fn with(options: Options) -> (Cache<ManualClock>, ManualClock) {
    let clock = ManualClock::at(1_000);
    (Cache::with_clock(options, clock.clone()).unwrap(), clock)
}

fn cache() -> (Cache<ManualClock>, ManualClock) {
    with(Options { max_entries: Some(100), ..Options::default() })
}

fn insert(cache: &Cache<ManualClock>, key: &str, value: &str, options: InsertOptions<'_>) -> Inserted {
    cache.insert(key.into(), value.into(), options).unwrap()
}

fn text(cache: &Cache<ManualClock>, key: &str) -> Option<String> {
    cache.peek(key.into()).map(|entry| String::from_utf8(entry.value().to_vec()).unwrap())
}

fn holds(cache: &Cache<ManualClock>, stamp: &Stamp) -> bool {
    let word = |place: usize| cache.version_table().words()[place].load(Ordering::SeqCst);
    word(stamp.cell as usize) == stamp.version && word(0) == stamp.invalidation
}

#[test]
fn a_touch_sets_the_deadline_and_nothing_else() {
    let (cache, clock) = cache();
    let tags = ["t".into()];
    let options = InsertOptions { tags: &tags, grace_ms: 50, ..InsertOptions::ttl_ms(60_000) };
    assert_eq!(insert(&cache, "k", "v", options), Inserted::Stored);
    let fence = cache.fence();
    let (_, before) = cache.get_stamped("k".into()).unwrap();
    let bytes = cache.bytes();
    clock.advance(40_000);
    assert!(cache.touch("k".into(), None));
    assert_eq!(cache.remaining_ttl_ms("k".into()), Some(Some(60_000)));
    assert!(cache.permits("k".into(), fence, &tags));
    assert_eq!(cache.bytes(), bytes);
    // A copy must learn the new deadline, and finds the same value.
    assert!(!holds(&cache, &before));
    let (_, after) = cache.get_stamped("k".into()).unwrap();
    assert_eq!((after.written, after.fresh_until), (before.written, before.fresh_until + 40_000));
    cache.validate();

    assert!(cache.touch("k".into(), Some(10)));
    assert!(!holds(&cache, &after));
    clock.advance(10);
    assert_eq!(cache.get_stale("k".into()).map(|(_, ms)| ms), Some(1));
    assert!(!cache.touch("k".into(), None), "what is stale cannot be read");
    clock.advance(50);
    assert_eq!(cache.purge_expired(100).removed, 1, "a deadline that came nearer is found");
    cache.validate();

    let _ = insert(&cache, "k", "v", options);
    assert!(cache.touch("k".into(), Some(u64::MAX)));
    clock.advance(1 << 40);
    assert_eq!(cache.remaining_ttl_ms("k".into()), Some(None));
    assert!(cache.touch("k".into(), None), "the TTL that it was stored with");
    assert_eq!(cache.remaining_ttl_ms("k".into()), Some(Some(60_000)));
    cache.invalidate_tag("t".into());
    assert!(!cache.touch("k".into(), None));
    let _ = insert(&cache, "k", "v", options);
    assert!(cache.touch("k".into(), Some(0)) && !cache.touch("k".into(), Some(0)));
    assert!(cache.is_empty() && !cache.touch("none".into(), Some(5)));
    cache.validate();
}

#[test]
fn a_touch_is_a_use() {
    let (cache, _) = with(Options { max_entries: Some(2), ..Options::default() });
    let _ = insert(&cache, "a", "", InsertOptions::default());
    let _ = insert(&cache, "b", "", InsertOptions::default());
    assert!(cache.touch("a".into(), None));
    let _ = insert(&cache, "c", "", InsertOptions::default());
    assert!(cache.contains("a".into()) && !cache.contains("b".into()));
}

#[test]
fn an_entry_without_a_ttl_can_be_given_one_and_is_not_due_for_it() {
    let (cache, clock) = cache();
    let _ = insert(&cache, "k", "v", InsertOptions::default());
    assert!(cache.touch("k".into(), Some(10)));
    assert!(!cache.is_due("k".into(), 0.9));
    clock.advance(10);
    assert!(cache.get("k".into()).is_none());
    cache.validate();
}

#[test]
fn an_insertion_where_there_is_none_changes_nothing_where_there_is_one() {
    let (cache, clock) = cache();
    let options = InsertOptions { if_absent: true, grace_ms: 100, ..InsertOptions::ttl_ms(10) };
    assert_eq!(insert(&cache, "k", "first", options), Inserted::Stored);
    let fence = cache.fence();
    clock.advance(5);
    assert_eq!(insert(&cache, "k", "second", options), Inserted::Present);
    let gone = InsertOptions { ttl_ms: Some(0), ..options };
    assert_eq!(insert(&cache, "k", "", gone), Inserted::Present);
    assert!(cache.permits("k".into(), fence, &[]));
    assert_eq!(text(&cache, "k").as_deref(), Some("first"));
    assert_eq!(cache.remaining_ttl_ms("k".into()), Some(Some(5)));
    clock.advance(5);
    assert_eq!(insert(&cache, "k", "third", options), Inserted::Stored, "what is stale is not there");
    assert_eq!(text(&cache, "k").as_deref(), Some("third"));
    assert_eq!(insert(&cache, "l", "", gone), Inserted::Expired);
    cache.validate();
}

#[test]
fn one_of_many_threads_inserts() {
    let (cache, _) = cache();
    let stored = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for key in 0..500_u32 {
                    let options = InsertOptions { if_absent: true, ..InsertOptions::default() };
                    let key = (key % 50).to_le_bytes();
                    let inserted = cache.insert((&key[..]).into(), "".into(), options).unwrap();
                    stored.fetch_add(u32::from(inserted == Inserted::Stored), Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(stored.into_inner(), 50);
    cache.validate();
}

#[test]
fn an_increment_keeps_all_but_the_number() {
    let (cache, clock) = cache();
    assert_eq!(cache.increment("k".into(), 3.0, Some(1_000)), Ok(3.0));
    clock.advance(400);
    assert_eq!(cache.increment("k".into(), 0.5, Some(9_999)), Ok(3.5));
    assert_eq!(text(&cache, "k").as_deref(), Some("3.5"));
    assert_eq!(cache.remaining_ttl_ms("k".into()), Some(Some(600)));
    clock.advance(600);
    assert_eq!(cache.increment("k".into(), -1.0, None), Ok(-1.0), "it runs from the first");
    assert_eq!(cache.remaining_ttl_ms("k".into()), Some(None));

    let tags = ["t".into(), "u".into()];
    let options = InsertOptions { tags: &tags, grace_ms: 70, ..InsertOptions::ttl_ms(59_993) };
    let _ = insert(&cache, "k", "9", options);
    let fence = cache.fence();
    let (_, stamp) = cache.get_stamped("k".into()).unwrap();
    let bytes = cache.bytes();
    assert_eq!(cache.increment("k".into(), 1e6, None), Ok(1_000_009.0));
    assert_eq!(cache.bytes(), bytes + 6);
    assert!(!holds(&cache, &stamp) && !cache.permits("k".into(), fence, &[]));
    clock.advance(59_993);
    assert!(cache.get_stale("k".into()).is_some(), "the grace is kept");
    let _ = insert(&cache, "k", "9", options);
    assert_eq!(cache.increment("k".into(), 1.0, None), Ok(10.0));
    cache.invalidate_tag("u".into());
    assert_eq!(cache.increment("k".into(), 1.0, None), Ok(1.0), "the tags are kept");
    cache.validate();
}

#[test]
fn what_is_no_number_is_not_incremented() {
    let (cache, _) = cache();
    for wrong in ["", "\"1\"", "true", "[1]", "1 "] {
        let _ = insert(&cache, "k", wrong, InsertOptions::default());
        assert_eq!(cache.increment("k".into(), 1.0, None), Err(Error::NotANumber), "{wrong}");
        assert_eq!(text(&cache, "k").as_deref(), Some(wrong));
    }
    let bytes = Value { bytes: b"1", encoding: 2 };
    assert_eq!(cache.insert("k".into(), bytes, InsertOptions::default()), Ok(Inserted::Stored));
    assert_eq!(cache.increment("k".into(), 1.0, None), Err(Error::NotANumber));
    let _ = insert(&cache, "k", "1.7e308", InsertOptions::default());
    assert_eq!(cache.increment("k".into(), 1.7e308, None), Err(Error::NotFinite));
    assert_eq!(text(&cache, "k").as_deref(), Some("1.7e308"));
    assert_eq!(cache.increment("new".into(), f64::INFINITY, None), Err(Error::NotFinite));
    assert!(!cache.contains("new".into()));
    cache.validate();
}

#[test]
fn an_increment_makes_its_room_in_a_full_cache() {
    let (cache, _) = with(Options { max_bytes: Some(3 * 99), ..Options::default() });
    for key in ["aa", "bb", "cc"] {
        let _ = insert(&cache, key, "9", InsertOptions::default());
    }
    assert_eq!(cache.increment("aa".into(), 1.0, None), Ok(10.0));
    assert!(cache.contains("aa".into()) && !cache.contains("bb".into()) && cache.contains("cc".into()));
    cache.validate();
    let options = Options { max_entries: Some(9), max_entry_bytes: Some(99), ..Options::default() };
    let (cache, _) = with(options);
    let _ = insert(&cache, "aa", "9", InsertOptions::default());
    assert_eq!(cache.increment("aa".into(), 1.0, None), Ok(10.0));
    assert_eq!((cache.len(), cache.stats().rejections), (0, 1));
    cache.validate();
}

#[test]
fn no_increment_is_lost_between_threads() {
    let (cache, _) = with(Options { max_entries: Some(100), ..Options::default() });
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for number in 0..20_000_u32 {
                    cache.increment("k".into(), 1.0, None).unwrap();
                    let other = (number % 40).to_le_bytes();
                    let _ = cache.insert((&other[..]).into(), "".into(), InsertOptions::default()).unwrap();
                    let _ = cache.get("k".into());
                }
            });
        }
    });
    assert_eq!(text(&cache, "k").as_deref(), Some("60000"));
    cache.validate();
}

#[test]
fn a_ttl_that_slides_runs_from_the_last_get() {
    let options =
        Options { max_entries: Some(100), default_ttl_ms: Some(70_000), slides: true, ..Options::default() };
    let (cache, clock) = with(options);
    let _ = insert(&cache, "k", "v", InsertOptions { grace_ms: 5, ..InsertOptions::default() });
    let _ = insert(&cache, "peeked", "v", InsertOptions::default());
    let _ = insert(&cache, "for ever", "v", InsertOptions::ttl_ms(u64::MAX));
    for turn in 0..50 {
        clock.advance(50_000);
        if turn % 2 == 0 {
            assert!(cache.get("k".into()).is_some(), "turn {turn}");
        } else {
            assert!(cache.get_stamped("k".into()).is_some(), "turn {turn}");
        }
        assert_eq!(cache.remaining_ttl_ms("k".into()), Some(Some(70_000)));
        let alive = cache.peek("peeked".into()).is_some() && cache.contains("peeked".into());
        assert_eq!(alive, turn == 0);
        let _ = cache.purge_expired(1_000);
        cache.validate();
    }
    assert!(cache.get("for ever".into()).is_some());
    assert_eq!(cache.remaining_ttl_ms("for ever".into()), Some(None));
    // A deadline that was put further away is not brought nearer by a read.
    assert!(cache.touch("k".into(), Some(1_000_000)));
    assert!(cache.get("k".into()).is_some());
    assert_eq!(cache.remaining_ttl_ms("k".into()), Some(Some(1_000_000)));
    clock.advance(1_000_000);
    assert!(cache.get("k".into()).is_none());
    clock.advance(5);
    assert!(cache.purge_expired(1_000).done);
    assert_eq!(cache.len(), 1);
    cache.validate();
}

#[test]
fn a_purge_at_the_old_deadline_leaves_what_was_put_off() {
    let options = Options { max_entries: Some(100), slides: true, ..Options::default() };
    let (cache, clock) = with(options);
    let _ = insert(&cache, "k", "v", InsertOptions::ttl_ms(10));
    for _ in 0..20 {
        clock.advance(5);
        assert!(cache.get("k".into()).is_some());
        for _ in 0..5 {
            clock.advance(1);
            assert_eq!(cache.purge_expired(100).removed, 0);
        }
        assert!(cache.get("k".into()).is_some());
    }
    clock.advance(10);
    assert_eq!(cache.purge_expired(100).removed, 1);
    cache.validate();
}

#[test]
fn a_clock_that_is_told_the_time_never_goes_back() {
    let clock = ToldClock::default();
    clock.tell(500);
    let options = Options { max_entries: Some(9), ..Options::default() };
    let cache = Cache::with_clock(options, clock.clone()).unwrap();
    let _ = cache.insert("k".into(), "v".into(), InsertOptions::ttl_ms(100)).unwrap();
    clock.tell(560);
    clock.tell(10);
    assert_eq!(cache.remaining_ttl_ms("k".into()), Some(Some(40)));
    clock.tell(600);
    assert!(cache.get("k".into()).is_none());
}
