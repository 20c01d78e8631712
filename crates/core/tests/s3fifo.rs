//! The policy S3-FIFO against a plain simulation of it, and the cache's promises under it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a failure in a test ends it, and a skipped test says so"
)]

mod common;

use std::collections::{HashMap, HashSet, VecDeque};

use common::{numbers, rows, traces, undelta};
use proptest::prelude::*;
use sark_cache_core::{Cache, InsertOptions, Inserted, ManualClock, Options, Policy};

fn cache(max_entries: usize, clock: ManualClock) -> Cache<ManualClock> {
    let options = Options { max_entries: Some(max_entries), policy: Policy::S3Fifo, ..Options::default() };
    Cache::with_clock(options, clock).unwrap()
}

/// Reads a key, and stores it where it is missing; says whether it was there.
fn request(cache: &Cache<ManualClock>, id: u32) -> bool {
    let key = id.to_le_bytes();
    if cache.get((&key[..]).into()).is_some() {
        return true;
    }
    let stored = cache.insert((&key[..]).into(), "v".into(), InsertOptions::default());
    assert_eq!(stored, Ok(Inserted::Stored));
    false
}

/// The pseudocode of the paper, for one thread, with a ghost queue of nine tenths of the cache.
struct Simulation {
    max: usize,
    uses: HashMap<u32, u8>,
    small: VecDeque<u32>,
    main: VecDeque<u32>,
    ghosts: VecDeque<u32>,
    is_ghost: HashSet<u32>,
}

impl Simulation {
    fn new(max: usize) -> Self {
        let (small, main, ghosts) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        Self { max, uses: HashMap::new(), small, main, ghosts, is_ghost: HashSet::new() }
    }

    fn request(&mut self, id: u32) -> bool {
        if let Some(uses) = self.uses.get_mut(&id) {
            *uses = (*uses + 1).min(3);
            return true;
        }
        while self.uses.len() >= self.max {
            self.evict();
        }
        if self.is_ghost.remove(&id) {
            self.ghosts.retain(|&ghost| ghost != id);
            self.main.push_back(id);
        } else {
            self.small.push_back(id);
        }
        self.uses.insert(id, 0);
        false
    }

    fn evict(&mut self) {
        if !self.small.is_empty() && (self.small.len() * 10 >= self.max || self.main.is_empty()) {
            let id = self.small.pop_front().unwrap();
            if self.uses[&id] > 1 {
                self.uses.insert(id, 0);
                self.main.push_back(id);
                return;
            }
            self.uses.remove(&id);
            self.ghosts.push_back(id);
            self.is_ghost.insert(id);
            while self.ghosts.len() > (self.max * 9 / 10).max(1) {
                self.is_ghost.remove(&self.ghosts.pop_front().unwrap());
            }
            return;
        }
        let id = self.main.pop_front().unwrap();
        let uses = self.uses.get_mut(&id).unwrap();
        if *uses > 0 {
            *uses -= 1;
            self.main.push_back(id);
        } else {
            self.uses.remove(&id);
        }
    }
}

