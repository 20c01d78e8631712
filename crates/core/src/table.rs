//! The map from key to entry.
//!
//! All use of `DashMap` is in this file. Methods return owned values and run no code of other modules
//! while a shard is locked, so that no guard can meet another lock the wrong way round.

use std::hash::{BuildHasher, Hash, Hasher};

use dashmap::{DashMap, SharedValue};
use foldhash::quality::RandomState;

use crate::Key;
use crate::entry::EntryRef;

/// Enough that a writer rarely meets another thread's shard.
const SHARDS: usize = 64;

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
}

/// Entries by key. The caller hashes once, with [`Table::hash`], and passes the hash on.
pub(crate) struct Table {
    map: DashMap<EntryRef, (), RandomState>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { map: DashMap::with_hasher_and_shard_amount(RandomState::default(), SHARDS) }
    }

    pub(crate) fn hash(&self, key: Key<'_>) -> u64 {
        let mut hasher = self.map.hasher().build_hasher();
        hash_key(key, &mut hasher);
        hasher.finish()
    }

    /// The number of the shard in which entries of this hash lie.
    fn shard(&self, hash: u64) -> usize {
        // Only the upper bits choose the shard; on 32-bit targets they are what is kept.
        #[cfg(target_pointer_width = "64")]
        #[expect(clippy::cast_possible_truncation, reason = "the same width on this target")]
        let hash = hash as usize;
        #[cfg(not(target_pointer_width = "64"))]
        let hash = (hash >> 32) as usize;
        self.map.determine_shard(hash)
    }

    /// The entry under `key`.
    pub(crate) fn find(&self, hash: u64, key: Key<'_>) -> Option<EntryRef> {
        let shard = self.map.shards()[self.shard(hash)].read();
        shard.get(hash, |(entry, _)| entry.key() == key).map(|(entry, _)| entry.clone())
    }

    /// Puts `entry` in; the caller knows that its key is absent.
    pub(crate) fn insert(&self, hash: u64, entry: EntryRef) {
        let mut shard = self.map.shards()[self.shard(hash)].write();
        debug_assert!(shard.get(hash, |(other, _)| *other == entry).is_none());
        shard.insert(hash, (entry, SharedValue::new(())), |(entry, _)| self.hash(entry.key()));
    }

    /// Puts `new` in the place of `old`, which is present and has the same key.
    pub(crate) fn replace(&self, hash: u64, old: &EntryRef, new: EntryRef) {
        let displaced = {
            let mut shard = self.map.shards()[self.shard(hash)].write();
            shard.get_mut(hash, |(entry, _)| entry.same(old)).map(|(entry, _)| std::mem::replace(entry, new))
        };
        debug_assert!(displaced.is_some());
    }

    /// Takes this very `entry` out, never another one under the same key.
    pub(crate) fn remove(&self, entry: &EntryRef) {
        let hash = self.hash(entry.key());
        let removed =
            self.map.shards()[self.shard(hash)].write().remove_entry(hash, |(other, _)| other.same(entry));
        debug_assert!(removed.is_some());
    }

    /// Takes everything out, for the caller to drop, at one moment for all readers. It takes as long with many
    /// entries as with few. No reader holds one shard while it waits for another, and the caller sees to it
    /// that no writer does.
    pub(crate) fn take_all(&self) -> Vec<impl Send + use<>> {
        let mut shards: Vec<_> = self.map.shards().iter().map(|shard| shard.write()).collect();
        shards.iter_mut().map(|shard| std::mem::take(&mut **shard)).collect()
    }

    /// Counts the entries, one locked shard after another.
    #[cfg(any(test, feature = "validate"))]
    pub(crate) fn count(&self) -> usize {
        self.map.len()
    }
}
