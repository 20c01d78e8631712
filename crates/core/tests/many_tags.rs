//! Entries with few tags and with as many as there may be.

#![allow(clippy::unwrap_used, reason = "a failure in a test ends it")]

use sark_cache_core::{Cache, ENTRY_OVERHEAD, Error, InsertOptions, Inserted, Key, MAX_TAGS, Options};

fn cache() -> Cache {
    Cache::new(Options { max_entries: Some(1_000), ..Options::default() }).unwrap()
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("tag {number}")).collect()
}

#[test]
fn each_tag_of_an_entry_invalidates_it_however_many_there_are() {
    let names = names(MAX_TAGS);
    for count in [1, 2, 8, 9, 14, 15, 16, 127, MAX_TAGS] {
        let tags: Vec<Key<'_>> = names[..count].iter().map(|name| name.as_str().into()).collect();
        for tag in [0, count / 2, count - 1] {
            let cache = cache();
            for grace_ms in [0, 1_000] {
                let options =
                    InsertOptions { tags: &tags, grace_ms, ttl_ms: Some(60_000), ..InsertOptions::default() };
                assert_eq!(cache.insert("k".into(), "v".into(), options), Ok(Inserted::Stored));
                assert_eq!(cache.get("k".into()).unwrap().value(), b"v");
                cache.invalidate_tag(tags[tag]);
                assert!(cache.get("k".into()).is_none(), "tag {tag} of {count}");
                cache.validate();
            }
        }
    }
}

#[test]
fn a_fence_holds_for_each_of_many_tags() {
    let names = names(MAX_TAGS);
    let tags: Vec<Key<'_>> = names.iter().map(|name| name.as_str().into()).collect();
    let cache = cache();
    let fence = cache.fence();
    assert!(cache.permits("k".into(), fence, &tags));
    cache.invalidate_tag(tags[MAX_TAGS - 1]);
    assert!(!cache.permits("k".into(), fence, &tags));
    let options = InsertOptions { tags: &tags, fence: Some(fence), ..InsertOptions::default() };
    assert_eq!(cache.insert("k".into(), "v".into(), options), Ok(Inserted::Fenced));
}

#[test]
fn four_bytes_are_charged_for_a_tag_and_four_for_a_number_of_them_past_fourteen() {
    let names = names(MAX_TAGS);
    for (count, words) in [(0, 0), (1, 2), (8, 9), (14, 15), (15, 17), (MAX_TAGS, MAX_TAGS + 2)] {
        let tags: Vec<Key<'_>> = names[..count].iter().map(|name| name.as_str().into()).collect();
        let cache = cache();
        let options = InsertOptions { tags: &tags, ..InsertOptions::default() };
        assert_eq!(cache.insert("k".into(), "v".into(), options), Ok(Inserted::Stored));
        assert_eq!(cache.bytes(), 2 + 4 * words as u64 + ENTRY_OVERHEAD);
    }
}

#[test]
fn one_tag_too_many_is_refused() {
    let tags = [Key::from("t"); MAX_TAGS + 1];
    let options = InsertOptions { tags: &tags, ..InsertOptions::default() };
    assert_eq!(cache().insert("k".into(), "v".into(), options), Err(Error::TooManyTags));
    assert!(Error::TooManyTags.to_string().contains("128"));
}
