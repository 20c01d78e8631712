//! The entry: one allocation that holds a header, a few numbers, the key and the value.
//!
//! This is the only file of the crate with `unsafe`. Everything but the header's atomics is written once,
//! before the first [`EntryRef`] exists, and only read after that; the memory goes when the last
//! `EntryRef` does. The layout is
//!
//! ```text
//! Header | tags: [u32; tag_count] | grace: u32, if any | key bytes | 0..1 bytes of padding | value bytes
//! ```
//!
//! where the padding puts the value at an even offset, so that UTF-16 values can be read in place.

#![expect(unsafe_code, reason = "an entry is one allocation of three lengths known only when it is made")]

use std::alloc::{self, Layout};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use crate::{Error, Key, Value};

/// The deadline of an entry that does not expire.
pub(crate) const NEVER: u64 = u64::MAX;

#[repr(C)]
struct Header {
    /// How many `EntryRef`s point here.
    refs: AtomicU32,
    /// The entry's place in its stripe; meaningful only under the stripe's lock.
    slot: AtomicU32,
    key_len: u32,
    value_len: u32,
    /// When the entry was last used, in ticks of the cache.
    tick: AtomicU64,
    /// The sequence number that the value is as fresh as.
    fence: AtomicU64,
    /// The sequence number of the change that put the entry in.
    written: AtomicU64,
    /// The ms of the cache's clock from which on the entry is expired, or [`NEVER`].
    deadline: u64,
    /// The ms from its insertion to the end of its TTL, as far as they fit.
    ttl: u32,
    key_domain: u8,
    encoding: u8,
    tag_count: u8,
    /// Whether a number of ms of grace follows the tags.
    has_grace: bool,
}

/// Where the key lies in an entry with this many numbers between it and the header.
const fn key_offset(words: usize) -> usize {
    size_of::<Header>() + words * size_of::<u32>()
}

/// Where the value lies.
const fn value_offset(words: usize, key_len: usize) -> usize {
    (key_offset(words) + key_len).next_multiple_of(align_of::<u16>())
}

/// The memory of an entry, or `None` where the sum does not fit the address space.
fn layout(words: usize, key_len: usize, value_len: usize) -> Option<Layout> {
    // A slice is never longer than `isize::MAX`, so the offset of the value cannot wrap; the size may.
    let size = value_offset(words, key_len).checked_add(value_len)?;
    Layout::from_size_align(size, align_of::<Header>()).ok()
}

/// What an entry is made of.
pub(crate) struct Parts<'a> {
    pub(crate) key: Key<'a>,
    pub(crate) value: Value<'a>,
    /// Numbers of the tags in the version table; at most [`MAX_TAGS`](crate::MAX_TAGS).
    pub(crate) tags: &'a [u32],
    /// When the entry leaves the cache, its grace included.
    pub(crate) deadline: u64,
    /// For how many ms before `deadline` the entry is stale.
    pub(crate) grace: u32,
    /// The ms from now to the end of the TTL.
    pub(crate) ttl: u64,
}

/// A counted reference to an entry of the cache.
///
/// It keeps the bytes alive and unchanged, also after the entry left the cache; cloning and dropping one
/// is an atomic increment and decrement.
pub struct EntryRef(NonNull<Header>);

// SAFETY: the entry is immutable but for its atomics, and the count that frees it is atomic too.
unsafe impl Send for EntryRef {}
// SAFETY: as for `Send`: `&EntryRef` gives only shared access to immutable bytes and to atomics.
unsafe impl Sync for EntryRef {}

