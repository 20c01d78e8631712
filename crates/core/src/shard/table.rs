//! The map from key to entry.
//!
//! All use of `DashMap` is in this file. Methods return owned values and run no code of other modules
//! while a segment is locked, so that no guard can meet another lock the wrong way round. A segment is what `DashMap`
//! calls a shard.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use dashmap::SharedValue;
use foldhash::quality::RandomState;
#[cfg(not(shuttle))]
use parking_lot::lock_api::{RawRwLock, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::coherence::version_table::VersionTable;
use crate::key::{Key, Space};
use crate::shard::entry::{EntryRef, Overwrite};
use crate::sync::yield_now;

/// Enough that a writer rarely meets another thread's segment.
const MIN_SEGMENTS: usize = 64;
const MAX_SEGMENTS: usize = 4_096;
/// Entries of a full cache for which there is one segment. A segment that grows looks at the key of each of its
/// entries while it is locked, a cache miss each, so that this bounds the longest insertion.
const SEGMENT_LEN: usize = 8_192;

impl Hash for EntryRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_key(self.key(), state);
    }
}

impl PartialEq for EntryRef {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for EntryRef {}

fn hash_key(key: Key<'_>, state: &mut impl Hasher) {
    state.write(key.bytes);
    // Bytes and domain need no separator: the domain is one byte, always there, always last.
    state.write_u8(key.domain);
    // Keys of two namespaces need not differ in this: they are compared.
    if key.space != Space::ROOT {
        state.write_u16(key.space.number());
    }
}

#[cfg(not(shuttle))]
type Map = dashmap::DashMap<EntryRef, (), RandomState>;
#[cfg(shuttle)]
use explored::{Map, RawRwLock, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Turns that a reader leaves to writers who wait before it goes on in any case.
const TURNS: u32 = 16;

/// Locks a segment for reading. The lock would let readers pass a writer that waits, and of many readers of one key
/// some would always be there; so they let it go first, for a while.
fn read<'a, R: RawRwLock, T>(lock: &'a RwLock<R, T>, waiting: &AtomicU32) -> RwLockReadGuard<'a, R, T> {
    if waiting.load(Ordering::Relaxed) != 0 {
        give_way(waiting);
    }
    lock.read()
}

/// Locks a segment for writing.
fn write<'a, R: RawRwLock, T>(lock: &'a RwLock<R, T>, waiting: &AtomicU32) -> RwLockWriteGuard<'a, R, T> {
    lock.try_write().unwrap_or_else(|| {
        waiting.fetch_add(1, Ordering::Relaxed);
        let guard = lock.write();
        waiting.fetch_sub(1, Ordering::Relaxed);
        guard
    })
}

#[cold]
fn give_way(waiting: &AtomicU32) {
    for _ in 0..TURNS {
        if waiting.load(Ordering::Relaxed) == 0 {
            return;
        }
        yield_now();
    }
}

/// Entries by key. The caller hashes once, with [`Table::hash`], and passes the hash on.
pub(crate) struct Table {
    map: Map,
    /// By segment: how many writers wait for it.
    waiting: Box<[AtomicU32]>,
    /// Is told of each change while the key is locked.
    versions: Arc<VersionTable>,
}

impl Table {
    /// A table that suits up to `max` entries.
    pub(crate) fn new(max: usize, versions: Arc<VersionTable>, hasher: RandomState) -> Self {
        let segments = max.div_ceil(SEGMENT_LEN).next_power_of_two().clamp(MIN_SEGMENTS, MAX_SEGMENTS);
        let map = Map::with_hasher_and_shard_amount(hasher, segments);
        let waiting = map.shards().iter().map(|_| AtomicU32::new(0)).collect();
        Self { map, waiting, versions }
    }

    pub(crate) fn hash(&self, key: Key<'_>) -> u64 {
        let mut hasher = self.map.hasher().build_hasher();
        hash_key(key, &mut hasher);
        hasher.finish()
    }

