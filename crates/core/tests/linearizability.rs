//! Per key, the operations of all threads are linearizable: there is an order of them, in keeping with what
//! was over before what began, in which each returns what a plain variable would.
//!
//! Histories are recorded with tickets from a shared counter and checked with the search of J. M. Wing and
//! C. Gong ("Testing and Verifying Concurrent Objects", 1993), remembering visited states as G. Lowe proposed.
//! `SARK_CACHE_HISTORY` sets the number of operations, by default 100 000.

#![allow(clippy::unwrap_used, reason = "a failure in a test ends it")]

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use sark_cache_core::{Cache, InsertOptions, Inserted, Key, Options};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Get(Option<u64>),
    Set(u64),
    Take(Option<u64>),
    Remove(bool),
}

/// An operation with the tickets drawn just before it and just after.
#[derive(Debug, Clone, Copy)]
struct Event {
    begin: u64,
    end: u64,
    op: Op,
}

/// Applies `op` to `state`, if it may happen there and return what it did.
fn apply(state: &mut Option<u64>, op: Op) -> bool {
    let (may, next) = match op {
        Op::Set(value) => (true, Some(value)),
        Op::Get(seen) => (seen == *state, *state),
        Op::Take(seen) => (seen == *state, None),
        Op::Remove(there) => (there == state.is_some(), None),
    };
    *state = next;
    may
}

/// Whether there is an order. `history` is sorted by `begin`.
fn is_linearizable(history: &[Event]) -> bool {
    // A state: how many of the first events are all done, which later ones are, and the value.
    type State = (usize, Vec<usize>, Option<u64>);
    let mut seen: HashSet<State> = HashSet::new();
    let mut stack: Vec<State> = vec![(0, Vec::new(), None)];
    while let Some((done, ahead, value)) = stack.pop() {
        if done == history.len() {
            return true;
        }
        // What may come next began before the first of the others ended.
        let mut horizon = u64::MAX;
        for (at, event) in history.iter().enumerate().skip(done) {
            if event.begin > horizon {
                break;
            }
            if ahead.contains(&at) {
                continue;
            }
            horizon = horizon.min(event.end);
            let mut next = value;
            if !apply(&mut next, event.op) {
                continue;
            }
            let (mut done, mut ahead) = (done, ahead.clone());
            ahead.push(at);
            while let Some(place) = ahead.iter().position(|&other| other == done) {
                ahead.swap_remove(place);
                done += 1;
            }
            ahead.sort_unstable();
            let state = (done, ahead, next);
            if seen.insert(state.clone()) {
                stack.push(state);
            }
        }
    }
    false
}

#[test]
fn the_checker_knows_right_from_wrong() {
    let event = |begin, end, op| Event { begin, end, op };
    // Overlapping: the read may come before or after the write.
    assert!(is_linearizable(&[event(0, 3, Op::Set(1)), event(1, 2, Op::Get(None))]));
    assert!(is_linearizable(&[event(0, 3, Op::Set(1)), event(1, 2, Op::Get(Some(1)))]));
    assert!(is_linearizable(&[
        event(0, 9, Op::Set(1)),
        event(1, 2, Op::Get(Some(1))),
        event(3, 4, Op::Take(Some(1)))
    ]));
    // A write that is over is seen.
    assert!(!is_linearizable(&[event(0, 1, Op::Set(1)), event(2, 3, Op::Get(None))]));
    // A newer value is not followed by the older one.
    let newer_first = [
        event(0, 9, Op::Set(1)),
        event(1, 8, Op::Set(2)),
        event(10, 11, Op::Get(Some(2))),
        event(12, 13, Op::Get(Some(1))),
    ];
    assert!(!is_linearizable(&newer_first));
    // One value is taken once.
    assert!(!is_linearizable(&[
        event(0, 1, Op::Set(1)),
        event(2, 5, Op::Take(Some(1))),
        event(3, 4, Op::Take(Some(1)))
    ]));
    assert!(!is_linearizable(&[event(0, 1, Op::Remove(true))]));
}

#[test]
fn histories_of_real_threads_are_linearizable() {
    const KEYS: usize = 64;
    const THREADS: u64 = 4;
    let total: u64 =
        std::env::var("SARK_CACHE_HISTORY").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let cache = Cache::new(Options { max_entries: Some(10_000), ..Options::default() }).unwrap();
    let tickets = AtomicU64::new(0);
    let ticket = || tickets.fetch_add(1, Ordering::SeqCst);
    let histories: Vec<Vec<(usize, Event)>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|worker| {
                let (cache, ticket) = (&cache, &ticket);
                scope.spawn(move || {
                    let mut random = worker.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
                    let mut below = |n: u64| {
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        random % n
                    };
                    let mut events = Vec::new();
                    for number in 0..total / THREADS {
                        // Few keys at a time, so that threads meet, and new ones again and again.
                        let key = usize::try_from((number / 64 + below(3)) % KEYS as u64).unwrap();
                        let bytes = key.to_le_bytes();
                        let name = Key::from(&bytes[..]);
                        let read = |entry: sark_cache_core::EntryRef| {
                            u64::from_le_bytes(entry.value().try_into().unwrap())
                        };
                        let value = worker << 48 | number;
                        let begin = ticket();
                        let op = match below(8) {
                            0..4 => Op::Get(cache.get(name).map(read)),
                            4 => Op::Take(cache.take(name).map(read)),
                            5 => Op::Remove(cache.remove(name)),
                            _ => {
                                let stored = cache.insert(
                                    name,
                                    (&value.to_le_bytes()[..]).into(),
                                    InsertOptions::default(),
                                );
                                assert_eq!(stored, Ok(Inserted::Stored));
                                Op::Set(value)
                            }
                        };
                        events.push((key, Event { begin, end: ticket(), op }));
                    }
                    events
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    cache.validate();
    let mut overlaps = 0;
    for key in 0..KEYS {
        let mut history: Vec<Event> =
            histories.iter().flatten().filter(|(of, _)| *of == key).map(|(_, event)| *event).collect();
        history.sort_unstable_by_key(|event| event.begin);
        overlaps += history.windows(2).filter(|pair| pair[1].begin < pair[0].end).count();
        assert!(is_linearizable(&history), "no order of the operations on key {key}");
    }
    assert!(overlaps > 0, "no two operations overlapped: the test did not test");
}
