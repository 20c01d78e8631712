//! The entry: one allocation that holds a header, a few numbers, the key and the value.
//!
//! This is the only file of the crate with `unsafe`. The layout is
//!
//! ```text
//! Header | more: u32, if any | tags: [u32; tag_count] | fence: u32, if any tag | grace: u32, if any
//!        | TTL: u32s, if it is not packed
//!        | key_len: u8 | value_len: u16 | key_len: u32, if 255 above | value_len: u32, if 65 535 above
//!        | key bytes | 0..1 bytes of padding | value bytes | 0..15 bytes of slack
//! ```
//!
//! where the padding puts the value at an even offset, so that UTF-16 values can be read in place, and the
//! slack is what the allocator would round up to in any case. `more` holds what few entries have and the header has
//! no bits for: a number of tags that four bits cannot
//! hold, and a namespace. Everything but the header's atomics is written
//! before the first [`EntryRef`] exists or, by [`EntryRef::overwrite`], while the caller has the only access;
//! the memory goes when the last `EntryRef` does.

#![expect(unsafe_code, reason = "an entry is one allocation of three lengths known only when it is made")]

use std::alloc::{self, Layout};
use std::ptr::{self, NonNull};
use std::slice;

use crate::error::Error;
use crate::key::{Key, Space, Value};
pub(crate) use crate::shard::facts::NEVER;
use crate::shard::facts::{DEADLINE, DOMAIN, ENCODING, GRACE, LIFE, SEQUENCE, TAG_COUNT};
use crate::shard::ttl;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// The bytes charged for an entry beyond its key, its value and four bytes a word (tags, their age, a grace).
///
/// It stands for the header (35), a TTL that needs words of its own (4 or 8), the place in the table (10 to 21), in the slab and the queue (16) and in the
/// timer wheel (8), and for what the allocator adds and cannot use (8 to 23).
pub const ENTRY_OVERHEAD: u64 = 96;

#[repr(C)]
struct Header {
    /// What the eviction policy notes of the entry's uses.
    access: AtomicU64,
    /// The sequence number of the change that put the entry in, and its TTL.
    written: AtomicU64,
    /// What never changes while the entry is shared, and the deadline, which may.
    facts: AtomicU64,
    /// How many `EntryRef`s point here.
    refs: AtomicU32,
    /// The entry's place in its shard; meaningful only under the shard's lock.
    slot: AtomicU32,
}

/// What stands for the distance of 0 between the number up to which tags are known and that of the entry, which may be
/// the larger or the smaller one.
const SAME: u64 = 1 << 31;

/// Stands for the number of tags where the word `more` holds it. From its lowest bit: number of tags (8), namespace (16).
const MORE: u64 = TAG_COUNT.max();

/// Key lengths from here on are written in full.
const LONG_KEY: u8 = u8::MAX;
/// Value lengths from here on are written in full.
const LONG_VALUE: u16 = u16::MAX;

/// The lengths that an entry's layout follows from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Shape {
    /// Numbers between the header and the lengths.
    words: usize,
    key_len: usize,
    value_len: usize,
}

impl Shape {
    /// Where the lengths are.
    const fn lengths_offset(self) -> usize {
        size_of::<Header>() + self.words * size_of::<u32>()
    }

    /// Where the key is.
    const fn key_offset(self) -> usize {
        let long_key = if self.key_len >= LONG_KEY as usize { 4 } else { 0 };
        let long_value = if self.value_len >= LONG_VALUE as usize { 4 } else { 0 };
        self.lengths_offset() + 3 + long_key + long_value
    }

    /// Where the value is.
    const fn value_offset(self) -> usize {
        (self.key_offset() + self.key_len).next_multiple_of(align_of::<u16>())
    }

    /// The memory of the entry, or `None` where the sum does not fit the address space. Allocators hand out
    /// blocks of 16 bytes' steps with a header of 8; asking for what such a block holds costs nothing, and
    /// two entries of equal blocks can take each other's place.
    fn layout(self) -> Option<Layout> {
        // A slice is never longer than `isize::MAX`, so the offset of the value cannot wrap; the size may.
        let size = self.value_offset().checked_add(self.value_len)?;
        let block = size.checked_add(8)?.checked_next_multiple_of(16)? - 8;
        Layout::from_size_align(block, align_of::<Header>()).ok()
    }
}