impl EntryRef {
    /// A new entry with one reference.
    ///
    /// # Errors
    /// [`Error::TooManyTags`], or [`Error::OutOfMemory`] where the memory cannot be had.
    pub(crate) fn new(parts: &Parts<'_>) -> Result<Self, Error> {
        let Parts { key, value, tags, deadline, grace, ttl } = *parts;
        let tag_count = u8::try_from(tags.len()).map_err(|_| Error::TooManyTags)?;
        let key_len = u32::try_from(key.bytes.len()).map_err(|_| Error::OutOfMemory)?;
        let value_len = u32::try_from(value.bytes.len()).map_err(|_| Error::OutOfMemory)?;
        let has_grace = grace != 0;
        let words = tags.len() + usize::from(has_grace);
        let layout = layout(words, key.bytes.len(), value.bytes.len()).ok_or(Error::OutOfMemory)?;
        // SAFETY: the size is at least that of the header, so it is not zero.
        let base = NonNull::new(unsafe { alloc::alloc(layout) }).ok_or(Error::OutOfMemory)?;
        let header = base.cast::<Header>();
        // SAFETY: the memory is fresh, sized by `layout` and aligned for `Header`; tags start right behind
        // the header, whose size is a multiple of a `u32`'s alignment; the sources cannot overlap it.
        unsafe {
            header.write(Header {
                refs: AtomicU32::new(1),
                slot: AtomicU32::new(u32::MAX),
                key_len,
                value_len,
                tick: AtomicU64::new(0),
                fence: AtomicU64::new(0),
                written: AtomicU64::new(0),
                deadline,
                ttl: u32::try_from(ttl).unwrap_or(u32::MAX),
                key_domain: key.domain,
                encoding: value.encoding,
                tag_count,
                has_grace,
            });
            let tag_base = base.add(size_of::<Header>()).cast::<u32>();
            ptr::copy_nonoverlapping(tags.as_ptr(), tag_base.as_ptr(), tags.len());
            if has_grace {
                tag_base.add(tags.len()).write(grace);
            }
            ptr::copy_nonoverlapping(
                key.bytes.as_ptr(),
                base.add(key_offset(words)).as_ptr(),
                key.bytes.len(),
            );
            let value_base = base.add(value_offset(words, key.bytes.len()));
            ptr::copy_nonoverlapping(value.bytes.as_ptr(), value_base.as_ptr(), value.bytes.len());
        }
        Ok(Self(header))
    }

    fn header(&self) -> &Header {
        // SAFETY: `self` is one of the references that keep the allocation alive, and the header was
        // written before the first of them was made.
        unsafe { self.0.as_ref() }
    }

    /// How many numbers lie between the header and the key.
    fn words(&self) -> usize {
        let header = self.header();
        usize::from(header.tag_count) + usize::from(header.has_grace)
    }

    /// The `len` bytes at `offset`.
    ///
    /// # Safety
    /// They lie inside the entry's allocation and were written by `new`.
    unsafe fn bytes(&self, offset: usize, len: usize) -> &[u8] {
        // SAFETY: as promised by the caller; the bytes live and stay unchanged as long as `self`.
        unsafe { slice::from_raw_parts(self.0.cast::<u8>().add(offset).as_ptr(), len) }
    }