    /// The number of the segment in which entries of this hash lie.
    fn segment(&self, hash: u64) -> usize {
        // Only the upper bits choose the segment; on 32-bit targets they are what is kept.
        #[cfg(target_pointer_width = "64")]
        #[expect(clippy::cast_possible_truncation, reason = "the same width on this target")]
        let hash = hash as usize;
        #[cfg(not(target_pointer_width = "64"))]
        let hash = (hash >> 32) as usize;
        self.map.determine_shard(hash)
    }

    /// The entry under `key`.
    pub(crate) fn find(&self, hash: u64, key: Key<'_>) -> Option<EntryRef> {
        let number = self.segment(hash);
        let segment = read(&self.map.shards()[number], &self.waiting[number]);
        segment.get(hash, |(entry, _)| entry.key() == key).map(|(entry, _)| entry.clone())
    }

    /// The entry under `key`, and what stands in the version table for it at that moment.
    pub(crate) fn find_stamped(&self, hash: u64, key: Key<'_>) -> Option<(EntryRef, u64)> {
        let number = self.segment(hash);
        let segment = read(&self.map.shards()[number], &self.waiting[number]);
        let (entry, _) = segment.get(hash, |(entry, _)| entry.key() == key)?;
        Some((entry.clone(), self.versions.version(hash)))
    }

    /// The entry of this hash that was written at `written`.
    pub(crate) fn find_written(&self, hash: u64, written: u64) -> Option<EntryRef> {
        let number = self.segment(hash);
        let segment = read(&self.map.shards()[number], &self.waiting[number]);
        segment.get(hash, |(entry, _)| entry.written() == written).map(|(entry, _)| entry.clone())
    }

    /// Puts `entry` in; the caller knows that its key is absent.
    pub(crate) fn insert(&self, hash: u64, entry: EntryRef) {
        let number = self.segment(hash);
        let mut segment = write(&self.map.shards()[number], &self.waiting[number]);
        debug_assert!(segment.get(hash, |(other, _)| *other == entry).is_none());
        self.versions.wrote(hash, entry.written());
        segment.insert(hash, (entry, SharedValue::new(())), |(entry, _)| self.hash(entry.key()));
    }

    /// Puts `new` in the place of `old`, which is present and has the same key.
    pub(crate) fn replace(&self, hash: u64, old: &EntryRef, new: EntryRef) {
        let displaced = {
            let number = self.segment(hash);
            let mut segment = write(&self.map.shards()[number], &self.waiting[number]);
            self.versions.wrote(hash, new.written());
            segment
                .get_mut(hash, |(entry, _)| entry.same(old))
                .map(|(entry, _)| std::mem::replace(entry, new))
        };
        debug_assert!(displaced.is_some());
    }

    /// Turns `old`, which is present and known to the table and its shard alone, into `new` where it lies, if
    /// it fits. `old` is the shard's own reference.
    pub(crate) fn overwrite(&self, hash: u64, old: &mut EntryRef, new: &Overwrite<'_>) -> bool {
        let number = self.segment(hash);
        let mut segment = write(&self.map.shards()[number], &self.waiting[number]);
        let Some((held, _)) = segment.get_mut(hash, |(entry, _)| entry.same(old)) else { return false };
        let done = EntryRef::overwrite(held, old, new);
        if done {
            self.versions.wrote(hash, new.written);
        }
        done
    }

    /// Takes this very `entry` out, never another one under the same key.
    pub(crate) fn remove(&self, hash: u64, entry: &EntryRef) {
        let removed = {
            let number = self.segment(hash);
            let mut segment = write(&self.map.shards()[number], &self.waiting[number]);
            self.versions.removed(hash, entry.written());
            segment.remove_entry(hash, |(other, _)| other.same(entry))
        };
        debug_assert!(removed.is_some());
    }

    /// Takes everything out, for the caller to drop, at one moment for all readers. It takes as long with many
    /// entries as with few. No reader holds one segment while it waits for another, and the caller sees to it
    /// that no writer does.
    ///
    /// `at` is called when all segments are locked; it locks nothing that is held by anybody who waits for one.
    pub(crate) fn take_all(&self, at: &dyn Fn()) -> Vec<impl Send + use<>> {
        let locks = self.map.shards().iter().zip(&self.waiting);
        let mut segments: Vec<_> = locks.map(|(segment, waiting)| write(segment, waiting)).collect();
        at();
        segments.iter_mut().map(|segment| std::mem::take(&mut **segment)).collect()
    }