#[test]
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn hits_on_real_traces_are_those_of_a_simulation_and_below_the_optimum() {
    let Some(folder) = traces() else { return };
    let mut loaded: HashMap<String, Vec<u32>> = HashMap::new();
    let mut gain = Vec::new();
    for row in rows(&folder.join("reference.csv")) {
        let [trace, capacity, requests, _, lru_hits, opt_hits, ..] = &row[..] else { panic!("{row:?}") };
        let total: f64 = requests.parse().unwrap();
        if total > 200_000.0 && cfg!(debug_assertions) {
            continue;
        }
        let requests = loaded
            .entry(trace.clone())
            .or_insert_with(|| undelta(numbers(&folder.join(format!("{trace}.trace.gz"))).into_iter()));
        let max = capacity.parse().unwrap();
        let cache = cache(max, ManualClock::at(0));
        let mut simulation = Simulation::new(max);
        let (mut hits, mut simulated) = (0_u64, 0_u64);
        for &id in requests.iter() {
            hits += u64::from(request(&cache, id));
            // Looking through its ghosts takes long in the long traces.
            if total < 200_000.0 {
                simulated += u64::from(simulation.request(id));
            }
        }
        cache.validate();
        assert!(hits <= opt_hits.parse().unwrap(), "{trace} at {capacity}: more than the optimum");
        let points = |a: u64, b: u64| (a as f64 - b as f64) * 100.0 / total;
        // Ghosts are kept by shard, so the oldest of all is not always the first to go. In a loop over more keys
        // than fit, every hit depends on which one is.
        if total < 200_000.0 && !["cs", "loop", "zigzag"].contains(&trace.as_str()) {
            let off = points(hits, simulated).abs();
            assert!(off < 1.0, "{trace} at {capacity}: {hits} hits, {simulated} simulated ({off:.2} points)");
        }
        gain.push(points(hits, lru_hits.parse().unwrap()));
    }
    let mean = gain.iter().sum::<f64>() / gain.len() as f64;
    eprintln!("S3-FIFO has {mean:.2} points more hits than LRU on the mean of {} rows", gain.len());
    assert!(mean > 1.0);
}

#[test]
fn a_scan_does_not_drive_out_what_is_used() {
    let cache = cache(100, ManualClock::at(0));
    for _ in 0..4 {
        for id in 0..50 {
            request(&cache, id);
        }
    }
    for id in 1_000..11_000 {
        assert!(!request(&cache, id));
    }
    assert_eq!((0..50).filter(|&id| request(&cache, id)).count(), 50);
    assert_eq!(cache.len(), 100);
    cache.validate();
}

#[test]
fn a_key_that_comes_back_soon_enters_the_main_queue() {
    let cache = cache(100, ManualClock::at(0));
    for id in 0..110 {
        request(&cache, id);
    }
    // It has left, and is remembered.
    assert!(!request(&cache, 0));
    for id in 1_000..1_200 {
        request(&cache, id);
    }
    assert!(request(&cache, 0), "a scan went past it");
    cache.validate();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn everything_else_is_as_under_lru(
        max in 1_usize..40,
        max_bytes in prop::option::of(120_u64..4_000),
        ops in prop::collection::vec((0_u8..8, 0_u8..60, 0_u64..120), 1..600),
    ) {
        let clock = ManualClock::at(0);
        let options =
            Options { max_entries: Some(max), max_bytes, policy: Policy::S3Fifo, ..Options::default() };
        let cache = Cache::with_clock(options, clock.clone()).unwrap();
        // The last value stored, and when it expires.
        let mut last: HashMap<u8, (u64, u64)> = HashMap::new();
        let mut now = 0;
        for (op, key, number) in ops {
            let name = [key];
            let name = sark_cache_core::Key::from(&name[..]);
            match op {
                0..3 => {
                    if let Some(hit) = cache.get(name) {
                        let (value, deadline) = last[&key];
                        prop_assert_eq!(hit.value(), value.to_le_bytes());
                        prop_assert!(now < deadline);
                    }
                }
                3..6 => {
                    let value = number.to_le_bytes();
                    let ttl = if number % 2 == 0 { u64::MAX } else { number };
                    let stored = cache.insert(name, (&value[..]).into(), InsertOptions::ttl_ms(ttl));
                    prop_assert_eq!(stored, Ok(Inserted::Stored));
                    last.insert(key, (number, now.saturating_add(ttl)));
                    prop_assert!(cache.contains(name));
                }
                6 => {
                    cache.remove(name);
                    prop_assert!(!cache.contains(name));
                }
                _ => {
                    clock.advance(number / 4);
                    now += number / 4;
                    if number == 0 {
                        cache.clear();
                    }
                    let _ = cache.purge_expired(3);
                }
            }
            prop_assert!(cache.len() <= max && cache.bytes() <= max_bytes.unwrap_or(u64::MAX));
        }
        cache.validate();
    }
}
