//! One load a key at a time, and what may be served meanwhile.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a failure in a test ends it")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use sark_cache_core::{Cache, Claim, Error, InsertOptions, Inserted, Key, MAX_TAGS, ManualClock, Options};

fn cache() -> (Cache<ManualClock>, ManualClock) {
    let clock = ManualClock::at(1_000);
    let options = Options { max_entries: Some(100), ..Options::default() };
    (Cache::with_clock(options, clock.clone()).unwrap(), clock)
}

fn granted(claim: Result<Claim, Error>) -> (u64, u64) {
    match claim.unwrap() {
        Claim::Granted { lease, fence } => (lease, fence),
        Claim::Taken => panic!("the load was taken"),
    }
}

#[test]
fn a_load_is_granted_to_one_at_a_time() {
    let (cache, _) = cache();
    let (lease, _) = granted(cache.claim("k".into(), &[], 1, 100));
    assert_eq!(cache.claim("k".into(), &[], 1, 100), Ok(Claim::Taken));
    assert_eq!(cache.claim("k".into(), &[], 2, 100), Ok(Claim::Taken));
    let (other, _) = granted(cache.claim("l".into(), &[], 2, 100));
    assert_eq!(cache.leases(), 2);
    assert!(!cache.complete("k".into(), other), "not the lease of this key");
    assert!(cache.complete("k".into(), lease), "somebody waited");
    assert!(!cache.complete("k".into(), lease), "it has been completed");
    assert!(!cache.complete("l".into(), other), "nobody waited");
    assert_eq!(cache.leases(), 0);
    granted(cache.claim("k".into(), &[], 2, 100));
}

#[test]
fn a_lease_ends_with_its_time_and_with_its_owner() {
    let (cache, clock) = cache();
    let (first, _) = granted(cache.claim("k".into(), &[], 1, 100));
    clock.advance(99);
    assert_eq!(cache.claim("k".into(), &[], 2, 100), Ok(Claim::Taken));
    clock.advance(1);
    let (second, _) = granted(cache.claim("k".into(), &[], 2, u64::MAX));
    assert!(!cache.complete("k".into(), first), "it was taken over");
    assert_eq!(cache.claim("k".into(), &[], 1, 100), Ok(Claim::Taken));
    granted(cache.claim("l".into(), &[], 1, 100));
    cache.release(2);
    assert_eq!(cache.leases(), 1);
    granted(cache.claim("k".into(), &[], 1, 100));
    assert!(!cache.complete("k".into(), second));
}

#[test]
fn a_load_that_was_overtaken_is_nobodys_to_wait_for() {
    type Change = fn(&Cache<ManualClock>);
    let changes: [Change; 4] = [
        |cache| assert!(!cache.remove("k".into())),
        |cache| cache.clear(),
        |cache| cache.invalidate_tag("t".into()),
        |cache| {
            let stored = cache.insert("k".into(), "v".into(), InsertOptions::default());
            assert_eq!(stored, Ok(Inserted::Stored));
        },
    ];
    for change in changes {
        let (cache, _) = cache();
        let (lease, old) = granted(cache.claim("k".into(), &["t".into()], 1, 100));
        change(&cache);
        let (_, fence) = granted(cache.claim("k".into(), &["t".into()], 2, 100));
        assert!(fence > old);
        assert!(!cache.complete("k".into(), lease));
        assert_eq!(cache.leases(), 1);
    }
    let (cache, _) = cache();
    assert_eq!(cache.claim("k".into(), &["t".into(); MAX_TAGS + 1], 1, 1), Err(Error::TooManyTags));
}

#[test]
fn of_many_threads_one_loads() {
    let cache = Cache::new(Options { max_entries: Some(100), ..Options::default() }).unwrap();
    let loads = AtomicU64::new(0);
    let under_way: Vec<AtomicBool> = std::iter::repeat_with(AtomicBool::default).take(500).collect();
    thread::scope(|scope| {
        for owner in 0..8 {
            let (cache, loads, under_way) = (&cache, &loads, &under_way);
            scope.spawn(move || {
                for (round, under_way) in (0_u64..).zip(under_way) {
                    let key = round.to_le_bytes();
                    let key = Key::from(&key[..]);
                    while cache.get(key).is_none() {
                        let Claim::Granted { lease, fence } = cache.claim(key, &[], owner, 60_000).unwrap()
                        else {
                            thread::yield_now();
                            continue;
                        };
                        // The value may have come between the read and the claim.
                        if cache.get(key).is_none() {
                            assert!(!under_way.swap(true, Ordering::SeqCst), "two threads load one key");
                            loads.fetch_add(1, Ordering::SeqCst);
                            under_way.store(false, Ordering::SeqCst);
                            let options = InsertOptions { fence: Some(fence), ..InsertOptions::default() };
                            let _ = cache.insert(key, "v".into(), options).unwrap();
                        }
                        cache.complete(key, lease);
                    }
                    if round % 50 == 49 {
                        thread::yield_now();
                    }
                }
            });
        }
    });
    assert_eq!(cache.leases(), 0);
    // Keys of before are evicted (there is room for 100), and a thread that lags loads them again.
    assert!(loads.into_inner() >= 500);
    cache.validate();
}

