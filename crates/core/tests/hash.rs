//! Keys that somebody chose so that they collide in a hash without a seed: they are to this cache as any others.
//!
//! Nothing here looks at a clock. Were the keys of a family all in one place of the table, what is done with them
//! would take hours.

#![allow(clippy::unwrap_used, reason = "a failure in a test ends it")]

use std::collections::{HashMap, HashSet};

use sark_cache_core::{Cache, Claim, Cursor, InsertOptions, Inserted, Key, ManualClock, Options, Space};

/// Keys of a family.
const KEYS: u32 = 100_000;
/// Keys of it where what is found does not hang on their number.
const FEWER: u32 = 20_000;
/// Pairs of which all the ways to choose one of each give that many keys.
const PAIRS: u32 = 17;

/// Makes the key of a number; different numbers have different keys.
type Family = Box<dyn Fn(u32) -> (Vec<u8>, u8)>;

/// The keys that take one of each of the pairs, as the bits of the number say.
fn one_of_each(pairs: Vec<[Vec<u8>; 2]>) -> Family {
    Box::new(move |number| {
        let chosen = pairs.iter().enumerate().map(|(at, pair)| &pair[(number >> at) as usize & 1]);
        (chosen.flatten().copied().collect(), 0)
    })
}

/// One pair over and over: two blocks after which a hash that takes byte after byte is where it was after
/// the other.
fn same_pair(one: &[u8], other: &[u8]) -> Family {
    one_of_each((0..PAIRS).map(|_| [one.to_vec(), other.to_vec()]).collect())
}

fn fnv1a(mut state: u64, bytes: &[u8]) -> u64 {
    for &byte in bytes {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    }
    state
}

/// Pairs of blocks that collide one after the other (A. Joux, "Multicollisions in Iterated Hash Functions",
/// 2004), in as many lower bits as a table takes its place from. `step` gives these bits after a block, from
/// those before it.
fn collide(start: u32, step: impl Fn(u32, &[u8]) -> u32) -> Vec<[Vec<u8>; 2]> {
    let mut state = start;
    (0..PAIRS)
        .map(|_| {
            let mut seen: HashMap<u32, u32> = HashMap::new();
            let mut block = 0_u32;
            loop {
                let reached = step(state, &block.to_be_bytes());
                if let Some(other) = seen.insert(reached, block) {
                    state = reached;
                    return [other.to_be_bytes().to_vec(), block.to_be_bytes().to_vec()];
                }
                // In no order: numbers in a row differ in so few bits that FNV keeps them apart.
                block = block.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            }
        })
        .collect()
}

fn low(bits: u64) -> u32 {
    u32::try_from(bits & u64::from(u32::MAX)).unwrap()
}

/// The multiplier of `FxHash` with 64 bits.
const FX: u64 = 0x517C_C1B7_2722_0A95;

