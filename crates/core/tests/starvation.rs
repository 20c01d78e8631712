//! No call waits for ever because others read.

#![allow(clippy::unwrap_used, reason = "a failure in a test ends it")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sark_cache_core::{Cache, InsertOptions, Options};

/// Far more than any of the calls needs, and less than it takes where readers come first.
const PATIENCE: Duration = Duration::from_millis(10);

/// One test at a time, so that each has the processors.
static ALONE: Mutex<()> = Mutex::new(());

/// The median time of `call` while eight threads do nothing but read one key. Of many runs, for those of a starved call
/// vary.
fn beside_readers(call: impl Fn(&Cache)) -> Duration {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let cache = Cache::new(Options { max_entries: Some(10_000), ..Options::default() }).unwrap();
    let done = AtomicBool::new(false);
    let mut times = Vec::new();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    drop(cache.get("k".into()));
                }
            });
        }
        for _ in 0..31 {
            for key in ["k", "l", "m"] {
                let options = InsertOptions::ttl_ms(if key == "k" { 600_000 } else { 1 });
                let _ = cache.insert(key.into(), "v".into(), options).unwrap();
            }
            thread::sleep(Duration::from_millis(20));
            let begin = Instant::now();
            call(&cache);
            times.push(begin.elapsed());
        }
        done.store(true, Ordering::Relaxed);
    });
    times.sort_unstable();
    times[times.len() / 2]
}

#[test]
fn a_clear_is_not_starved_by_readers() {
    let time = beside_readers(Cache::clear);
    assert!(time < PATIENCE, "{time:?}");
}

#[test]
fn a_purge_is_not_starved_by_readers() {
    let purge = |cache: &Cache| assert!(cache.purge_expired(usize::MAX).done);
    let time = beside_readers(purge);
    assert!(time < PATIENCE, "{time:?}");
}

#[test]
fn a_walk_is_not_starved_by_readers() {
    let time = beside_readers(|cache| drop(cache.keys()));
    assert!(time < PATIENCE, "{time:?}");
}

#[test]
fn a_write_is_not_starved_by_readers() {
    let write = |cache: &Cache| {
        let _ = cache.insert("k".into(), "w".into(), InsertOptions::default()).unwrap();
        cache.remove("k".into());
    };
    let time = beside_readers(write);
    assert!(time < PATIENCE, "{time:?}");
}
