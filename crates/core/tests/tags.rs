//! Invalidated tags: what they take with them, and what not.

#![allow(clippy::unwrap_used, reason = "a failure in a test ends it")]

use sark_cache_core::{Cache, InsertOptions, Inserted, Key, Options};

/// A full cache of entries with six tags each, which are their own.
fn filled(entries: u32) -> Cache {
    let max_entries = Some(entries as usize);
    let cache = Cache::new(Options { max_entries, ..Options::default() }).unwrap();
    for number in 0..entries {
        let texts: [String; 6] = std::array::from_fn(|tag| format!("tag {tag} of {number}"));
        let tags: [Key<'_>; 6] = std::array::from_fn(|tag| Key::from(texts[tag].as_str()));
        let options = InsertOptions { tags: &tags, ..InsertOptions::default() };
        let key = number.to_le_bytes();
        assert_eq!(cache.insert((&key[..]).into(), "v".into(), options), Ok(Inserted::Stored));
    }
    cache
}

fn left(cache: &Cache, entries: u32) -> u32 {
    let left = (0..entries).filter(|number| cache.contains((&number.to_le_bytes()[..]).into())).count();
    u32::try_from(left).unwrap()
}

#[test]
fn tags_that_nobody_carries_cost_next_to_nothing() {
    for entries in [1_000, 4_000, 16_384, 50_000, 65_536, 100_000] {
        let cache = filled(entries);
        for tag in 0..entries / 5 {
            cache.invalidate_tag(format!("foreign {tag}").as_str().into());
        }
        let lost = entries - left(&cache, entries);
        assert!(lost * 200 <= entries, "{lost} of {entries} entries were lost");
    }
}

#[test]
fn what_is_read_now_and_then_outlives_any_number_of_foreign_tags() {
    let entries = 2_000;
    let cache = filled(entries);
    for round in 0..100 {
        for tag in 0..entries / 20 {
            cache.invalidate_tag(format!("foreign {tag} of {round}").as_str().into());
        }
        // Of so many tags two may have one hash, one time in forty.
        assert!(left(&cache, entries) >= entries - 2, "round {round}");
    }
    cache.invalidate_tag("tag 5 of 77".into());
    assert!(!cache.contains((&77_u32.to_le_bytes()[..]).into()));
}

#[test]
fn an_invalidation_is_never_forgotten() {
    let entries = 300;
    let cache = filled(entries);
    for number in 0..entries {
        cache.invalidate_tag(format!("tag {} of {number}", number % 6).as_str().into());
    }
    for tag in 0..20_000 {
        cache.invalidate_tag(format!("foreign {tag}").as_str().into());
    }
    assert_eq!(left(&cache, entries), 0);
}