    /// Counts the entries, one locked segment after another.
    #[cfg(any(test, feature = "validate"))]
    pub(crate) fn count(&self) -> usize {
        self.map.len()
    }
}

/// The part of `DashMap`'s face that is used here, on locks that `shuttle` knows.
#[cfg(shuttle)]
mod explored {
    use std::marker::PhantomData;
    use std::ops::{Deref, DerefMut};

    use dashmap::SharedValue;
    use foldhash::quality::RandomState;

    use crate::shard::entry::EntryRef;

    type Item = (EntryRef, SharedValue<()>);

    #[derive(Default)]
    pub(super) struct Segment(Vec<(u64, Item)>);

    impl Segment {
        fn place(&self, hash: u64, is: impl Fn(&Item) -> bool) -> Option<usize> {
            self.0.iter().position(|(other, item)| *other == hash && is(item))
        }

        pub(super) fn get(&self, hash: u64, is: impl Fn(&Item) -> bool) -> Option<&Item> {
            self.place(hash, is).map(|place| &self.0[place].1)
        }

        pub(super) fn get_mut(&mut self, hash: u64, is: impl Fn(&Item) -> bool) -> Option<&mut Item> {
            self.place(hash, is).map(|place| &mut self.0[place].1)
        }

        pub(super) fn insert(&mut self, hash: u64, item: Item, _hash: impl Fn(&Item) -> u64) {
            self.0.push((hash, item));
        }

        pub(super) fn remove_entry(&mut self, hash: u64, is: impl Fn(&Item) -> bool) -> Option<Item> {
            self.place(hash, is).map(|place| self.0.swap_remove(place).1)
        }
    }

    pub(super) trait RawRwLock {}

    #[derive(Default)]
    pub(super) struct Raw;
    impl RawRwLock for Raw {}

    pub(super) type RwLockReadGuard<'a, R, T> = Guard<shuttle::sync::RwLockReadGuard<'a, T>, R>;
    pub(super) type RwLockWriteGuard<'a, R, T> = Guard<shuttle::sync::RwLockWriteGuard<'a, T>, R>;

    pub(super) struct Guard<G, R>(G, PhantomData<R>);

    impl<G: Deref, R> Deref for Guard<G, R> {
        type Target = G::Target;
        fn deref(&self) -> &G::Target {
            &self.0
        }
    }

    impl<G: DerefMut, R> DerefMut for Guard<G, R> {
        fn deref_mut(&mut self) -> &mut G::Target {
            &mut self.0
        }
    }

    #[derive(Default)]
    pub(super) struct RwLock<R, T>(shuttle::sync::RwLock<T>, PhantomData<R>);

    impl<R, T> RwLock<R, T> {
        pub(super) fn read(&self) -> RwLockReadGuard<'_, R, T> {
            Guard(self.0.read().unwrap(), PhantomData)
        }

        pub(super) fn try_write(&self) -> Option<RwLockWriteGuard<'_, R, T>> {
            Some(Guard(self.0.try_write().ok()?, PhantomData))
        }

        pub(super) fn write(&self) -> RwLockWriteGuard<'_, R, T> {
            Guard(self.0.write().unwrap(), PhantomData)
        }
    }

    pub(super) struct Map {
        hasher: RandomState,
        segments: Box<[RwLock<Raw, Segment>]>,
    }

    impl Map {
        /// Few segments, so that keys meet.
        pub(super) fn with_hasher_and_shard_amount(hasher: RandomState, _shards: usize) -> Self {
            Self { hasher, segments: (0..2).map(|_| RwLock::default()).collect() }
        }

        pub(super) fn hasher(&self) -> &RandomState {
            &self.hasher
        }

        pub(super) fn shards(&self) -> &[RwLock<Raw, Segment>] {
            &self.segments
        }

        pub(super) fn determine_shard(&self, hash: usize) -> usize {
            hash % self.segments.len()
        }

        pub(super) fn len(&self) -> usize {
            self.segments.iter().map(|segment| (*segment.read()).0.len()).sum()
        }
    }
}
