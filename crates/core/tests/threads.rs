//! Many threads in one cache.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failure in a test ends it, and a skipped test says so"
)]

#[path = "common/random.rs"]
mod random;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use random::Random;
use sark_cache_core::{Cache, InsertOptions, Inserted, ManualClock, MonotonicClock, Options};

fn cache(options: Options) -> Cache<MonotonicClock> {
    Cache::new(options).unwrap()
}

#[test]
fn each_of_8_threads_reads_what_it_wrote() {
    let cache = cache(Options { max_entries: Some(100_000), ..Options::default() });
    thread::scope(|scope| {
        for worker in 0..8_u64 {
            let cache = &cache;
            scope.spawn(move || {
                for number in 0..5_000_u64 {
                    let key = ((worker << 32) | (number % 500)).to_le_bytes();
                    let value = number.to_le_bytes();
                    let stored =
                        cache.insert((&key[..]).into(), (&value[..]).into(), InsertOptions::default());
                    assert_eq!(stored, Ok(Inserted::Stored));
                    assert_eq!(cache.get((&key[..]).into()).unwrap().value(), value);
                }
            });
        }
    });
    assert_eq!(cache.len(), 4_000);
    cache.validate();
}

#[test]
fn few_keys_and_many_threads_do_not_lock_up() {
    let cache = cache(Options { max_entries: Some(2), ..Options::default() });
    thread::scope(|scope| {
        for worker in 0..16_u64 {
            let cache = &cache;
            scope.spawn(move || {
                let mut random = Random(worker + 99);
                for _ in 0..4_000 {
                    let key = [u8::try_from(random.below(3)).unwrap()];
                    let key = sark_cache_core::Key::from(&key[..]);
                    match random.below(8) {
                        0 => {
                            cache.remove(key);
                        }
                        1 => cache.clear(),
                        2 => {
                            let _ = cache.purge_expired(1);
                        }
                        3 => drop(cache.keys()),
                        4 => cache.invalidate_tag(key),
                        5 => {
                            let options = InsertOptions { tags: &[key], ..InsertOptions::ttl_ms(1) };
                            let _ = cache.insert(key, "v".into(), options).unwrap();
                        }
                        _ => drop(cache.get(key)),
                    }
                }
            });
        }
    });
    cache.validate();
}

/// The seed's defect: a reader that saw an expired value deleted whatever was there by then.
#[test]
fn expiry_never_deletes_a_value_set_in_between() {
    let clock = ManualClock::at(0);
    let options = Options { max_entries: Some(1_000), ..Options::default() };
    let cache = Cache::with_clock(options, clock.clone()).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let _ = cache.get("k".into());
                    let _ = cache.purge_expired(10);
                }
            });
        }
        for round in 0..20_000_u64 {
            let old = cache.insert("k".into(), "old".into(), InsertOptions::ttl_ms(1));
            assert_eq!(old, Ok(Inserted::Stored));
            clock.advance(1);
            let fresh = cache.insert("k".into(), "fresh".into(), InsertOptions::ttl_ms(1_000_000));
            assert_eq!(fresh, Ok(Inserted::Stored));
            assert!(cache.contains("k".into()), "the fresh value was lost in round {round}");
        }
        stop.store(true, Ordering::Relaxed);
    });
    cache.validate();
}

/// After `invalidate_tag` or `remove` returned, no thread reads a value whose load began before.
#[test]
fn nothing_stale_is_read_after_an_invalidation_returned() {
    let cache = cache(Options { max_entries: Some(64), ..Options::default() });
    // What a decision is made from; a value is the truth at the time of its load.
    let truth = AtomicU64::new(0);
    // The truth as of the last invalidation that has returned.
    let floor = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let least = floor.load(Ordering::SeqCst);
                    if let Some(hit) = cache.get("k".into()) {
                        let seen = u64::from_le_bytes(hit.value().try_into().unwrap());
                        assert!(seen >= least, "{seen} was read after {least} had been invalidated away");
                        continue;
                    }
                    let fence = Some(cache.fence());
                    let loaded = truth.load(Ordering::SeqCst).to_le_bytes();
                    thread::yield_now();
                    let options = InsertOptions { fence, tags: &["t".into()], ..InsertOptions::default() };
                    let _ = cache.insert("k".into(), (&loaded[..]).into(), options).unwrap();
                }
            });
        }
        for round in 1..30_000 {
            truth.store(round, Ordering::SeqCst);
            match round % 3 {
                0 => cache.invalidate_tag("t".into()),
                1 => {
                    cache.remove("k".into());
                }
                _ => cache.clear(),
            }
            floor.store(round, Ordering::SeqCst);
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(cache.stats().fenced > 0, "no load was ever overtaken: the test did not test");
    cache.validate();
}

/// `clear` happens at one moment: whoever finds one key gone finds none that was set before.
#[test]
fn a_clear_is_one_moment_for_all_keys() {
    const KEYS: u64 = 2_000;
    let cache = cache(Options { max_entries: Some(10_000), ..Options::default() });
    for round in 0..30_u64 {
        for key in 0..KEYS {
            let stored = cache.insert((&key.to_le_bytes()[..]).into(), "v".into(), InsertOptions::default());
            assert_eq!(stored, Ok(Inserted::Stored));
        }
        let start = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                start.store(true, Ordering::SeqCst);
                cache.clear();
            });
            while !start.load(Ordering::SeqCst) {
                std::hint::spin_loop();
            }
            let mut gone = false;
            for step in 0..KEYS {
                let key = (step * 769 + round) % KEYS;
                let there = cache.contains((&key.to_le_bytes()[..]).into());
                assert!(!(gone && there), "a key outlived a clear that was seen");
                gone |= !there;
            }
        });
        assert_eq!((cache.len(), cache.bytes(), cache.stats().cleared), (0, 0, KEYS * (round + 1)));
        cache.validate();
    }
}

#[test]
fn no_update_by_compare_and_set_is_lost() {
    let cache = Cache::new(Options { max_entries: Some(8), ..Options::default() }).unwrap();
    let count = 20_000_u32;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..count {
                    loop {
                        let (old, fence) = cache.peek_fenced("k".into());
                        let number = old.map_or(0, |old| u32::from_le_bytes(old.value().try_into().unwrap()));
                        let options = InsertOptions { fence: Some(fence), ..InsertOptions::default() };
                        let bytes = (number + 1).to_le_bytes();
                        if cache.insert("k".into(), (&bytes[..]).into(), options).unwrap() == Inserted::Stored
                        {
                            break;
                        }
                    }
                }
            });
        }
    });
    assert_eq!(cache.get("k".into()).unwrap().value(), (3 * count).to_le_bytes());
}
