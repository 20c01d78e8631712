//! Hits on real traces equal those of the exact LRU reference.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failure in a test ends it, and a skipped test says so"
)]

mod common;

use std::collections::HashMap;

use common::{numbers, rows, traces, undelta};
use sark_cache_core::{Cache, ENTRY_OVERHEAD, InsertOptions, Inserted, ManualClock, Options};

/// Rows longer than this run only in release builds, where the whole table takes seconds.
const LONG: usize = if cfg!(debug_assertions) { 600_000 } else { usize::MAX };

#[test]
fn hits_under_an_entry_bound_are_those_of_exact_lru() {
    let Some(folder) = traces() else { return };
    let mut loaded: HashMap<String, Vec<u32>> = HashMap::new();
    for row in rows(&folder.join("reference.csv")) {
        let [trace, capacity, requests, _, lru_hits, opt_hits, ..] = &row[..] else { panic!("{row:?}") };
        if requests.parse::<usize>().unwrap() > LONG {
            continue;
        }
        let capacity: usize = capacity.parse().unwrap();
        let requests = loaded
            .entry(trace.clone())
            .or_insert_with(|| undelta(numbers(&folder.join(format!("{trace}.trace.gz"))).into_iter()));
        let options = Options { max_entries: Some(capacity), ..Options::default() };
        let cache = Cache::with_clock(options, ManualClock::at(0)).unwrap();
        let mut hits = 0_u64;
        for id in requests.iter() {
            let key = id.to_le_bytes();
            if cache.get((&key[..]).into()).is_some() {
                hits += 1;
            } else {
                let stored = cache.insert((&key[..]).into(), "v".into(), InsertOptions::default());
                assert_eq!(stored, Ok(Inserted::Stored));
            }
        }
        cache.validate();
        let (lru, opt): (u64, u64) = (lru_hits.parse().unwrap(), opt_hits.parse().unwrap());
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let points = (hits.abs_diff(lru) as f64) * 100.0 / requests.len() as f64;
        // The put-back cap may bite; everywhere else the two are equal.
        assert!(
            points <= 0.2,
            "{trace} at {capacity}: {hits} hits, exact LRU has {lru} ({points:.3} points)"
        );
        assert!(hits <= opt, "{trace} at {capacity}: {hits} hits, more than the optimum of {opt}");
        if hits != lru {
            eprintln!("{trace} at {capacity}: {hits} hits, exact LRU has {lru} ({points:.4} points)");
        }
        assert_eq!(cache.stats().hits, hits);
    }
}

#[test]
fn evictions_under_a_byte_bound_are_those_of_exact_lru() {
    let Some(folder) = traces() else { return };
    let fields = numbers(&folder.join("cloudphysics.sized.gz"));
    let ids = undelta(fields.iter().copied().step_by(3));
    let sizes: Vec<u64> = fields.iter().copied().skip(1).step_by(3).collect();
    for row in rows(&folder.join("reference-bytes.csv")) {
        let max_bytes: u64 = row[1].parse().unwrap();
        let max_entries: Option<usize> = (!row[2].is_empty()).then(|| row[2].parse().unwrap());
        let expect: Vec<u64> = [5, 6, 7, 8, 9].iter().map(|&at| row[at].parse().unwrap()).collect();
        // The reference charges the object's size alone and its sizes are multiples of 512, so a cache of
        // a 512th of everything, with the key and the fixed cost inside that, decides the same way.
        let options =
            Options { max_entries, max_bytes: Some(max_bytes / SCALE * UNIT), ..Options::default() };
        let cache = Cache::with_clock(options, ManualClock::at(0)).unwrap();
        let (mut misses, mut miss_bytes) = (0, 0);
        for (id, &size) in ids.iter().zip(&sizes) {
            let key = id.to_le_bytes();
            if cache.get((&key[..]).into()).is_some() {
                continue;
            }
            misses += 1;
            miss_bytes += size;
            assert_eq!(size % SCALE, 0, "sizes are whole sectors");
            let len = usize::try_from(size / SCALE * UNIT - ENTRY_OVERHEAD - 4).unwrap();
            let value = vec![0; len];
            let stored = cache.insert((&key[..]).into(), (&value[..]).into(), InsertOptions::default());
            assert_eq!(stored, Ok(Inserted::Stored));
        }
        cache.validate();
        let stats = cache.stats();
        let evictions = stats.evictions_by_bytes + stats.evictions_by_entries;
        let got = [misses, miss_bytes, evictions, cache.len() as u64, cache.bytes() / UNIT * SCALE];
        assert_eq!(got[..], expect[..], "{row:?}");
    }
}

/// Bytes of a sector, the unit of the sizes in the trace.
const SCALE: u64 = 512;
/// Bytes that stand for one sector in the cache: the least that holds the fixed cost and the key.
const UNIT: u64 = ENTRY_OVERHEAD + 4;
