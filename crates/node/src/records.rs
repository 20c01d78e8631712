//! Entries as records of bytes, which a snapshot is made of, and back.
//!
//! ```text
//! flags: u8 | key: u32 | value: u32 | ms to live: f64, unless for ever | tags: u16, if any | key | value
//! ```
//!
//! Numbers are little-endian, lengths in bytes. `src/engine/records.ts` has the same form, for the other engine.

use std::ptr;

use napi::sys;
use sark_cache_core::{Cursor, EntryRef, InsertOptions, Inserted, Key, Space, Value};

use crate::arguments::{as_double, callbacks};
use crate::bulk::{each, set_element};
use crate::failure::{Failure, check};
use crate::text::{BYTES, LATIN1, UTF16, key_to_js};

const WIDE_KEY: u8 = 1;
const WIDE_VALUE: u8 = 2;
const BYTE_VALUE: u8 = 4;
const FOR_EVER: u8 = 8;
const TAGGED: u8 = 16;
const KNOWN: u8 = 31;

/// Bytes of a record beside its key and its value, at the most.
const MOST_FACTS: usize = 19;

/// A record, as it lies in bytes.
struct Record<'a> {
    key: Key<'a>,
    value: Value<'a>,
    /// Infinite for an entry that does not expire.
    left_ms: f64,
    tags: u16,
    /// What follows it.
    rest: &'a [u8],
}

impl<'a> Record<'a> {
    /// The first record in `bytes`; `None` if there is none.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (&flags, bytes) = bytes.split_first()?;
        let (key_len, bytes) = length(bytes)?;
        let (value_len, bytes) = length(bytes)?;
        if flags > KNOWN {
            return None;
        }
        let (left_ms, bytes) = if flags & FOR_EVER == 0 {
            let (left, bytes) = bytes.split_first_chunk()?;
            (f64::from_le_bytes(*left), bytes)
        } else {
            (f64::INFINITY, bytes)
        };
        let (tags, bytes) = if flags & TAGGED == 0 {
            (0, bytes)
        } else {
            let (tags, bytes) = bytes.split_first_chunk()?;
            (u16::from_le_bytes(*tags), bytes)
        };
        let (key, bytes) = bytes.split_at_checked(key_len)?;
        let (value, rest) = bytes.split_at_checked(value_len)?;
        let domain = if flags & WIDE_KEY == 0 { LATIN1 } else { UTF16 };
        let encoding = match flags & (WIDE_VALUE | BYTE_VALUE) {
            0 => LATIN1,
            WIDE_VALUE => UTF16,
            BYTE_VALUE => BYTES,
            _ => return None,
        };
        let is_half = (domain == UTF16 && key_len % 2 != 0) || (encoding == UTF16 && value_len % 2 != 0);
        // Under a narrow key in the wide form nobody would look.
        let is_narrow = domain == UTF16 && key.chunks_exact(2).all(|unit| unit[1] == 0);
        if is_half || is_narrow || left_ms.is_nan() || left_ms < 0.0 {
            return None;
        }
        let key = Key { bytes: key, domain, space: Space::ROOT };
        Some(Self { key, value: Value { bytes: value, encoding }, left_ms, tags, rest })
    }
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    Some((usize::try_from(u32::from_le_bytes(*length)).ok()?, rest))
}

/// Appends the record of an entry.
fn write(out: &mut Vec<u8>, entry: &EntryRef, left_ms: Option<u64>) {
    let (key, value) = (entry.key(), entry.value());
    let tags = u16::try_from(entry.tag_count()).unwrap_or(u16::MAX);
    let mut flags = if key.domain == UTF16 { WIDE_KEY } else { 0 };
    flags |= match entry.encoding() {
        UTF16 => WIDE_VALUE,
        BYTES => BYTE_VALUE,
        _ => 0,
    };
    flags |= if left_ms.is_none() { FOR_EVER } else { 0 };
    flags |= if tags > 0 { TAGGED } else { 0 };
    out.push(flags);
    // An entry's lengths fit 32 bits.
    for length in [key.bytes.len(), value.len()] {
        out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    }
    if let Some(left) = left_ms {
        out.extend_from_slice(&as_double(left).to_le_bytes());
    }
    if tags > 0 {
        out.extend_from_slice(&tags.to_le_bytes());
    }
    out.extend_from_slice(key.bytes);
    out.extend_from_slice(value);
}