/// What an entry is made of.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) key: Key<'a>,
    pub(crate) value: Value<'a>,
    /// Numbers of the tags in the version table; at most [`MAX_TAGS`](crate::MAX_TAGS).
    pub(crate) tags: &'a [u32],
    /// When the entry leaves the cache, its grace included; at most [`NEVER`].
    pub(crate) deadline: u64,
    /// For how many ms before `deadline` the entry is stale.
    pub(crate) grace: u32,
    /// The ms from now to the end of the TTL; `u64::MAX` for none.
    pub(crate) ttl: u64,
}

impl Parts<'_> {
    /// Whether there is more to say than the header has bits for.
    fn has_more(&self) -> bool {
        self.tags.len() as u64 >= MORE || self.key.space != Space::ROOT
    }

    /// How many numbers an entry of these parts is charged beside its key and its value: one for what the header has no
    /// bits for, one a tag, one for the fence of what is tagged, and one for a grace.
    pub(crate) fn charged_words(&self) -> usize {
        let tags = self.tags.len() + usize::from(!self.tags.is_empty());
        usize::from(self.has_more()) + tags + usize::from(self.grace != 0)
    }

    fn shape(&self) -> Shape {
        let words = self.charged_words() + ttl::words(ttl::pack(self.ttl));
        Shape { words, key_len: self.key.bytes.len(), value_len: self.value.bytes.len() }
    }

    /// The word `more`.
    fn more(&self) -> u32 {
        let tags = u8::try_from(self.tags.len()).unwrap_or_else(|_| unreachable!("MAX_TAGS fits 8 bits"));
        u32::from(self.key.space.number()) << 8 | u32::from(tags)
    }

    fn facts(&self) -> u64 {
        let tags = if self.has_more() { MORE } else { self.tags.len() as u64 };
        let facts = DEADLINE.set(0, self.deadline);
        let facts = ENCODING.set(facts, u64::from(self.value.encoding));
        let facts = DOMAIN.set(facts, u64::from(self.key.domain));
        let facts = TAG_COUNT.set(facts, tags);
        GRACE.set(facts, u64::from(self.grace != 0))
    }

    /// Writes everything that follows the header.
    ///
    /// # Safety
    /// `base` is the start of a block of `self.shape().layout()` to which nobody else has access, and none of
    /// the parts lies in it.
    unsafe fn write_behind(&self, base: NonNull<u8>) {
        let shape = self.shape();
        let Shape { words, key_len, value_len } = shape;
        // SAFETY: all offsets are those of the layout, in their order, so each write stays in the block; words
        // lie right behind the header, whose size is a multiple of their alignment; the lengths may lie
        // anywhere and are written unaligned.
        unsafe {
            let word = base.add(size_of::<Header>()).cast::<u32>();
            if self.has_more() {
                word.write(self.more());
            }
            let tags = word.add(usize::from(self.has_more()));
            ptr::copy_nonoverlapping(self.tags.as_ptr(), tags.as_ptr(), self.tags.len());
            let charged = self.charged_words();
            if self.grace != 0 {
                word.add(charged - 1).write(self.grace);
            }
            ptr::copy_nonoverlapping(
                ttl::split(self.ttl).as_ptr(),
                word.add(charged).as_ptr(),
                words - charged,
            );
            let lengths = base.add(shape.lengths_offset());
            let mut long = lengths.add(3).cast::<u32>();
            let short_key = u8::try_from(key_len).unwrap_or(LONG_KEY);
            lengths.write(short_key);
            if short_key == LONG_KEY {
                long.write_unaligned(
                    u32::try_from(key_len).unwrap_or_else(|_| unreachable!("checked by new")),
                );
                long = long.add(1);
            }
            let short_value = u16::try_from(value_len).unwrap_or(LONG_VALUE);
            lengths.add(1).cast::<u16>().write_unaligned(short_value);
            if short_value == LONG_VALUE {
                long.write_unaligned(
                    u32::try_from(value_len).unwrap_or_else(|_| unreachable!("checked by new")),
                );
            }
            let key = base.add(shape.key_offset());
            ptr::copy_nonoverlapping(self.key.bytes.as_ptr(), key.as_ptr(), key_len);
            let value = base.add(shape.value_offset());
            ptr::copy_nonoverlapping(self.value.bytes.as_ptr(), value.as_ptr(), value_len);
        }
    }
}

/// A counted reference to an entry of the cache.
///
/// It keeps the bytes alive and unchanged, also after the entry left the cache; cloning and dropping one
/// is an atomic increment and decrement.
pub struct EntryRef(NonNull<Header>);

