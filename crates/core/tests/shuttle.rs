//! The whole cache under random schedules: every lock and every atomic operation is a place where another
//! thread may go on. To be run with `RUSTFLAGS="--cfg shuttle"`; `SARK_CACHE_SCHEDULES` says how many.
#![cfg(shuttle)]
#![allow(clippy::unwrap_used, reason = "a failure in a test ends it")]

use std::collections::HashSet;

use sark_cache_core::{Cache, InsertOptions, Inserted, Key, ManualClock, Options, Policy};
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::{Arc, Mutex};
use shuttle::thread;

fn explore(scenario: fn()) {
    let schedules = std::env::var("SARK_CACHE_SCHEDULES").map_or(300, |n| n.parse().unwrap());
    shuttle::check_random(scenario, schedules);
    shuttle::check_pct(scenario, schedules, 3);
}

fn key(number: &[u8; 1]) -> Key<'_> {
    Key::from(&number[..])
}

fn any_policy() -> Policy {
    if thread_rng().gen_range(0..2) == 0 { Policy::Lru } else { Policy::S3Fifo }
}

/// Everything at once on few keys, with both bounds: no value is another key's, no bound is broken.
#[test]
fn all_calls_interleaved() {
    explore(|| {
        let clock = ManualClock::at(0);
        let options = Options {
            max_entries: Some(thread_rng().gen_range(1..4)),
            max_bytes: Some(2 * 140),
            policy: any_policy(),
            ..Options::default()
        };
        let cache = Arc::new(Cache::with_clock(options.clone(), clock.clone()).unwrap());
        let threads: Vec<_> = (0..3_u8)
            .map(|thread| {
                let (cache, clock, options) = (Arc::clone(&cache), clock.clone(), options.clone());
                thread::spawn(move || {
                    for step in 0..6_u8 {
                        let number = [thread_rng().gen_range(0..3)];
                        let name = key(&number);
                        let value = [number[0], thread, step];
                        match thread_rng().gen_range(0..15) {
                            0 => drop(cache.take(name)),
                            1 => cache.clear(),
                            2 => clock.advance(1),
                            3 => drop(cache.purge_expired(2)),
                            4 => cache.invalidate_tag(name),
                            5 => assert!(cache.keys().len() <= 3),
                            12 => drop(cache.touch(name, Some(thread_rng().gen_range(0..4)))),
                            13 => drop(cache.increment(name, 1.0, Some(2))),
                            14 => {
                                let options = InsertOptions { if_absent: true, ..InsertOptions::ttl_ms(2) };
                                let _ = cache.insert(name, (&value[..]).into(), options).unwrap();
                            }
                            6..9 => {
                                let ttl_ms = Some(thread_rng().gen_range(1..4));
                                let tags = [name];
                                let tags = if step % 2 == 0 { &tags[..] } else { &[] };
                                let options = InsertOptions { ttl_ms, tags, ..InsertOptions::default() };
                                let stored = cache.insert(name, (&value[..]).into(), options);
                                assert_eq!(stored, Ok(Inserted::Stored));
                            }
                            _ => {
                                if let Some((hit, _)) = cache.get_stamped(name) {
                                    // A number that was incremented is text.
                                    assert!(hit.value()[0] == number[0] || hit.value()[0].is_ascii_digit());
                                }
                            }
                        }
                        assert!(cache.len() <= options.max_entries.unwrap());
                        assert!(cache.bytes() <= options.max_bytes.unwrap());
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        cache.validate();
    });
}

/// A reader that finds an entry expired never takes a newer one with it.
#[test]
fn expiry_beside_a_write() {
    explore(|| {
        let clock = ManualClock::at(0);
        let options = Options { max_entries: Some(2), ..Options::default() };
        let cache = Arc::new(Cache::with_clock(options, clock.clone()).unwrap());
        assert_eq!(cache.insert("k".into(), "old".into(), InsertOptions::ttl_ms(1)), Ok(Inserted::Stored));
        clock.advance(1);
        let readers: Vec<_> = (0..2)
            .map(|purges| {
                let cache = Arc::clone(&cache);
                thread::spawn(move || {
                    if purges == 0 {
                        let _ = cache.purge_expired(10);
                    }
                    assert!(cache.get("k".into()).is_none_or(|hit| hit.value() == b"new"));
                })
            })
            .collect();
        assert_eq!(cache.insert("k".into(), "new".into(), InsertOptions::ttl_ms(9)), Ok(Inserted::Stored));
        assert_eq!(cache.get("k".into()).unwrap().value(), b"new");
        for reader in readers {
            reader.join().unwrap();
        }
        cache.validate();
    });
}

/// What was loaded before a change is not read after it, nor served from a copy.
#[test]
fn loads_beside_invalidations() {
    explore(|| {
        let cache = Arc::new(Cache::new(Options { max_entries: Some(2), ..Options::default() }).unwrap());
        let truth = Arc::new(Mutex::new(0_u8));
        let loaders: Vec<_> = (0..2)
            .map(|_| {
                let (cache, truth) = (Arc::clone(&cache), Arc::clone(&truth));
                thread::spawn(move || {
                    let fence = Some(cache.fence());
                    let loaded = [*truth.lock().unwrap()];
                    let options = InsertOptions { fence, tags: &["t".into()], ..InsertOptions::default() };
                    let _ = cache.insert("k".into(), (&loaded[..]).into(), options).unwrap();
                    if thread_rng().gen_range(0..2) == 0 {
                        let _ = cache.insert("other".into(), "v".into(), InsertOptions::default()).unwrap();
                    }
                })
            })
            .collect();
        *truth.lock().unwrap() = 1;
        match thread_rng().gen_range(0..3) {
            0 => cache.invalidate_tag("t".into()),
            1 => drop(cache.take("k".into())),
            _ => cache.clear(),
        }
        let read = |cache: &Cache| cache.get("k".into()).map(|hit| hit.value()[0]);
        assert_ne!(read(&cache), Some(0));
        for loader in loaders {
            loader.join().unwrap();
        }
        assert_ne!(read(&cache), Some(0));
        cache.validate();
    });
}

/// As long as the version table shows what it showed, a read returns the entry that was copied.
#[test]
fn copies_beside_writes() {
    explore(|| {
        let cache = Arc::new(Cache::new(Options { max_entries: Some(2), ..Options::default() }).unwrap());
        let acknowledged = Arc::new(Mutex::new(0_u8));
        let options = InsertOptions { tags: &["t".into()], ..InsertOptions::default() };
        assert_eq!(cache.insert("k".into(), (&[0][..]).into(), options), Ok(Inserted::Stored));
        let writer = {
            let (cache, acknowledged) = (Arc::clone(&cache), Arc::clone(&acknowledged));
            thread::spawn(move || {
                for value in 1..4_u8 {
                    if thread_rng().gen_range(0..4) == 0 {
                        cache.invalidate_tag("t".into());
                    }
                    let options = InsertOptions { tags: &["t".into()], ..InsertOptions::default() };
                    assert_eq!(
                        cache.insert("k".into(), (&[value][..]).into(), options),
                        Ok(Inserted::Stored)
                    );
                    *acknowledged.lock().unwrap() = value;
                }
            })
        };
        let mut copy = None;
        let mut seen = HashSet::new();
        for _ in 0..5 {
            let floor = *acknowledged.lock().unwrap();
            let words = cache.version_table().words();
            let now = |word: usize| words[word].load(std::sync::atomic::Ordering::SeqCst);
            let held = copy.filter(|(_, stamp): &(u8, sark_cache_core::Stamp)| {
                now(stamp.cell as usize) == stamp.version && now(0) == stamp.invalidation
            });
            let value = held.map(|(value, _)| value).or_else(|| {
                let (hit, stamp) = cache.get_stamped("k".into())?;
                copy = Some((hit.value()[0], stamp));
                copy.map(|(value, _)| value)
            });
            if let Some(value) = value {
                assert!(value >= floor, "{value} was read after {floor} was acknowledged");
                assert!(seen.iter().all(|&older| older <= value), "time went back");
                seen.insert(value);
            }
        }
        writer.join().unwrap();
        cache.validate();
    });
}

/// What a copy was told of its deadline holds as long as the version table shows the same, also where only that changed; and no
/// increment is lost beside it.
#[test]
fn touches_and_increments_beside_copies() {
    explore(|| {
        let clock = ManualClock::at(0);
        let options =
            Options { max_entries: Some(2), slides: thread_rng().gen_range(0..2) == 0, ..Options::default() };
        let cache = Arc::new(Cache::with_clock(options.clone(), clock.clone()).unwrap());
        assert_eq!(cache.increment("k".into(), 1.0, Some(100)), Ok(1.0));
        let threads: Vec<_> = (0..2)
            .map(|thread| {
                let cache = Arc::clone(&cache);
                thread::spawn(move || {
                    if thread == 0 {
                        assert!(cache.touch("k".into(), Some(10)));
                    }
                    for _ in 0..2 {
                        cache.increment("k".into(), 1.0, Some(100)).unwrap();
                    }
                })
            })
            .collect();
        let (_, copy) = cache.get_stamped("k".into()).unwrap();
        for thread in threads {
            thread.join().unwrap();
        }
        let (hit, now) = cache.get_stamped("k".into()).unwrap();
        assert_eq!(hit.value(), b"5");
        let held = copy.version == now.version;
        assert!(!held || options.slides || copy.fresh_until <= now.fresh_until);
        clock.advance(10);
        assert!(options.slides || cache.get("k".into()).is_none());
        drop(hit);
        cache.validate();
    });
}

/// A namespace that is cleared while it is written, read, expires and is evicted from: nobody reads what was loaded
/// before a clearing that has returned, and the counts are exact.
#[test]
fn clearings_of_a_namespace_beside_writes() {
    explore(|| {
        let clock = ManualClock::at(0);
        let options = Options { max_entries: Some(2), policy: any_policy(), ..Options::default() };
        let cache = Arc::new(Cache::with_clock(options, clock.clone()).unwrap());
        let space = cache.namespace("a".into()).unwrap();
        // The truth, and what was true at the last clearing that has returned.
        let truth = Arc::new(Mutex::new((0_u8, 0_u8)));
        let threads: Vec<_> = (0..3_u8)
            .map(|_| {
                let (cache, clock, truth) = (Arc::clone(&cache), clock.clone(), Arc::clone(&truth));
                thread::spawn(move || {
                    for _ in 0..5 {
                        let number = [thread_rng().gen_range(0..2)];
                        let name = key(&number).of(space);
                        match thread_rng().gen_range(0..9) {
                            0 => drop(cache.take(name)),
                            1 => clock.advance(1),
                            2 => {
                                let options = InsertOptions::default();
                                let _ = cache.insert(key(&number), "root".into(), options);
                            }
                            3..5 => {
                                let now = {
                                    let mut truth = truth.lock().unwrap();
                                    truth.0 += 1;
                                    truth.0
                                };
                                cache.clear_namespace(space);
                                let mut truth = truth.lock().unwrap();
                                truth.1 = truth.1.max(now);
                            }
                            5..7 => {
                                let fence = Some(cache.fence());
                                let value = [truth.lock().unwrap().0];
                                let ttl_ms = Some(thread_rng().gen_range(1..4));
                                let options = InsertOptions { fence, ttl_ms, ..InsertOptions::default() };
                                let _ = cache.insert(name, (&value[..]).into(), options);
                            }
                            _ => {
                                let least = truth.lock().unwrap().1;
                                if let Some((hit, _)) = cache.get_stamped(name) {
                                    assert!(hit.value()[0] >= least, "it was loaded before");
                                }
                            }
                        }
                        assert!(cache.namespace_len(space) <= 2);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        cache.validate();
    });
}

/// A key is removed, and then a lease is extended that vouches for it: a read that is answered finds nothing any more,
/// for the lease before has run out.
#[test]
fn a_read_takes_the_lease_before_it_looks() {
    explore(|| {
        let options = Options { max_entries: Some(4), is_tiered: true, ..Options::default() };
        let cache = Arc::new(Cache::with_clock(options, ManualClock::at(15)).unwrap());
        let stored = cache.insert("k".into(), "old".into(), InsertOptions::default());
        assert_eq!(stored, Ok(Inserted::Stored));
        assert!(cache.follow().saw(1, 0) && cache.follow().extend(1, 10));
        let follower = {
            let cache = Arc::clone(&cache);
            thread::spawn(move || {
                assert!(cache.remove("k".into()));
                assert!(cache.follow().extend(1, 20));
            })
        };
        match thread_rng().gen_range(0..4) {
            0 => assert!(cache.get("k".into()).is_none()),
            1 => assert!(cache.get_stamped("k".into()).is_none()),
            2 => assert!(cache.get_stale("k".into()).is_none()),
            _ => assert!(cache.peek_fenced("k".into()).0.is_none()),
        }
        follower.join().unwrap();
    });
}
