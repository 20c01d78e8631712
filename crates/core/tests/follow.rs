//! A tiered cache: what is read under which lease, and what is known of the changes behind it.

#![allow(clippy::unwrap_used, reason = "a failure in a test ends it")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sark_cache_core::{
    Cache, ChangeName, Claim, Cursor, InsertOptions, Inserted, Key, ManualClock, Moment, MonotonicClock,
    Options,
};

const DAY: u64 = 24 * 3_600_000;

fn options(is_tiered: bool) -> Options {
    Options { max_entries: Some(1_000), is_tiered, ..Options::default() }
}

/// A tiered cache that saw epoch 7, and its clock.
fn cache() -> (Cache<ManualClock>, ManualClock) {
    let clock = ManualClock::at(5_000);
    let cache = Cache::with_clock(options(true), clock.clone()).unwrap();
    assert!(cache.follow().saw(7, 1));
    (cache, clock)
}

fn store<C: sark_cache_core::Clock>(cache: &Cache<C>, key: &str, value: &str) {
    let stored = cache.insert(key.into(), value.into(), InsertOptions::default());
    assert_eq!(stored, Ok(Inserted::Stored));
}

fn names(names: &[&str]) -> Vec<ChangeName> {
    names.iter().map(|name| Key::from(*name).into()).collect()
}

fn pending<C: sark_cache_core::Clock>(cache: &Cache<C>) -> Vec<String> {
    let text = |name: &ChangeName| String::from_utf8(name.bytes.to_vec()).unwrap();
    cache.follow().pending().iter().map(|(_, name)| text(name)).collect()
}

/// Which of all reads find something.
fn found(cache: &Cache<ManualClock>) -> [bool; 9] {
    let key = Key::from("k");
    [
        cache.get(key).is_some(),
        cache.get_stamped(key).is_some(),
        cache.peek(key).is_some(),
        cache.contains(key),
        cache.get_stale(key).is_some(),
        cache.remaining_ttl_ms(key).is_some(),
        cache.is_due(key, 1.0),
        cache.peek_fenced(key).0.is_some(),
        !cache.scan(Cursor::default(), 10).0.is_empty(),
    ]
}

#[test]
fn reads_are_answered_while_the_lease_is_held_alone() {
    let (cache, clock) = cache();
    store(&cache, "k", "v");
    assert_eq!(found(&cache), [false; 9]);
    assert_eq!(cache.answered_at(), None);
    assert!(cache.follow().extend(7, 5_100));
    assert_eq!(found(&cache), [true; 9]);
    clock.advance(99);
    assert_eq!(found(&cache), [true; 9]);
    assert_eq!(cache.answered_at(), Some(5_099));
    clock.advance(1);
    assert_eq!(found(&cache), [false; 9]);
    assert_eq!(cache.len(), 1, "nothing is removed by a read that is refused");
    assert!(cache.follow().extend(7, 5_101));
    assert_eq!(found(&cache), [true; 9]);
    cache.follow().suspend();
    assert_eq!(found(&cache), [false; 9]);
    assert!(cache.keys().is_empty());
    cache.validate();
}

#[test]
fn a_plain_cache_has_a_lease_that_nothing_ends() {
    let cache = Cache::new(options(false)).unwrap();
    store(&cache, "k", "v");
    cache.follow().suspend();
    assert!(cache.follow().saw(3, 1));
    assert_eq!(cache.follow().held_until(), u64::MAX);
    assert!(cache.get("k".into()).is_some());
    assert_eq!(cache.remaining_ttl_ms("k".into()), Some(None));
}

#[test]
fn changes_work_on_what_is_held_while_no_lease_is() {
    let (cache, _) = cache();
    for key in ["kept", "removed", "taken", "tagged", "touched"] {
        let tags = [Key::from("t")];
        let tags = &tags[..usize::from(key == "tagged")];
        let options = InsertOptions { tags, ..InsertOptions::ttl_ms(1_000) };
        assert_eq!(cache.insert(key.into(), "1".into(), options), Ok(Inserted::Stored));
    }
    let fence = Some(cache.fence());
    assert!(cache.remove("removed".into()));
    assert!(cache.take("taken".into()).is_none());
    cache.invalidate_tag("t".into());
    assert!(cache.touch("touched".into(), Some(5_000)));
    let late = InsertOptions { fence, ..InsertOptions::default() };
    assert_eq!(cache.insert("removed".into(), "old".into(), late), Ok(Inserted::Fenced));
    let Claim::Granted { fence, .. } = cache.claim("loaded".into(), &[], 1, 100).unwrap() else { panic!() };
    let loaded = InsertOptions { fence: Some(fence), ..InsertOptions::default() };
    assert_eq!(cache.insert("loaded".into(), "2".into(), loaded), Ok(Inserted::Stored));
    let absent = InsertOptions { if_absent: true, ..InsertOptions::default() };
    assert_eq!(cache.insert("kept".into(), "3".into(), absent), Ok(Inserted::Stored));
    assert!(cache.follow().extend(7, 6_000));
    assert_eq!(cache.insert("kept".into(), "4".into(), absent), Ok(Inserted::Present));
    assert_eq!(cache.peek("kept".into()).unwrap().value(), b"3");
    assert!(["removed", "taken", "tagged"].iter().all(|key| cache.peek((*key).into()).is_none()));
    assert!(cache.contains("loaded".into()));
    assert_eq!(cache.remaining_ttl_ms("touched".into()), Some(Some(5_000)));
    cache.validate();
}

#[test]
fn an_increment_begins_anew_while_nothing_can_be_read() {
    let (cache, _) = cache();
    assert_eq!(cache.increment("n".into(), 5.0, None), Ok(5.0));
    assert_eq!(cache.increment("n".into(), 5.0, None), Ok(5.0));
    assert!(cache.follow().extend(7, 6_000));
    assert_eq!(cache.increment("n".into(), 5.0, None), Ok(10.0));
}

