//! The time of copies: a word that holds the present ms, for readers who cannot afford to ask for it.
//!
//! A thread of its own writes it every `PERIOD` as long as somebody asked for it in the last `KEPT_MS`, and
//! then ends; while there is none, the word holds [`NONE`], later than any deadline. It does not depend on the thread
//! that reads: an event loop that is held for seconds still sees time pass. It may be late by a period and
//! by as long as the scheduler lets it wait, so a reader takes [`MARGIN_MS`] off a deadline and asks the real
//! clock in what is left.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use crate::time::clock::{Clock, MonotonicClock};

/// How often the word is written.
const PERIOD: Duration = Duration::from_millis(10);
/// For how long after the last reader.
const KEPT_MS: u64 = 1_000;

/// How much earlier than at its deadline a copy is to be given up. A container that has used up its share
/// of the processors stands still for a tenth of a second at a time.
pub const MARGIN_MS: u64 = 250;

/// What the word holds while nobody writes it; with the feature `f64-words`, infinity.
pub const NONE: u64 = if cfg!(feature = "f64-words") { f64::INFINITY.to_bits() } else { u64::MAX };

/// The ms as [`MonotonicClock`] counts them; an `f64` with the feature `f64-words`.
static NOW: AtomicU64 = AtomicU64::new(NONE);
/// Until when it is to be written.
static WANTED: AtomicU64 = AtomicU64::new(0);
/// Whether there is a thread that writes it.
static RUNNING: LazyLock<Mutex<bool>> = LazyLock::new(Mutex::default);

/// The word to read.
#[must_use]
pub fn word() -> &'static AtomicU64 {
    &NOW
}

#[expect(clippy::cast_precision_loss, reason = "2^53 ms are 285 000 years")]
fn write(now: u64) {
    let word = if cfg!(feature = "f64-words") { (now as f64).to_bits() } else { now };
    NOW.store(word, Ordering::Release);
}

/// Says that the word is still read, if it is written at all.
pub(crate) fn keep() {
    if told().is_some() {
        want(|| MonotonicClock.now_ms());
    }
}

/// The ms that the word tells, while it is written.
fn told() -> Option<u64> {
    let word = NOW.load(Ordering::Relaxed);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was made of whole ms")]
    let now = if cfg!(feature = "f64-words") { f64::from_bits(word) as u64 } else { word };
    (word != NONE).then_some(now)
}

/// Says that the word will be read in the time to come; `now` is asked where the word does not tell.
pub(crate) fn want(now: impl FnOnce() -> u64) {
    let until = told().unwrap_or_else(now) + KEPT_MS;
    // Not at every call: threads that share a line write to it as seldom as they can.
    if WANTED.load(Ordering::Relaxed) + KEPT_MS / 4 > until {
        return;
    }
    WANTED.fetch_max(until, Ordering::SeqCst);
    let mut running = RUNNING.lock();
    if *running {
        return;
    }
    // If the thread cannot be had, the word stays as it is and every reader asks the clock.
    let thread = thread::Builder::new().name("sark-cache-time".to_owned());
    *running = thread.spawn(run).is_ok();
}

fn run() {
    loop {
        let now = MonotonicClock.now_ms();
        if now >= WANTED.load(Ordering::SeqCst) {
            let mut running = RUNNING.lock();
            // Whoever wants it after this finds no thread and begins one.
            if now >= WANTED.load(Ordering::SeqCst) {
                NOW.store(NONE, Ordering::Release);
                *running = false;
                return;
            }
        }
        write(now);
        thread::sleep(PERIOD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_while_it_is_wanted_and_stands_still_before_and_after() {
        let read = || word().load(Ordering::Acquire);
        assert_eq!(read(), NONE);
        want(|| MonotonicClock.now_ms());
        while read() == NONE {
            thread::yield_now();
        }
        let first = read();
        while read() <= first {
            thread::yield_now();
        }
        while read() != NONE {
            thread::sleep(PERIOD);
        }
        assert!(!*RUNNING.lock());
        want(|| MonotonicClock.now_ms());
        while read() == NONE {
            thread::yield_now();
        }
    }
}