    /// The key of the entry.
    #[must_use]
    pub fn key(&self) -> Key<'_> {
        let header = self.header();
        let offset = key_offset(self.words());
        // SAFETY: `new` put `key_len` bytes at this offset.
        let bytes = unsafe { self.bytes(offset, header.key_len as usize) };
        Key { bytes, domain: header.key_domain }
    }

    /// The bytes of the value, at an even address.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        let header = self.header();
        let offset = value_offset(self.words(), header.key_len as usize);
        // SAFETY: `new` put `value_len` bytes at this offset.
        unsafe { self.bytes(offset, header.value_len as usize) }
    }

    /// The [`Value::encoding`] that the value was stored with.
    #[must_use]
    pub fn encoding(&self) -> u8 {
        self.header().encoding
    }

    pub(crate) fn tags(&self) -> &[u32] {
        let count = usize::from(self.header().tag_count);
        // SAFETY: `new` put `tag_count` numbers right behind the header, which is aligned for them.
        unsafe { slice::from_raw_parts(self.0.add(1).cast::<u32>().as_ptr(), count) }
    }

    /// Whether the entry is stale for a time before it expires.
    pub(crate) fn has_grace(&self) -> bool {
        self.header().has_grace
    }

    /// For how many ms before its deadline the entry is stale.
    fn grace(&self) -> u32 {
        let header = self.header();
        if !header.has_grace {
            return 0;
        }
        // SAFETY: `new` put the number right behind the tags, and both are aligned for it.
        unsafe { self.0.add(1).cast::<u32>().add(usize::from(header.tag_count)).read() }
    }

    /// The ms from which on the entry is stale; its deadline, if it has no grace.
    pub(crate) fn fresh_until(&self) -> u64 {
        self.deadline().saturating_sub(u64::from(self.grace()))
    }

    /// Key bytes plus value bytes plus four a tag, and four for a grace: what the entry holds beyond its fixed cost.
    pub(crate) fn payload(&self) -> u64 {
        let header = self.header();
        u64::from(header.key_len) + u64::from(header.value_len) + 4 * self.words() as u64
    }

    pub(crate) fn deadline(&self) -> u64 {
        self.header().deadline
    }

    pub(crate) fn tick(&self) -> u64 {
        self.header().tick.load(Ordering::Relaxed)
    }

    pub(crate) fn set_tick(&self, tick: u64) {
        self.header().tick.store(tick, Ordering::Relaxed);
    }

    pub(crate) fn fence(&self) -> u64 {
        self.header().fence.load(Ordering::Relaxed)
    }

    /// The sequence number of the change that put the entry in.
    pub(crate) fn written(&self) -> u64 {
        self.header().written.load(Ordering::Relaxed)
    }

    /// To be called before the entry is put in.
    pub(crate) fn set_sequences(&self, fence: u64, written: u64) {
        self.header().fence.store(fence, Ordering::Relaxed);
        self.header().written.store(written, Ordering::Relaxed);
    }

    /// The ms from its insertion to the end of its TTL; `u32::MAX` for more than that.
    pub(crate) fn ttl(&self) -> u32 {
        self.header().ttl
    }

    pub(crate) fn slot(&self) -> u32 {
        self.header().slot.load(Ordering::Relaxed)
    }

    pub(crate) fn set_slot(&self, slot: u32) {
        self.header().slot.store(slot, Ordering::Relaxed);
    }

    #[cfg(any(test, feature = "validate"))]
    pub(crate) fn references(&self) -> u32 {
        self.header().refs.load(Ordering::Acquire)
    }

    /// Whether both are references to one entry.
    pub(crate) fn same(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Clone for EntryRef {
    fn clone(&self) -> Self {
        // `Relaxed` is enough: whoever clones already holds a reference (as in `std::sync::Arc`).
        let before = self.header().refs.fetch_add(1, Ordering::Relaxed);
        if before > u32::MAX / 2 {
            // Two thousand million leaked clones: going on would wrap the count and free a live entry.
            std::process::abort();
        }
        Self(self.0)
    }
}

impl Drop for EntryRef {
    fn drop(&mut self) {
        if self.header().refs.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        // Pairs with the `Release` above on the other threads: their reads are over before the memory goes.
        fence(Ordering::Acquire);
        let header = self.header();
        let layout = layout(self.words(), header.key_len as usize, header.value_len as usize)
            .unwrap_or_else(|| unreachable!("the same sum was taken when the entry was made"));
        // SAFETY: this was the last reference, the memory came from `alloc` with this very layout, and a
        // `Header` needs no drop.
        unsafe { alloc::dealloc(self.0.cast::<u8>().as_ptr(), layout) }
    }
}

impl std::fmt::Debug for EntryRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EntryRef").field("key", &self.key()).field("value_len", &self.value().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &[u8], value: &[u8], tags: &[u32]) -> EntryRef {
        EntryRef::new(&Parts {
            key: Key { bytes: key, domain: 3 },
            value: Value { bytes: value, encoding: 7 },
            tags,
            deadline: NEVER,
            grace: if key.len().is_multiple_of(2) { 0 } else { 77 },
            ttl: 5,
        })
        .unwrap()
    }

    #[test]
    fn gives_back_what_went_in_whatever_the_lengths() {
        for tag_count in 0..=crate::MAX_TAGS {
            for key_len in 0..20 {
                for value_len in [0, 1, 2, 63, 64, 4_096] {
                    let key: Vec<u8> = (0..key_len).collect();
                    let value: Vec<u8> = (0..value_len).map(|i: u32| i.to_le_bytes()[0]).collect();
                    let tags: Vec<u32> = (0..).take(tag_count).map(|i| i * 1_000_003).collect();
                    let entry = entry(&key, &value, &tags);
                    assert_eq!(entry.key(), Key { bytes: &key, domain: 3 });
                    assert_eq!(entry.value(), value);
                    assert_eq!(entry.value().as_ptr() as usize % 2, 0);
                    assert_eq!(entry.tags(), tags);
                    assert_eq!(entry.encoding(), 7);
                    assert_eq!(entry.grace(), if key_len % 2 == 0 { 0 } else { 77 });
                }
            }
        }
    }

    #[test]
    fn the_header_stays_within_its_budget() {
        assert_eq!(size_of::<Header>(), 56);
    }

    #[test]
    fn outlives_every_other_reference() {
        let first = entry(b"k", b"v", &[]);
        let clones: Vec<EntryRef> = (0..8).map(|_| first.clone()).collect();
        drop(first);
        let workers: Vec<_> = clones
            .into_iter()
            .map(|clone| {
                std::thread::spawn(move || {
                    for _ in 0..1_000 {
                        assert_eq!(clone.clone().value(), b"v");
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
    }
}