#[test]
fn every_entry_has_a_deadline() {
    let (cache, _) = cache();
    assert!(cache.follow().extend(7, u64::MAX));
    for ttl_ms in [None, Some(u64::MAX), Some(31 * DAY), Some(1 << 43)] {
        let options = InsertOptions { ttl_ms, ..InsertOptions::default() };
        assert_eq!(cache.insert("k".into(), "v".into(), options), Ok(Inserted::Stored));
        assert_eq!(cache.remaining_ttl_ms("k".into()), Some(Some(30 * DAY)));
        assert_eq!(cache.get_stamped("k".into()).unwrap().1.fresh_until, 5_000 + 30 * DAY);
    }
    assert!(cache.touch("k".into(), Some(u64::MAX)));
    assert_eq!(cache.remaining_ttl_ms("k".into()), Some(Some(30 * DAY)));
}

#[test]
fn epochs_go_up_and_a_newer_one_ends_the_lease() {
    let (cache, _) = cache();
    let follow = cache.follow();
    assert!(!follow.extend(6, 9_000) && !follow.extend(8, 9_000) && !follow.extend(0, 9_000));
    assert_eq!(follow.held_until(), 0);
    assert!(follow.extend(7, 9_000) && follow.extend(7, 8_000));
    assert_eq!(follow.held_until(), 9_000);
    assert!(follow.saw(7, 5) && follow.saw(7, 3) && !follow.saw(6, 100));
    assert_eq!((follow.seen(), follow.held_until()), (Moment { epoch: 7, sequence: 5 }, 9_000));
    assert!(follow.saw(8, 2));
    assert_eq!((follow.seen(), follow.held_until()), (Moment { epoch: 8, sequence: 2 }, 0));
    follow.advance(8, 2);
    assert_eq!(follow.position(), Moment { epoch: 8, sequence: 2 });
}

#[test]
fn one_owner_follows_until_it_gives_the_role_up() {
    let (cache, _) = cache();
    let follow = cache.follow();
    assert!(follow.follow(1) && !follow.follow(2) && follow.follow(1));
    follow.unfollow(2);
    assert!(!follow.follow(2));
    follow.unfollow(1);
    assert!(follow.follow(2) && !follow.follow(1));
}

#[test]
fn what_is_pending_is_struck_off_by_number_and_bounded() {
    let (cache, _) = cache();
    let follow = cache.follow();
    follow.pend(names(&["=k", "#t", "=k"]));
    let first = follow.pending()[0].0;
    follow.delivered(&[first, 77]);
    assert_eq!((pending(&cache), follow.pending_count()), (vec!["#t".to_owned(), "=k".to_owned()], 2));
    follow.pend((0..1_022).map(|_| ChangeName::from(Key::from("=more"))));
    let before: Vec<u64> = follow.pending().iter().map(|(number, _)| *number).collect();
    assert_eq!(before.len(), 1_024);
    follow.pend(names(&["=one", "=two"]));
    assert_eq!(pending(&cache), ["c"]);
    follow.delivered(&before);
    assert_eq!(follow.pending_count(), 1);
}

#[test]
fn what_was_acknowledged_lately_in_another_epoch_is_pending_again() {
    let (cache, _) = cache();
    let follow = cache.follow();
    follow.acknowledged(1, names(&["=old"]), 0, 100);
    follow.acknowledged(1, names(&["=a"]), 1, 100);
    follow.acknowledged(2, names(&["=b"]), 1, 100);
    follow.redeliver(2, 100);
    assert_eq!(pending(&cache), ["=a"]);
    for _ in 0..4_096 {
        follow.acknowledged(2, names(&["=c"]), 100, 100);
    }
    follow.redeliver(2, 101);
    assert_eq!(pending(&cache), ["=a"]);
    follow.redeliver(3, 101);
    assert_eq!(pending(&cache), ["=a", "c"]);
    follow.acknowledged(3, names(&["=late"]), u64::MAX, u64::MAX);
    follow.redeliver(4, u64::MAX);
    assert!(!pending(&cache).contains(&"=late".to_owned()));
}

/// A value is changed, which is applied and vouched for. Whoever is answered at a time at which the lease before had run
/// out sees the change.
#[test]
fn threads_are_answered_with_what_was_applied_before_the_lease_was_extended() {
    let cache = Cache::with_clock(options(true), MonotonicClock).unwrap();
    cache.follow().saw(1, 0);
    let applied = AtomicU64::new(0);
    let answered = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let least = applied.load(Ordering::Acquire);
                    if least == u64::MAX {
                        break;
                    }
                    if let Some(entry) = cache.get("k".into()) {
                        let value = u64::from_le_bytes(entry.value().try_into().unwrap());
                        assert!(value >= least, "{value} after {least}");
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        for epoch in 1..5_000_u64 {
            cache.follow().saw(epoch, 0);
            let _ = cache.remove("k".into());
            let value = epoch.to_le_bytes();
            let stored = cache.insert("k".into(), (&value[..]).into(), InsertOptions::default());
            assert_eq!(stored, Ok(Inserted::Stored));
            assert!(cache.follow().extend(epoch, u64::MAX - 1));
            applied.store(epoch, Ordering::Release);
            let before = answered.load(Ordering::Relaxed);
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(10)
                && epoch % 64 == 0
                && answered.load(Ordering::Relaxed) == before
            {
                thread::yield_now();
            }
        }
        applied.store(u64::MAX, Ordering::Release);
    });
    assert!(answered.load(Ordering::Relaxed) > 0);
}
