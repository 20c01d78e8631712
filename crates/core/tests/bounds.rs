//! No thread ever sees more entries or bytes than the bounds allow, whatever the others write.

#![allow(clippy::unwrap_used, reason = "a failure in a test ends it")]

#[path = "common/random.rs"]
mod random;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use random::Random;
use sark_cache_core::{Cache, ENTRY_OVERHEAD, InsertOptions, Inserted, Options};

/// The length of every key.
const KEY: u64 = 8;
const WRITERS: u64 = 8;

/// The most bytes of which values of `len` bytes fit `entries` times.
const fn room(entries: u64, len: u64) -> u64 {
    entries * (ENTRY_OVERHEAD + KEY + len)
}

/// What a writer works with.
struct Writer<'a> {
    cache: &'a Cache,
    /// As long as the longest value that may be stored.
    longest: &'a [u8],
    number: u64,
    random: Random,
}

impl Writer<'_> {
    fn set(&mut self, key: u64, len: u64) {
        self.set_with(key, len, InsertOptions::default());
    }

    fn set_with(&mut self, key: u64, len: u64, options: InsertOptions<'_>) {
        let value = &self.longest[..usize::try_from(len).unwrap().min(self.longest.len())];
        let stored = self.cache.insert((&key.to_le_bytes()[..]).into(), value.into(), options);
        assert_eq!(stored, Ok(Inserted::Stored));
    }

    fn longest(&self) -> u64 {
        self.longest.len() as u64
    }
}

/// Lets `writers` threads take `steps` steps of `load` each, while one more looks at the counts without a pause.
fn watch(
    max_entries: Option<usize>,
    max_bytes: Option<u64>,
    writers: u64,
    load: impl Fn(&mut Writer<'_>, u64) + Sync,
) {
    const STEPS: u64 = 4_000;
    let cache = Cache::new(Options { max_entries, max_bytes, ..Options::default() }).unwrap();
    let longest = vec![7; usize::try_from(max_bytes.map_or(2_000, |max| max - room(1, 0))).unwrap()];
    let has_begun = AtomicBool::new(false);
    let running = AtomicUsize::new(usize::try_from(writers).unwrap());
    let (mut most_entries, mut most_bytes, mut samples) = (0, 0, 0_u64);
    thread::scope(|scope| {
        for number in 0..writers {
            let (cache, longest, load, running, has_begun) = (&cache, &longest, &load, &running, &has_begun);
            scope.spawn(move || {
                while !has_begun.load(Ordering::Acquire) {
                    thread::yield_now();
                }
                let mut writer = Writer { cache, longest, number, random: Random(number + 1) };
                // Counted down also if the load fails, so that the test ends.
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    for step in 0..STEPS {
                        load(&mut writer, step);
                    }
                }));
                running.fetch_sub(1, Ordering::Release);
                if let Err(panic) = result {
                    std::panic::resume_unwind(panic);
                }
            });
        }
        has_begun.store(true, Ordering::Release);
        while running.load(Ordering::Acquire) > 0 {
            most_entries = most_entries.max(cache.len());
            most_bytes = most_bytes.max(cache.bytes());
            samples += 1;
        }
    });
    assert!(samples > 100, "the load was watched {samples} times only");
    assert!(most_entries <= max_entries.unwrap_or(usize::MAX), "{most_entries} of {max_entries:?} entries");
    assert!(most_bytes <= max_bytes.unwrap_or(u64::MAX), "{most_bytes} of {max_bytes:?} bytes");
    cache.validate();
}

/// A load under a bound of entries, one of bytes, both, and such as hold next to nothing.
fn watch_all(load: impl Fn(&mut Writer<'_>, u64) + Sync) {
    for (max_entries, max_bytes) in [
        (Some(50), None),
        (None, Some(room(30, 60))),
        (Some(50), Some(room(30, 60))),
        // Now the one is reached first, now the other.
        (Some(30), Some(room(30, 60))),
        (Some(1), None),
        (Some(2), Some(room(2, 10))),
        // One entry, as long as it may be.
        (None, Some(room(1, 100))),
        // An empty value is all that fits.
        (None, Some(room(1, 0))),
        (Some(1), Some(room(1, 1))),
    ] {
        watch(max_entries, max_bytes, WRITERS, &load);
    }
}

#[test]
fn with_reads_removals_and_ttls_in_between() {
    watch_all(|writer, _| {
        let key = writer.random.below(200);
        let longest = writer.longest();
        let len = match writer.random.below(50) {
            0 => longest,
            n if n < 10 => writer.random.below(longest / 8 + 1),
            _ => writer.random.below(60),
        };
        match writer.random.below(10) {
            0 => drop(writer.cache.take((&key.to_le_bytes()[..]).into())),
            1..4 => drop(writer.cache.get((&key.to_le_bytes()[..]).into())),
            _ => {
                let ttl_ms = 1 + writer.random.below(20);
                writer.set_with(key, len, InsertOptions::ttl_ms(ttl_ms));
            }
        }
    });
}

#[test]
fn with_sizes_from_nothing_to_the_whole_bound() {
    watch_all(|writer, step| {
        let longest = writer.longest();
        let len = match step % 4 {
            0 => longest,
            1 => step % 2,
            2 => longest - longest.min(writer.random.below(3)),
            _ => writer.random.below(longest + 1),
        };
        let key = writer.random.below(64);
        writer.set(key, len);
    });
}

#[test]
fn with_overwrites_that_grow_and_shrink() {
    watch_all(|writer, step| {
        // All writers grow the same few keys, each from nothing to the longest value in a hundred steps.
        let len = writer.longest() * (step % 100) / 99;
        writer.set(step % 3, if step % 700 < 600 { len } else { writer.longest() - len });
    });
}

#[test]
fn with_keys_that_never_come_again() {
    watch_all(|writer, step| {
        let len = writer.random.below(40);
        writer.set(writer.number << 32 | step, len);
    });
}

#[test]
fn with_one_key_for_all() {
    watch_all(|writer, _| {
        let longest = writer.longest();
        let len = writer.random.below(longest + 1);
        writer.set(0, len);
    });
}

#[test]
fn with_everything_cleared_now_and_then() {
    watch_all(|writer, step| match writer.random.below(200) {
        0 => writer.cache.clear(),
        1..10 => writer.cache.invalidate_tag("t".into()),
        10..20 => {
            let _ = writer.cache.purge_expired(5);
        }
        chance => {
            let tags = ["t".into()];
            // A tag counts four bytes, which the longest value leaves no room for.
            let tags = if chance < 60 && writer.longest() >= 100 { &tags[..] } else { &[] };
            let fence = (chance % 3 == 0).then(|| writer.cache.fence());
            let options = InsertOptions { fence, tags, ..InsertOptions::ttl_ms(1 + chance % 4) };
            let value = &writer.longest[..writer.longest.len().min(usize::try_from(chance).unwrap() / 4)];
            let key = (step % 150).to_le_bytes();
            let _ = writer.cache.insert((&key[..]).into(), value.into(), options).unwrap();
        }
    });
}

#[test]
fn with_many_more_writers_than_processors() {
    for (max_entries, max_bytes) in
        [(Some(3), None), (None, Some(room(3, 500))), (Some(100), Some(room(50, 100)))]
    {
        watch(max_entries, max_bytes, 48, |writer, step| {
            let longest = writer.longest();
            let len = if step % 16 == 0 { longest } else { writer.random.below(200) };
            let key = writer.random.below(500);
            writer.set(key, len);
        });
    }
}
