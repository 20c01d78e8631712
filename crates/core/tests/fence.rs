//! A value whose load began before a change is refused, and none that began after.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failure in a test ends it, and a skipped test says so"
)]

use sark_cache_core::{Cache, InsertOptions, Inserted, Key, MAX_TAGS, ManualClock, Options};

fn cache() -> Cache<ManualClock> {
    Cache::with_clock(Options { max_entries: Some(1_000), ..Options::default() }, ManualClock::at(0)).unwrap()
}

fn store(cache: &Cache<ManualClock>, key: &str, fence: Option<u64>, tags: &[&str]) -> Inserted {
    let tags: Vec<Key<'_>> = tags.iter().map(|&tag| tag.into()).collect();
    cache
        .insert(key.into(), "v".into(), InsertOptions { fence, tags: &tags, ..InsertOptions::default() })
        .unwrap()
}

#[test]
fn an_undisturbed_load_is_stored() {
    let cache = cache();
    store_unfenced(&cache, "other");
    let fence = cache.fence();
    assert_eq!(store(&cache, "k", Some(fence), &["t"]), Inserted::Stored);
    assert!(cache.contains("k".into()));
}

fn store_unfenced(cache: &Cache<ManualClock>, key: &str) {
    assert_eq!(store(cache, key, None, &[]), Inserted::Stored);
}

#[test]
fn a_change_during_the_load_refuses_it() {
    type Change = fn(&Cache<ManualClock>);
    let changes: [Change; 6] = [
        |cache| store_unfenced(cache, "k"),
        |cache| assert!(cache.remove("k".into()) || !cache.contains("k".into())),
        |cache| drop(cache.take("k".into())),
        |cache| cache.clear(),
        |cache| cache.invalidate_tag("t".into()),
        |cache| {
            let gone = cache.insert("k".into(), "".into(), InsertOptions::ttl_ms(0));
            assert_eq!(gone, Ok(Inserted::Expired));
        },
    ];
    for (number, change) in changes.iter().enumerate() {
        for present in [false, true] {
            let cache = cache();
            if present {
                store_unfenced(&cache, "k");
            }
            let fence = cache.fence();
            let tags = ["s".into(), "t".into()];
            assert!(cache.permits("k".into(), fence, &tags));
            change(&cache);
            assert!(!cache.permits("k".into(), fence, &tags));
            assert!(!cache.permits("k".into(), cache.fence(), &["t".into(); MAX_TAGS + 1]));
            let after = cache.peek("k".into()).map(|entry| entry.value().to_vec());
            assert_eq!(store(&cache, "k", Some(fence), &["s", "t"]), Inserted::Fenced, "change {number}");
            assert_eq!(cache.peek("k".into()).map(|entry| entry.value().to_vec()), after);
            assert_eq!(cache.stats().fenced, 1);
            assert_eq!(store(&cache, "k", Some(cache.fence()), &["s", "t"]), Inserted::Stored);
            cache.validate();
        }
    }
}

#[test]
fn a_fenced_store_with_ttl_zero_removes_nothing_newer() {
    let cache = cache();
    let fence = Some(cache.fence());
    store_unfenced(&cache, "k");
    let options = InsertOptions { fence, ..InsertOptions::ttl_ms(0) };
    assert_eq!(cache.insert("k".into(), "".into(), options), Ok(Inserted::Fenced));
    assert!(cache.contains("k".into()));
}

#[test]
fn an_invalidated_tag_hides_its_entries_and_no_others() {
    let cache = cache();
    for user in 0..20 {
        for resource in 0..20 {
            let tags = [format!("user {user}"), format!("resource {resource}")];
            let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
            assert_eq!(store(&cache, &format!("{user} {resource}"), None, &tags), Inserted::Stored);
        }
    }
    cache.invalidate_tag("user 7".into());
    cache.invalidate_tag("resource 3".into());
    let hidden = |user, resource| user == 7 || resource == 3;
    let mut lost = 0;
    for user in 0..20 {
        for resource in 0..20 {
            let there = cache.contains(format!("{user} {resource}").as_str().into());
            assert!(!(there && hidden(user, resource)), "{user} {resource}");
            lost += usize::from(!there && !hidden(user, resource));
        }
    }
    // Tags share stripes with a probability of one in a thousand here: an unlucky pair costs 20 entries.
    assert!(lost <= 80, "{lost} entries of other tags were lost");
    assert_eq!(cache.stats().invalidations, 39 + lost as u64);
    assert_eq!(store(&cache, "7 0", None, &["user 7", "resource 0"]), Inserted::Stored);
    assert!(cache.contains("7 0".into()));
    cache.validate();
}

#[test]
fn stores_of_other_keys_do_not_refuse_a_load() {
    let cache = cache();
    let fences: Vec<u64> = (0..1_000).map(|_| cache.fence()).collect();
    for (number, fence) in fences.iter().enumerate() {
        assert_eq!(store(&cache, &number.to_string(), Some(*fence), &[]), Inserted::Stored, "{number}");
    }
}

#[test]
fn a_newer_value_that_was_evicted_still_refuses_an_older_one() {
    let clock = ManualClock::at(0);
    let cache =
        Cache::with_clock(Options { max_entries: Some(2), ..Options::default() }, clock.clone()).unwrap();
    let fence = cache.fence();
    store_unfenced(&cache, "k");
    store_unfenced(&cache, "a");
    store_unfenced(&cache, "b");
    assert!(!cache.contains("k".into()));
    assert_eq!(store(&cache, "k", Some(fence), &[]), Inserted::Fenced);
    let fence = cache.fence();
    assert_eq!(cache.insert("k".into(), "v".into(), InsertOptions::ttl_ms(1)), Ok(Inserted::Stored));
    clock.advance(1);
    assert!(!cache.contains("k".into()));
    assert_eq!(store(&cache, "k", Some(fence), &[]), Inserted::Fenced);
}

#[test]
fn a_fence_from_the_future_is_refused() {
    let cache = cache();
    for fence in [cache.fence() + 1, u64::MAX] {
        assert_eq!(store(&cache, "k", Some(fence), &["t"]), Inserted::Fenced);
        assert!(!cache.permits("k".into(), fence, &[]));
    }
}