#[test]
fn a_stale_value_is_seen_by_those_who_ask_for_it_alone() {
    let (cache, clock) = cache();
    let options = InsertOptions { grace_ms: 50, ..InsertOptions::ttl_ms(100) };
    assert_eq!(cache.insert("k".into(), "v".into(), options), Ok(Inserted::Stored));
    let stale = |cache: &Cache<ManualClock>| {
        cache.get_stale("k".into()).map(|(entry, ms)| (entry.value().to_vec(), ms))
    };
    assert_eq!(cache.remaining_ttl_ms("k".into()), Some(Some(100)));
    clock.advance(99);
    assert!(cache.contains("k".into()));
    assert_eq!(stale(&cache), Some((b"v".to_vec(), 0)));
    clock.advance(1);
    assert_eq!(
        (cache.get("k".into()).is_some(), cache.contains("k".into()), cache.keys().len()),
        (false, false, 0)
    );
    assert_eq!(cache.remaining_ttl_ms("k".into()), None);
    assert_eq!(stale(&cache), Some((b"v".to_vec(), 1)));
    clock.advance(49);
    assert!(!cache.purge_expired(100).done || cache.len() == 1);
    assert_eq!(stale(&cache), Some((b"v".to_vec(), 49)));
    clock.advance(1);
    assert_eq!(stale(&cache), None);
    assert_eq!((cache.len(), cache.stats().expirations), (0, 1));
    cache.validate();
}

#[test]
fn nothing_stale_survives_a_change() {
    type Change = fn(&Cache<ManualClock>);
    let (cache, clock) = cache();
    let tags = ["t".into()];
    let options = InsertOptions { grace_ms: 1_000, tags: &tags, ..InsertOptions::ttl_ms(10) };
    let changes: [Change; 3] = [
        |cache| assert!(!cache.remove("k".into()), "a stale value is none"),
        |cache| cache.clear(),
        |cache| cache.invalidate_tag("t".into()),
    ];
    for change in changes {
        assert_eq!(cache.insert("k".into(), "v".into(), options), Ok(Inserted::Stored));
        clock.advance(20);
        assert!(cache.get_stale("k".into()).is_some());
        change(&cache);
        assert!(cache.get_stale("k".into()).is_none());
        cache.validate();
    }
    let forever = InsertOptions { grace_ms: 1_000, ..InsertOptions::ttl_ms(u64::MAX) };
    assert_eq!(cache.insert("k".into(), "v".into(), forever), Ok(Inserted::Stored));
    assert_eq!(cache.get_stale("k".into()).map(|(_, ms)| ms), Some(0));
}

#[test]
fn an_entry_is_due_when_little_of_its_own_ttl_is_left() {
    let (cache, clock) = cache();
    assert_eq!(cache.insert("k".into(), "v".into(), InsertOptions::ttl_ms(100)), Ok(Inserted::Stored));
    assert_eq!(cache.insert("l".into(), "v".into(), InsertOptions::default()), Ok(Inserted::Stored));
    let long = InsertOptions::ttl_ms(u64::from(u32::MAX) * 10_000);
    assert_eq!(cache.insert("m".into(), "v".into(), long), Ok(Inserted::Stored));
    for (wait, due) in [(0, false), (69, false), (1, true), (29, true), (1, false)] {
        clock.advance(wait);
        assert_eq!(cache.is_due("k".into(), 0.3), due, "after {wait} more");
    }
    assert!(!cache.is_due("l".into(), 1.0));
    assert!(!cache.is_due("m".into(), 0.5));
    assert!(!cache.is_due("none".into(), 1.0));
}

#[test]
fn an_entry_of_any_ttl_becomes_due() {
    for ttl in [1_000, 4_099, 1 << 24, 1 << 25, 86_400_000, u64::from(u32::MAX) + 1, (1 << 42) + 7] {
        let (cache, clock) = cache();
        assert_eq!(cache.insert("k".into(), "v".into(), InsertOptions::ttl_ms(ttl)), Ok(Inserted::Stored));
        clock.advance(ttl / 2 - 1);
        assert!(!cache.is_due("k".into(), 0.5), "{ttl}");
        clock.advance(1 + ttl % 2);
        assert!(cache.is_due("k".into(), 0.5), "{ttl}");
    }
}

#[test]
fn a_caller_waits_for_no_load_that_a_change_of_its_own_tags_has_overtaken() {
    let (cache, _) = cache();
    granted(cache.claim("k".into(), &["a".into()], 1, 100));
    assert_eq!(cache.claim("k".into(), &["b".into()], 2, 100), Ok(Claim::Taken));
    cache.invalidate_tag("b".into());
    granted(cache.claim("k".into(), &["b".into()], 2, 100));
}

#[test]
fn a_lease_that_nobody_completes_counts_until_its_time_is_up_and_is_forgotten() {
    let (cache, clock) = cache();
    granted(cache.claim("k".into(), &[], 1, 100));
    clock.advance(99);
    assert_eq!(cache.leases(), 1);
    clock.advance(1);
    assert_eq!(cache.leases(), 0);
    for number in 0..100_000_u32 {
        clock.advance(1);
        granted(cache.claim((&number.to_le_bytes()[..]).into(), &[], 1, 100));
    }
    assert_eq!(cache.leases(), 100);
    assert!(cache.leases_kept() < 3_000, "{} are kept", cache.leases_kept());
}