fn families() -> Vec<(&'static str, Family)> {
    let fnv32 = collide(0x811C_9DC5, |mut state, block| {
        for &byte in block {
            state = (state ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
        state
    });
    // The lower half of a product comes from the lower halves of its factors.
    let fnv64 = collide(0x8422_2325, |state, block| low(fnv1a(state.into(), block)));
    vec![
        ("FNV-1a, 32 bits", one_of_each(fnv32)),
        ("FNV-1a, lower half of 64 bits", one_of_each(fnv64)),
        ("31 h + c", same_pair(b"Aa", b"BB")),
        ("33 h + c", same_pair(b"aB", b"b!")),
        (
            "FxHash: what one word does, the next one undoes",
            Box::new(|number| {
                let word = u64::from(number);
                let undo = word.wrapping_mul(FX).rotate_left(5);
                ([word.to_le_bytes(), undo.to_le_bytes()].concat(), 0)
            }),
        ),
        (
            "zeros, in domains",
            Box::new(|number| (vec![0; (number / 250) as usize], u8::try_from(number % 250).unwrap())),
        ),
        (
            "equal bytes",
            Box::new(|number| (vec![u8::try_from(number % 250).unwrap(); 1 + (number / 250) as usize], 0)),
        ),
        (
            "one high bit in a lane of 8 bytes",
            Box::new(|number| {
                let lanes = (0..PAIRS).map(|lane| u64::from(number >> lane & 1) << 63);
                (lanes.flat_map(u64::to_le_bytes).collect(), 0)
            }),
        ),
        (
            "one low bit in a lane of 16 bytes",
            Box::new(|number| {
                let lanes = (0..PAIRS).map(|lane| u128::from(number >> lane & 1));
                (lanes.flat_map(u128::to_le_bytes).collect(), 0)
            }),
        ),
        ("a long common prefix", Box::new(|number| ([&[b'x'; 300][..], &number.to_be_bytes()].concat(), 0))),
        ("a long common suffix", Box::new(|number| ([&number.to_be_bytes()[..], &[b'x'; 300]].concat(), 0))),
        ("numbers in a row, little endian", Box::new(|number| (u64::from(number).to_le_bytes().to_vec(), 0))),
        ("numbers in a row, big endian", Box::new(|number| (u64::from(number).to_be_bytes().to_vec(), 0))),
        ("multiples of 2^47", Box::new(|number| ((u64::from(number) << 47).to_le_bytes().to_vec(), 0))),
    ]
}

fn keys(family: &Family, count: u32) -> Vec<(Vec<u8>, u8)> {
    (0..count).map(family).collect()
}

fn key((bytes, domain): &(Vec<u8>, u8)) -> Key<'_> {
    Key { bytes, domain: *domain, space: Space::ROOT }
}

fn filled(keys: &[(Vec<u8>, u8)]) -> Cache<ManualClock> {
    let max_entries = Some(KEYS as usize);
    let cache = Cache::with_clock(Options { max_entries, ..Options::default() }, ManualClock::at(0)).unwrap();
    for name in keys {
        let stored = cache.insert(key(name), "v".into(), InsertOptions::ttl_ms(1_000));
        assert_eq!(stored, Ok(Inserted::Stored));
    }
    cache
}

#[test]
fn the_keys_are_what_they_claim() {
    let h = |keys: &[(Vec<u8>, u8)], step: fn(u64, u8) -> u64, start: u64| -> HashSet<u64> {
        keys.iter().map(|(bytes, _)| bytes.iter().fold(start, |state, &byte| step(state, byte))).collect()
    };
    for (name, family) in families() {
        let keys = keys(&family, KEYS);
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), KEYS as usize, "{name}");
        let collisions = match name {
            "FNV-1a, 32 bits" => {
                h(&keys, |h, c| u64::from((low(h) ^ u32::from(c)).wrapping_mul(0x0100_0193)), 0x811C_9DC5)
            }
            "FNV-1a, lower half of 64 bits" => {
                let all = h(&keys, |h, c| fnv1a(h, &[c]), 0xCBF2_9CE4_8422_2325);
                all.into_iter().map(low).map(u64::from).collect()
            }
            "31 h + c" => h(&keys, |h, c| h.wrapping_mul(31).wrapping_add(c.into()), 0),
            "33 h + c" => h(&keys, |h, c| h.wrapping_mul(33).wrapping_add(c.into()), 5_381),
            "FxHash: what one word does, the next one undoes" => keys
                .iter()
                .map(|(bytes, _)| {
                    bytes.chunks_exact(8).fold(0_u64, |state, word| {
                        (state.rotate_left(5) ^ u64::from_le_bytes(word.try_into().unwrap())).wrapping_mul(FX)
                    })
                })
                .collect(),
            _ => continue,
        };
        assert_eq!(collisions.len(), 1, "{name}");
    }
}

