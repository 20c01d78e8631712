//! Numbers as text, and their increments under the lock of a key.

use crate::cache::Cache;
use crate::cache::insert::Inserted;
use crate::error::Error;
use crate::key::{Key, Value};
use crate::options::InsertOptions;
use crate::shard::bounds::Reservation;
use crate::shard::entry::{EntryRef, Overwrite, Parts};
use crate::shard::locks::Shards;
use crate::stats::Event;
use crate::sync::thread_slot::ThreadSlot;
use crate::time::clock::Clock;

/// The encoding of the text of a number.
const TEXT: u8 = 0;

/// The number whose JSON text this is, without white space around it.
fn parse(text: &[u8]) -> Option<f64> {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || whole > 1 && rest[0] == b'0' {
        return None;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return None;
        }
        rest = &fraction[count..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent =
            exponent.strip_prefix(b"-").or_else(|| exponent.strip_prefix(b"+")).unwrap_or(exponent);
        let count = digits(exponent);
        if count == 0 {
            return None;
        }
        rest = &exponent[count..];
    }
    if !rest.is_empty() {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The text of a finite number as ECMAScript writes it.
fn text(number: f64) -> String {
    let mut buffer = ryu_js::Buffer::new();
    buffer.format_finite(number).to_owned()
}

impl<C: Clock> Cache<C> {
    /// Adds `by` to the number under `key`, which is stored as JSON text of encoding 0, and returns the sum. It keeps
    /// its deadline, its tags and its grace; where there is none, `by` is stored for `ttl_ms`, as by
    /// [`Cache::insert`]. One increment at a time is made of a key, and none is lost. A sum whose text is larger than
    /// one entry may be is returned and not stored, and what was under the key is removed.
    ///
    /// # Errors
    /// [`Error::NotANumber`] if the value is something else, [`Error::NotFinite`] if the sum is none, and
    /// [`Error::OutOfMemory`]; the cache is then as it was.
    pub fn increment(&self, key: Key<'_>, by: f64, ttl_ms: Option<u64>) -> Result<f64, Error> {
        if !by.is_finite() {
            return Err(Error::NotFinite);
        }
        let hash = self.table.hash(key);
        let mut reservation = Reservation::new(&self.bounds);
        loop {
            // What cannot be read any more goes, and is counted.
            let found = self.find_readable(key).is_some();
            if !found {
                let options = InsertOptions { ttl_ms, if_absent: true, ..InsertOptions::default() };
                match self.insert(key, Value { bytes: text(by).as_bytes(), encoding: TEXT }, options)? {
                    Inserted::Present => continue,
                    _ => return Ok(by),
                }
            }
            let mut shard = self.shards.lock(Shards::of(hash));
            // Before the tags are looked at: what is invalidated after that is later than the new entry.
            let fence = self.fence.now();
            let lease = self.follow.take();
            let Some(old) = self.table.find(hash, key).filter(|entry| self.is_readable(entry, lease)) else {
                continue;
            };
            let number = if old.encoding() == TEXT { parse(old.value()) } else { None };
            let sum = number.ok_or(Error::NotANumber)? + by;
            if !sum.is_finite() {
                return Err(Error::NotFinite);
            }
            let text = text(sum);
            let (tags, from): (Box<[u32]>, u64) = (old.tags().into(), old.charge());
            let parts = Parts {
                key,
                value: Value { bytes: text.as_bytes(), encoding: TEXT },
                tags: &tags,
                deadline: old.deadline(),
                grace: old.grace(),
                ttl: old.ttl(),
            };
            let size = from - old.value().len() as u64 + text.len() as u64;
            if !self.bounds.admits(size) {
                // As where a value is too large for `insert`.
                self.fence.remove_key(hash);
                self.remove_slot(&mut shard, old.slot(), hash, Event::Delete);
                self.count(key.space, ThreadSlot::current(), Event::Reject);
                return Ok(sum);
            }
            if let Err(bound) = reservation.reserve_bytes(size.saturating_sub(from)) {
                // It is about to be the newest entry, so the room must come from others.
                self.used(&old, ThreadSlot::current());
                drop((old, shard));
                self.evict(bound, self.now(), &mut reservation);
                continue;
            }
            let now = self.now_for(u64::MAX);
            let new = Overwrite { parts, fence, written: self.fence.write() };
            self.rewrite(&mut shard, hash, old, None::<EntryRef>, &new, now)?;
            reservation.use_bytes(size.saturating_sub(from));
            self.bounds.shrunk(from, size);
            self.count(key.space, ThreadSlot::current(), Event::Set);
            self.expire_some(&mut shard, now);
            return Ok(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_written_as_ecmascript_writes_them() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (-12.0, "-12"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (1_152_921_504_606_846_976.0, "1152921504606847000"),
            (0.1 + 0.2, "0.30000000000000004"),
            (0.000_001, "0.000001"),
            (1e-7, "1e-7"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-1.5e300, "-1.5e+300"),
            (5e-324, "5e-324"),
            // Halfway between two shortest texts: the even one.
            (2f64.powi(49) + 0.25, "562949953421312.2"),
        ] {
            assert_eq!(text(number), expected);
        }
    }

    #[test]
    fn only_the_text_of_json_is_a_number() {
        for wrong in [
            "", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x1", " 1", "1 ", "NaN", "Infinity", "null",
            "\"1\"",
        ] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
        for (right, number) in [("-0.5e-1", -0.05), ("10", 10.0), ("0", 0.0), ("1E2", 100.0), ("1e+2", 100.0)]
        {
            assert_eq!(parse(right.as_bytes()), Some(number));
        }
    }

    proptest! {
        #[test]
        fn a_number_comes_back_as_it_was(number in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
            prop_assert_eq!(parse(text(number).as_bytes()), Some(number));
        }
    }
}