/// A new `Uint8Array` of these bytes.
fn bytes_to_js(env: sys::napi_env, bytes: &[u8]) -> Result<sys::napi_value, Failure> {
    let (mut data, mut buffer, mut out) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: the new buffer holds `bytes.len()` bytes, and no script has seen it yet.
    unsafe {
        check(sys::napi_create_arraybuffer(env, bytes.len(), &raw mut data, &raw mut buffer))?;
        if !bytes.is_empty() {
            ptr::copy_nonoverlapping(bytes.as_ptr(), data.cast(), bytes.len());
        }
        let kind = sys::TypedarrayType::uint8_array;
        check(sys::napi_create_typedarray(env, kind, bytes.len(), buffer, 0, &raw mut out))?;
    }
    Ok(out)
}

callbacks! {
    /// `walk(cache, shard, slot, limit)`: as `scan`, with what the policy notes of its uses after each key.
    "walk" walk(call: 4) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
        let cursor = Cursor { shard: call.number(1)? as u32, slot: call.number(2)? as u32 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
        let limit = call.number(3)? as usize;
        let (entries, next) = call.tell(|cache, space| cache.scan_namespace(space, cursor, limit))?;
        let out = call.array(2 + 2 * entries.len())?;
        let (shard, slot) = next.map_or((-1.0, 0.0), |next| (f64::from(next.shard), f64::from(next.slot)));
        set_element(call.env, out, 0, call.double(shard)?)?;
        set_element(call.env, out, 1, call.double(slot)?)?;
        each(call.env, entries.len(), |index| {
            let entry = &entries[index];
            set_element(call.env, out, 2 + 2 * index, key_to_js(call.env, entry)?)?;
            set_element(call.env, out, 3 + 2 * index, call.double(as_double(entry.uses()))?)
        })?;
        Ok(out)
    }

    /// `toRecords(cache, shard, slot, limit)`: `[shard, slot, count, records]`, of as many entries as `scan` would give.
    "toRecords" to_records(call: 4) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
        let cursor = Cursor { shard: call.number(1)? as u32, slot: call.number(2)? as u32 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
        let limit = call.number(3)? as usize;
        let (records, count, next) = call.tell(|cache, space| {
            let (entries, next) = cache.scan_namespace(space, cursor, limit);
            let size = |entry: &EntryRef| MOST_FACTS + entry.key().bytes.len() + entry.value().len();
            let mut records = Vec::new();
            records
                .try_reserve_exact(entries.iter().map(size).sum())
                .map_err(|_| sark_cache_core::Error::OutOfMemory)?;
            for entry in &entries {
                write(&mut records, entry, cache.left_ms(entry));
            }
            Ok::<_, sark_cache_core::Error>((records, entries.len(), next))
        })??;
        let out = call.array(4)?;
        let (shard, slot) = next.map_or((-1.0, 0.0), |next| (f64::from(next.shard), f64::from(next.slot)));
        set_element(call.env, out, 0, call.double(shard)?)?;
        set_element(call.env, out, 1, call.double(slot)?)?;
        set_element(call.env, out, 2, call.count(count as u64)?)?;
        set_element(call.env, out, 3, bytes_to_js(call.env, &records)?)?;
        Ok(out)
    }

    /// `fromRecords(cache, records, age, fence, room, limit)`: stores up to `limit` records where there is no readable
    /// value and nothing changed since `fence`, and no more than `room`; they had as long to live as they say `age` ms
    /// ago. `[bytes, stored, present, expired, fenced, too large, tagged, without room]`, where the bytes are those that
    /// were read, and -1 if the next ones are no record. What has tags is left out.
    "fromRecords" from_records(call: 6) {
        let (age, fence) = (call.number(2)?, call.number(3)?);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
        let (fence, mut room, limit) = (fence as u64, call.number(4)? as usize, call.number(5)? as usize);
        let mut counts = [0_u64; 7];
        let mut is_broken = false;
        let mut buffer = call.environment.value.borrow_mut();
        // Nothing that could run JavaScript comes between reading the bytes and the last use of them.
        let all = buffer.value(call.env, call.arguments[1])?.bytes;
        let mut bytes = all;
        call.environment.with_opened(call.cache()?, |opened| {
            for _ in 0..limit {
                if bytes.is_empty() {
                    break;
                }
                let Some(record) = Record::read(bytes) else {
                    is_broken = true;
                    break;
                };
                bytes = record.rest;
                let left = record.left_ms - age;
                let place = if record.tags > 0 {
                    5
                } else if left <= 0.0 {
                    2
                } else if room == 0 {
                    6
                } else {
                    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
                    let ttl_ms = Some(if left.is_finite() { left.ceil() as u64 } else { u64::MAX });
                    let fence = Some(fence);
                    let options = InsertOptions { ttl_ms, fence, if_absent: true, ..InsertOptions::default() };
                    match opened.cache.cache.insert(record.key.of(opened.space), record.value, options)? {
                        Inserted::Stored => {
                            room -= 1;
                            0
                        }
                        Inserted::Present => 1,
                        Inserted::Expired => 2,
                        Inserted::Fenced => 3,
                        Inserted::TooLarge => 4,
                    }
                };
                counts[place] += 1;
            }
            Ok(())
        })?;
        let read = (all.len() - bytes.len()) as u64;
        drop(buffer);
        let out = call.array(1 + counts.len())?;
        let read = if is_broken { -1.0 } else { as_double(read) };
        set_element(call.env, out, 0, call.double(read)?)?;
        for (index, count) in counts.into_iter().enumerate() {
            set_element(call.env, out, 1 + index, call.count(count)?)?;
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use sark_cache_core::{Cache, InsertOptions, Key, Options, Value};

    use super::{BYTES, LATIN1, Record, UTF16, write};

    fn records() -> Vec<u8> {
        let options = Options { max_entries: Some(10), ..Options::default() };
        let cache = Cache::new(options).unwrap();
        let mut out = Vec::new();
        for (key, encoding, ttl_ms) in
            [("one", LATIN1, Some(5_000)), ("other", UTF16, None), ("", BYTES, None)]
        {
            let tags = [Key::from("tag")];
            let options = InsertOptions {
                ttl_ms,
                tags: &tags[..usize::from(key == "other")],
                ..InsertOptions::default()
            };
            let key = Key::from(key);
            let _ = cache.insert(key, Value { bytes: b"1234", encoding }, options).unwrap();
            let entry = cache.peek(key).unwrap();
            write(&mut out, &entry, cache.left_ms(&entry));
        }
        out
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let bytes = records();
        let first = Record::read(&bytes).unwrap();
        assert_eq!((first.key.bytes, first.value.bytes, first.tags), (&b"one"[..], &b"1234"[..], 0));
        assert!(first.left_ms > 4_000.0 && first.left_ms <= 5_000.0);
        let second = Record::read(first.rest).unwrap();
        assert_eq!((second.key.bytes, second.value.encoding, second.tags), (&b"other"[..], UTF16, 1));
        assert!(second.left_ms.is_infinite());
        let third = Record::read(second.rest).unwrap();
        assert_eq!((third.key.bytes, third.value.encoding), (&b""[..], BYTES));
        assert!(third.rest.is_empty());
    }

    #[test]
    fn no_bytes_are_read_beyond_their_end() {
        let bytes = records();
        for end in 0..bytes.len() {
            let mut rest = &bytes[..end];
            while let Some(record) = Record::read(rest) {
                rest = record.rest;
            }
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                let mut rest = &flipped[..];
                while let Some(record) = Record::read(rest) {
                    assert!(record.key.domain != UTF16 || record.key.bytes.len() % 2 == 0);
                    rest = record.rest;
                }
            }
        }
    }
}