#[test]
fn every_call_bears_with_them() {
    for (name, family) in families() {
        let keys = keys(&family, KEYS);
        let cache = filled(&keys);
        assert_eq!(cache.len(), keys.len(), "{name}");
        for name in &keys {
            let key = key(name);
            assert_eq!(cache.get(key).unwrap().key(), key);
            assert!(cache.peek(key).is_some() && cache.contains(key) && cache.get_stale(key).is_some());
            assert_eq!(cache.remaining_ttl_ms(key), Some(Some(1_000)));
            assert!(!cache.is_due(key, 0.5));
        }
        assert_eq!(cache.keys().len(), keys.len());
        cache.validate();

        let mut leases = Vec::new();
        for name in &keys {
            let Claim::Granted { lease, .. } = cache.claim(key(name), &[key(name)], 1, 10).unwrap() else {
                panic!("nobody else asks for {name:?}");
            };
            leases.push(lease);
        }
        assert_eq!(cache.claim(key(&keys[0]), &[], 2, 10), Ok(Claim::Taken));
        for (name, lease) in keys.iter().zip(leases) {
            cache.complete(key(name), lease);
        }
        assert_eq!(cache.leases(), 0);

        // Over what is there, with the key as its tag too; then once more under the domain after it, so that
        // the first ones are evicted.
        for moved in [0, 1] {
            for name in &keys {
                let key = Key { domain: name.1.wrapping_add(moved), ..key(name) };
                let options =
                    InsertOptions { tags: &[key], fence: Some(cache.fence()), ..InsertOptions::default() };
                let _ = cache.insert(key, "w".into(), options).unwrap();
            }
        }
        assert!(cache.len() <= keys.len());
        for name in &keys {
            cache.invalidate_tag(key(name));
            cache.remove(key(name));
            drop(cache.take(Key { domain: name.1.wrapping_add(1), ..key(name) }));
        }
        assert_eq!(cache.len(), 0, "{name}");
        cache.validate();
    }
}

/// The keys of each shard, as a walk meets them.
fn shards(cache: &Cache<ManualClock>) -> Vec<HashSet<(Vec<u8>, u8)>> {
    // From each shard on: what the next one does not have any more is in this one.
    let mut shards: Vec<HashSet<(Vec<u8>, u8)>> = Vec::new();
    let mut rest = usize::MAX;
    let mut all: Vec<(Vec<u8>, u8)> = Vec::new();
    for shard in 0.. {
        let (entries, _) = cache.scan(Cursor { shard, slot: 0 }, usize::MAX);
        if shard == 0 {
            all = entries.iter().map(|entry| (entry.key().bytes.to_vec(), entry.key().domain)).collect();
        } else {
            let from = all.len() - rest;
            shards.push(all[from..all.len() - entries.len()].iter().cloned().collect());
        }
        rest = entries.len();
        if rest == 0 {
            return shards;
        }
    }
    unreachable!("a walk has an end")
}

/// Whether so many of `trials` that hit with a chance of `part` are nothing to wonder at: within 8 standard
/// deviations.
fn is_likely(hits: usize, trials: u32, part: f64) -> bool {
    let expected = f64::from(trials) * part;
    let hits = f64::from(u32::try_from(hits).unwrap());
    (hits - expected).abs() <= 8.0 * (expected * (1.0 - part)).sqrt() + 1.0
}

#[test]
fn they_spread_and_in_each_cache_in_another_way() {
    for (name, family) in families() {
        let keys = keys(&family, FEWER);
        let [one, other] = [filled(&keys), filled(&keys)].map(|cache| shards(&cache));
        assert!(one.len() > 1 && one.len() == other.len());
        let part = 1.0 / f64::from(u32::try_from(one.len()).unwrap());
        for shard in one.iter().chain(&other) {
            assert!(is_likely(shard.len(), FEWER, part), "{name}: {} keys in a shard", shard.len());
        }
        let both: usize = one.iter().zip(&other).map(|(one, other)| one.intersection(other).count()).sum();
        assert!(is_likely(both, FEWER, part), "{name}: {both} keys in the same shard of two caches");
    }
}

#[test]
fn a_change_of_one_leaves_the_others_alone() {
    for (name, family) in families() {
        let keys = keys(&family, FEWER);
        let cache = filled(&keys);
        let fence = cache.fence();
        assert!(keys.iter().all(|name| cache.permits(key(name), fence, &[key(name)])));
        cache.remove(key(&keys[0]));
        let refused = keys.iter().filter(|name| !cache.permits(key(name), fence, &[])).count();
        assert!((1..50).contains(&refused), "{name}: a removal refuses {refused} keys");

        let fence = cache.fence();
        cache.invalidate_tag(key(&keys[0]));
        let refused = keys.iter().filter(|name| !cache.permits("k".into(), fence, &[key(name)])).count();
        assert!((1..50).contains(&refused), "{name}: an invalidation hits {refused} tags");
    }
}
