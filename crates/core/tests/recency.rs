//! How near the order of eviction comes to that of use, between threads and where everything was used.

#![allow(clippy::unwrap_used, reason = "a failure in a test ends it")]

#[path = "common/random.rs"]
mod random;

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc;
use std::thread;

use random::Random;
use sark_cache_core::{Cache, InsertOptions, Inserted, Options, Policy};

fn cache(max_entries: usize, policy: Policy) -> Cache {
    Cache::new(Options { max_entries: Some(max_entries), policy, ..Options::default() }).unwrap()
}

fn insert(cache: &Cache, key: u32) {
    let key = key.to_le_bytes();
    let inserted = cache.insert((&key[..]).into(), "".into(), InsertOptions::default());
    assert_eq!(inserted, Ok(Inserted::Stored));
}

fn get(cache: &Cache, key: u32) -> bool {
    cache.get((&key.to_le_bytes()[..]).into()).is_some()
}

fn contains(cache: &Cache, key: u32) -> bool {
    cache.contains((&key.to_le_bytes()[..]).into())
}

/// Reads through: whether there was a hit.
fn ask(cache: &Cache, key: u32) -> bool {
    let hit = get(cache, key);
    if !hit {
        insert(cache, key);
    }
    hit
}

/// Runs batches of keys by turns in `threads` threads, each batch after the one before, and counts the hits.
fn by_turns<'a>(cache: &Cache, threads: usize, batches: &'a [(usize, Vec<u32>)]) -> usize {
    thread::scope(|scope| {
        let (done, is_done) = mpsc::channel();
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let (send, receive) = mpsc::channel::<&'a [u32]>();
                let done = done.clone();
                scope.spawn(move || {
                    for keys in receive {
                        done.send(keys.iter().filter(|&&key| ask(cache, key)).count()).unwrap();
                    }
                });
                send
            })
            .collect();
        let run = |(thread, keys): &'a (usize, Vec<u32>)| {
            workers[*thread].send(keys.as_slice()).unwrap();
            is_done.recv().unwrap()
        };
        batches.iter().map(run).sum()
    })
}

/// The hits of exact LRU.
fn exactly(max: usize, batches: &[(usize, Vec<u32>)]) -> usize {
    let (mut used, mut order, mut tick, mut hits) = (HashMap::new(), BTreeMap::new(), 0_u64, 0);
    for &key in batches.iter().flat_map(|(_, keys)| keys) {
        tick += 1;
        if let Some(before) = used.insert(key, tick) {
            hits += 1;
            order.remove(&before);
        } else if used.len() > max {
            let (_, oldest) = order.pop_first().unwrap();
            used.remove(&oldest);
        }
        order.insert(tick, key);
    }
    hits
}

#[test]
fn a_key_that_one_thread_reads_stays_while_another_inserts() {
    for (max, inserts) in [(100, 10), (100, 90), (300, 10), (300, 250), (5_000, 4_500)] {
        let cache = cache(max, Policy::Lru);
        let rounds = 400;
        let batches: Vec<(usize, Vec<u32>)> = (0..2 * rounds)
            .map(|turn| match turn % 2 {
                0 => (0, vec![0]),
                _ => (1, (0..inserts).map(|number| 1 + turn * inserts + number).collect()),
            })
            .collect();
        assert_eq!(by_turns(&cache, 2, &batches), rounds as usize - 1, "{max} entries, every {inserts}");
    }
}

#[test]
fn threads_by_turns_hit_as_often_as_exact_lru() {
    for threads in [2, 4] {
        for (max, batches, longest) in
            [(50, 6_000, 3), (100, 6_000, 3), (300, 6_000, 8), (3_000, 6_000, 30), (100_000, 6_000, 130)]
        {
            let mut random = Random(max as u64 + threads as u64);
            let mut scan = 0;
            let batches: Vec<(usize, Vec<u32>)> = (0..batches)
                .map(|_| {
                    let length = 1 + random.below(longest);
                    let keys = (0..length).map(|_| {
                        // One in eight is new; of the others, few are asked for often and many seldom.
                        if random.below(8) == 0 {
                            scan += 1;
                            return (1 << 31) + scan;
                        }
                        let (a, b) = (random.below(1 << 16), random.below(1 << 16));
                        u32::try_from(a * b / (1 << 16) * 4 * max as u64 / (1 << 16)).unwrap()
                    });
                    let keys = keys.collect();
                    (usize::try_from(random.below(threads as u64)).unwrap(), keys)
                })
                .collect();
            let asked: usize = batches.iter().map(|(_, keys)| keys.len()).sum();
            let cache = cache(max, Policy::Lru);
            let (hits, exact) = (by_turns(&cache, threads, &batches), exactly(max, &batches));
            assert!(
                hits.abs_diff(exact) * 500 <= asked,
                "{threads} threads, {max} entries: {hits} hits of {asked}, {exact} of exact LRU"
            );
            cache.validate();
        }
    }
}

#[test]
fn where_everything_was_used_the_victims_are_old() {
    let cache = cache(100_000, Policy::Lru);
    for key in 0..100_000 {
        insert(&cache, key);
    }
    // The order of use is nothing like that of insertion.
    let place = |rank: u32| u32::try_from(u64::from(rank) * 48_271 % 100_000).unwrap();
    for rank in 0..100_000 {
        assert!(get(&cache, place(rank)));
    }
    let evictions = 200;
    for key in 0..evictions {
        insert(&cache, 1_000_000 + key);
    }
    let victims: Vec<u32> = (0..100_000).filter(|&rank| !contains(&cache, place(rank))).collect();
    assert_eq!(victims.len(), evictions as usize);
    let mean = victims.iter().sum::<u32>() / evictions;
    let last = victims.iter().max().unwrap();
    assert!(mean < 1_000 && *last < 8_000, "mean rank {mean}, last {last}");
    cache.validate();
}

#[test]
fn where_everything_was_used_s3_fifo_takes_what_was_used_least() {
    let cache = cache(10_000, Policy::S3Fifo);
    for key in 0..10_000 {
        insert(&cache, key);
        let _ = get(&cache, key) && get(&cache, key);
    }
    // Takes all of them to the main queue; the small one has little left and gives nothing way.
    for key in 0..200 {
        insert(&cache, 1_000_000 + key);
    }
    let seldom = |key: u32| key % 50 == 7;
    let held: Vec<u32> = (0..10_000).filter(|&key| contains(&cache, key)).collect();
    for &key in &held {
        for _ in 0..if seldom(key) { 1 } else { 3 } {
            assert!(get(&cache, key));
        }
    }
    for key in 0..60 {
        insert(&cache, 2_000_000 + key);
    }
    let victims: Vec<u32> = held.into_iter().filter(|&key| !contains(&cache, key)).collect();
    assert_eq!(victims.len(), 60);
    let few = victims.iter().filter(|&&key| seldom(key)).count();
    assert!(few * 10 >= victims.len() * 7, "{few} of {} victims were used least", victims.len());
    cache.validate();
}