// SAFETY: while it is shared, an entry is immutable but for its atomics, and the count that frees it is atomic.
unsafe impl Send for EntryRef {}
// SAFETY: as for `Send`: `&EntryRef` gives only shared access to immutable bytes and to atomics.
unsafe impl Sync for EntryRef {}

impl EntryRef {
    /// A new entry with one reference.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] where the memory cannot be had.
    pub(crate) fn new(parts: &Parts<'_>) -> Result<Self, Error> {
        let shape = parts.shape();
        if u32::try_from(shape.key_len).is_err() || u32::try_from(shape.value_len).is_err() {
            return Err(Error::OutOfMemory);
        }
        let layout = shape.layout().ok_or(Error::OutOfMemory)?;
        // SAFETY: the size is at least that of the header, so it is not zero.
        let base = NonNull::new(unsafe { alloc::alloc(layout) }).ok_or(Error::OutOfMemory)?;
        let header = base.cast::<Header>();
        // SAFETY: the memory is fresh, nobody else knows it, and it is sized and aligned for both.
        unsafe {
            header.write(Header {
                access: AtomicU64::new(0),
                written: AtomicU64::new(LIFE.set(0, ttl::pack(parts.ttl))),
                facts: AtomicU64::new(parts.facts()),
                refs: AtomicU32::new(1),
                slot: AtomicU32::new(u32::MAX),
            });
            parts.write_behind(base);
        }
        Ok(Self(header))
    }

    /// Turns an entry into another one of the same key, if that takes a block of the same size. Says whether it
    /// did: not where there are other references than these two, that of the table and that of the shard.
    pub(crate) fn overwrite(held: &mut Self, in_shard: &mut Self, new: &Overwrite<'_>) -> bool {
        let parts = &new.parts;
        let layout = held.shape().layout();
        if !held.same(in_shard)
            || parts.shape().layout() != layout
            || u32::try_from(parts.value.bytes.len()).is_err()
        {
            return false;
        }
        // Pairs with the `Release` of references dropped on other threads: their reads are over.
        if held.header().refs.load(Ordering::Acquire) != 2 {
            return false;
        }
        // SAFETY: these are both of the two references that there are, and both are borrowed exclusively, so nobody
        // else has access, and no part can lie in the entry; the block is of the size that the parts need.
        unsafe { parts.write_behind(held.0.cast()) };
        held.header().facts.store(parts.facts(), Ordering::Relaxed);
        held.header().written.store(LIFE.set(0, ttl::pack(parts.ttl)), Ordering::Relaxed);
        held.set_sequences(new.fence, new.written);
        true
    }

    fn header(&self) -> &Header {
        // SAFETY: `self` is one of the references that keep the allocation alive, and the header was
        // written before the first of them was made.
        unsafe { self.0.as_ref() }
    }

    fn facts(&self) -> u64 {
        self.header().facts.load(Ordering::Relaxed)
    }

    /// The word `more`, if there is one.
    fn more(&self) -> Option<u32> {
        if TAG_COUNT.get(self.facts()) != MORE {
            return None;
        }
        // SAFETY: `write_behind` put the word right behind the header, which is aligned for it, since the header
        // says so; nobody writes it while the entry is shared.
        Some(unsafe { self.0.add(1).cast::<u32>().read() })
    }

    /// Where among the words the tags are, and how many.
    fn tag_range(&self) -> (usize, usize) {
        match self.more() {
            None => (0, usize::from(TAG_COUNT.get(self.facts()).to_le_bytes()[0])),
            Some(more) => (1, usize::from(more.to_le_bytes()[0])),
        }
    }

    /// The numbers that are charged: what the header has no bits for, tags, their fence, and a grace.
    fn charged_words(&self) -> usize {
        let (first, tags) = self.tag_range();
        first + tags + usize::from(tags > 0) + usize::from(self.has_grace())
    }

    fn life(&self) -> u64 {
        LIFE.get(self.header().written.load(Ordering::Relaxed))
    }

    /// How many numbers lie between the header and the lengths.
    fn words(&self) -> usize {
        self.charged_words() + ttl::words(self.life())
    }

    fn shape(&self) -> Shape {
        let words = self.words();
        let lengths = size_of::<Header>() + words * size_of::<u32>();
        // SAFETY: `write_behind` wrote the lengths there, short ones first and the long ones that they announce
        // behind them, all at no alignment.
        unsafe {
            let short = self.0.cast::<u8>().add(lengths);
            let mut long = short.add(3).cast::<u32>();
            let mut key_len = usize::from(short.read());
            if key_len == usize::from(LONG_KEY) {
                key_len = long.read_unaligned() as usize;
                long = long.add(1);
            }
            let mut value_len = usize::from(short.add(1).cast::<u16>().read_unaligned());
            if value_len == usize::from(LONG_VALUE) {
                value_len = long.read_unaligned() as usize;
            }
            Shape { words, key_len, value_len }
        }
    }

    /// The `len` bytes at `offset`.
    ///
    /// # Safety
    /// They lie inside the entry's allocation and were written by `write_behind`.
    unsafe fn bytes(&self, offset: usize, len: usize) -> &[u8] {
        // SAFETY: as promised by the caller; the bytes live and stay unchanged as long as `self`.
        unsafe { slice::from_raw_parts(self.0.cast::<u8>().add(offset).as_ptr(), len) }
    }

    /// The key of the entry.
    #[must_use]
    pub fn key(&self) -> Key<'_> {
        let shape = self.shape();
        // SAFETY: `write_behind` put `key_len` bytes at this offset.
        let bytes = unsafe { self.bytes(shape.key_offset(), shape.key_len) };
        Key { bytes, domain: DOMAIN.get(self.facts()).to_le_bytes()[0], space: self.space() }
    }

    /// The namespace of the key.
    pub(crate) fn space(&self) -> Space {
        self.more().map_or(Space::ROOT, |more| {
            let [_, low, high, _] = more.to_le_bytes();
            Space::of_number(u16::from_le_bytes([low, high]))
        })
    }

    /// The bytes of the value, at an even address.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        let shape = self.shape();
        // SAFETY: `write_behind` put `value_len` bytes at this offset.
        unsafe { self.bytes(shape.value_offset(), shape.value_len) }
    }

    /// The bytes that are charged for the entry, as [`ENTRY_OVERHEAD`](crate::ENTRY_OVERHEAD) says.
    #[must_use]
    pub fn charge(&self) -> u64 {
        self.payload() + ENTRY_OVERHEAD
    }

    /// The [`Value::encoding`] that the value was stored with.
    #[must_use]
    pub fn encoding(&self) -> u8 {
        ENCODING.get(self.facts()).to_le_bytes()[0]
    }

    /// The number at `index` behind the header.
    ///
    /// # Safety
    /// `index` is less than `self.words()`.
    unsafe fn word(&self, index: usize) -> &AtomicWord {
        // SAFETY: `write_behind` put the words right behind the header, which is aligned for them. The one that
        // is written later is only ever accessed as the atomic that it is here.
        unsafe { self.0.add(1).cast::<AtomicWord>().add(index).as_ref() }
    }

    /// What the eviction policy notes of the entry's uses: of two entries of a cache, the one with more is the hotter.
    #[must_use]
    pub fn uses(&self) -> u64 {
        self.access().load(Ordering::Relaxed)
    }

    /// How many tags the entry was stored with.
    #[must_use]
    pub fn tag_count(&self) -> usize {
        self.tag_range().1
    }

    pub(crate) fn tags(&self) -> &[u32] {
        let (first, count) = self.tag_range();
        // SAFETY: `write_behind` put as many numbers there behind the header, which is aligned for them.
        unsafe { slice::from_raw_parts(self.0.add(1).cast::<u32>().add(first).as_ptr(), count) }
    }

    /// Whether the entry is stale for a time before it expires.
    pub(crate) fn has_grace(&self) -> bool {
        GRACE.get(self.facts()) != 0
    }

    /// For how many ms before its deadline the entry is stale.
    pub(crate) fn grace(&self) -> u32 {
        if !self.has_grace() {
            return 0;
        }
        // SAFETY: with a grace there is at least one word that is charged, and it is the last of those.
        unsafe { self.word(self.charged_words() - 1) }.load(Ordering::Relaxed)
    }

    /// The ms from which on the entry is stale; its deadline, if it has no grace.
    pub(crate) fn fresh_until(&self) -> u64 {
        match self.deadline() {
            NEVER => NEVER,
            deadline => deadline.saturating_sub(u64::from(self.grace())),
        }
    }

    /// Key bytes plus value bytes plus four a word: what the entry holds beyond its fixed cost.
    pub(crate) fn payload(&self) -> u64 {
        let Shape { key_len, value_len, .. } = self.shape();
        key_len as u64 + value_len as u64 + 4 * self.charged_words() as u64
    }

    pub(crate) fn deadline(&self) -> u64 {
        DEADLINE.get(self.facts())
    }

    /// Sets the deadline, at most [`NEVER`]. To be called under the lock of the entry's shard, which has to be told.
    pub(crate) fn set_deadline(&self, deadline: u64) {
        self.change_deadline(|_| Some(deadline));
    }

    /// Moves the deadline of an entry that has one away to `deadline`, never nearer. The shard need not be told:
    /// it looks at the deadline again when the one that it knows comes up.
    pub(crate) fn extend_deadline(&self, deadline: u64) {
        self.change_deadline(|old| (old < deadline).then_some(deadline));
    }

    fn change_deadline(&self, change: impl Fn(u64) -> Option<u64>) {
        let change = |facts| change(DEADLINE.get(facts)).map(|deadline| DEADLINE.set(facts, deadline));
        let _ = self.header().facts.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
    }

    /// The word in which the eviction policy notes uses.
    pub(crate) fn access(&self) -> &AtomicU64 {
        &self.header().access
    }

    /// The sequence number up to which the tags are known to be unchanged. Only entries with tags remember it.
    pub(crate) fn fence(&self) -> u64 {
        let (first, tags) = self.tag_range();
        if tags == 0 {
            return self.written();
        }
        // SAFETY: with tags there is a word behind them.
        let distance = unsafe { self.word(first + tags) }.load(Ordering::Relaxed);
        self.written() + u64::from(distance) - SAME
    }

    /// Remembers that the tags were unchanged up to `fence`, unless that is too far away.
    pub(crate) fn set_fence(&self, fence: u64) {
        let (first, tags) = self.tag_range();
        if tags > 0
            && let Some(distance) = (fence + SAME).checked_sub(self.written())
            && let Ok(distance) = u32::try_from(distance)
        {
            // SAFETY: with tags there is a word behind them.
            unsafe { self.word(first + tags) }.store(distance, Ordering::Relaxed);
        }
    }

    /// The sequence number of the change that put the entry in.
    pub(crate) fn written(&self) -> u64 {
        SEQUENCE.get(self.header().written.load(Ordering::Relaxed))
    }

    /// To be called before the entry is put in, once. `fence` lies no more than [`SAME`] below `written`.
    pub(crate) fn set_sequences(&self, fence: u64, written: u64) {
        let word = self.header().written.load(Ordering::Relaxed);
        self.header().written.store(SEQUENCE.set(word, written), Ordering::Relaxed);
        debug_assert!(fence <= written && written - fence <= SAME);
        self.set_fence(fence);
    }

    /// Asks for the header and the key to be brought into the processor's cache, for a use soon to come.
    pub(crate) fn prefetch(&self) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let start = self.0.as_ptr().cast::<i8>().cast_const();
            // SAFETY: a prefetch reads nothing that the program could see, from whatever address.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(start);
                _mm_prefetch::<_MM_HINT_T0>(start.wrapping_add(64));
            }
        }
    }

    /// The TTL in ms that the entry was stored with; `u64::MAX` without one.
    pub(crate) fn ttl(&self) -> u64 {
        let charged = self.charged_words();
        // SAFETY: `write_behind` put as many words there as the packed form asks for.
        ttl::unpack(self.life(), |word| unsafe { self.word(charged + word) }.load(Ordering::Relaxed))
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

/// The age of a tagged value is known only when it is put in, hence the atomic. Not one of [`crate::sync`]: it
/// lies in memory that is written as a plain number.
type AtomicWord = std::sync::atomic::AtomicU32;

/// What an entry is to become in its place.
pub(crate) struct Overwrite<'a> {
    pub(crate) parts: Parts<'a>,
    pub(crate) fence: u64,
    pub(crate) written: u64,
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
        // Pairs with the `Release` above on the other threads: their reads are over before the memory goes. A load
        // and not a fence, because ThreadSanitizer does not know those.
        self.header().refs.load(Ordering::Acquire);
        let layout = self.shape().layout();
        let layout = layout.unwrap_or_else(|| unreachable!("the same sum was taken when the entry was made"));
        // SAFETY: this was the last reference, the memory came from `alloc` with this very layout, which
        // `overwrite` keeps, and a `Header` is dropped once.
        unsafe {
            self.0.drop_in_place();
            alloc::dealloc(self.0.cast::<u8>().as_ptr(), layout);
        }
    }
}

impl std::fmt::Debug for EntryRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EntryRef").field("key", &self.key()).field("value_len", &self.value().len()).finish()
    }
}

#[cfg(all(test, loom))]
mod explored;
#[cfg(all(test, not(loom)))]
mod tests;
