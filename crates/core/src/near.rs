//! What a thread needs to keep copies of entries and to know, without a call, whether they still hold.
//!
//! A [`Board`] is plain memory. Whoever copies an entry notes what [`Sighting`] says; as long as the same numbers
//! stand on the board and the deadline is ahead, a read of the cache would return that very entry. The numbers
//! are `f64`, so that JavaScript can compare them in place, and no number is ever written twice in one word,
//! so an unchanged word means that nothing happened.

use std::sync::Arc;

use crate::cache::Cache;
use crate::clock::Clock;
use crate::entry::{EntryRef, NEVER};
use crate::lanes::Lane;
use crate::stats::Event;
use crate::sync::{AtomicU64, Ordering};
use crate::{Key, Space, pulse};

/// The words of a board, each an `f64` in the machine's own order.
///
/// Word 0 is the sequence number of the last invalidation of a tag or clearing of everything or of a namespace; while one is under
/// way it is one that no sighting has. From word [`Board::CELLS`] on, each word stands for the keys that share it,
/// and holds the number of the last change to one of them.
pub struct Board {
    words: Box<[AtomicU64]>,
}

#[expect(clippy::cast_precision_loss, reason = "sequence numbers stay below 2^50")]
fn bits(sequence: u64, half: bool) -> u64 {
    (sequence as f64 + if half { 0.5 } else { 0.0 }).to_bits()
}

impl Board {
    /// The first word that stands for keys. Those before it fill a cache line, so that invalidations and
    /// writes do not disturb each other.
    pub const CELLS: usize = 8;

    pub(crate) fn new(cells: usize) -> Self {
        Self { words: (0..Self::CELLS + cells).map(|_| AtomicU64::new(0)).collect() }
    }

    /// All words. They are for reading.
    #[must_use]
    pub fn words(&self) -> &[AtomicU64] {
        &self.words
    }

    /// The word of the keys of this hash.
    pub(crate) fn cell(&self, hash: u64) -> usize {
        // The middle bits: the table takes its shard and its place from both ends.
        let number =
            usize::try_from(hash >> 20 & u64::from(u32::MAX)).unwrap_or_else(|_| unreachable!("32 bits"));
        Self::CELLS + (number & (self.words.len() - Self::CELLS - 1))
    }

    /// To be called while the key cannot be read.
    pub(crate) fn wrote(&self, hash: u64, written: u64) {
        self.words[self.cell(hash)].store(bits(written, false), Ordering::Release);
    }

    /// To be called while the key cannot be read. What was written at `written` is removed, which happens once.
    pub(crate) fn removed(&self, hash: u64, written: u64) {
        self.words[self.cell(hash)].store(bits(written, true), Ordering::Release);
    }

    /// The number on the word of this hash, as bits.
    pub(crate) fn version(&self, hash: u64) -> u64 {
        self.words[self.cell(hash)].load(Ordering::Acquire)
    }

    /// The number of the last invalidation, as bits; of two the later has the larger bits.
    pub(crate) fn invalidation(&self) -> u64 {
        self.words[0].load(Ordering::SeqCst)
    }

    /// The number of the last invalidation that was done when word 0 held `invalidation`.
    pub(crate) fn latest_done(invalidation: u64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "half a number is cut off"
        )]
        let whole = f64::from_bits(invalidation) as u64;
        whole
    }

    pub(crate) fn begin_invalidation(&self, sequence: u64) {
        self.words[0].store(bits(sequence - 1, true), Ordering::SeqCst);
    }

    pub(crate) fn end_invalidation(&self, sequence: u64) {
        self.words[0].store(bits(sequence, false), Ordering::SeqCst);
    }

    /// Whether nothing was invalidated after `sequence` when word 0 held `invalidation`.
    pub(crate) fn is_quiet_since(invalidation: u64, sequence: u64) -> bool {
        invalidation <= bits(sequence, false)
    }
}

/// What a copy of an entry is to be checked against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sighting {
    /// The word of the board that stands for the entry's key.
    pub cell: u32,
    /// What stood there when the entry was read.
    pub version: f64,
    /// What stood in word 0; NaN, which nothing equals, if an invalidation was under way.
    pub invalidation: f64,
    /// The ms of the cache's [`Clock`](crate::Clock) from which on the entry is stale; infinite if it does not
    /// expire.
    pub fresh_until: f64,
    /// The number of the write that the entry is of. Two entries of one key have two of them.
    pub written: f64,
    /// The key's hash in this cache, for [`Cache::report_read`](crate::Cache::report_read).
    pub hash: u64,
}

impl Sighting {
    /// `invalidation` as it was before the entry was looked at.
    pub(crate) fn of_invalidation(bits: u64) -> f64 {
        let number = f64::from_bits(bits);
        if number.fract() == 0.0 { number } else { f64::NAN }
    }
}

impl<C: Clock> Cache<C> {
    /// Where copies of this cache's entries are checked.
    #[must_use]
    pub fn board(&self) -> &Arc<Board> {
        self.versions.board()
    }

    /// As [`Cache::get`], with what a copy is to be checked against.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "ms and sequence numbers stay below 2^53")]
    pub fn get_sighted(&self, key: Key<'_>) -> Option<(EntryRef, Sighting)> {
        let lane = Lane::current();
        let hash = self.table.hash(key);
        // Before the tags are looked at: what is invalidated after that changes this number.
        let invalidation = Sighting::of_invalidation(self.board().invalidation());
        let found = self.table.sight(hash, key);
        let found = found.and_then(|(entry, version)| Some((self.readable(entry)?, version)));
        let Some((entry, version)) = found.filter(|(entry, _)| self.is_fresh(entry)) else {
            self.count(key.space, lane, Event::Miss);
            return None;
        };
        self.used(&entry, lane);
        self.slide(&entry);
        self.count(key.space, lane, Event::Hit);
        let fresh_until = entry.fresh_until();
        let expires = fresh_until != NEVER;
        if expires && self.clock.is_system() {
            pulse::want(self.origin + self.now());
        }
        let sighting = Sighting {
            cell: u32::try_from(self.board().cell(hash)).unwrap_or_else(|_| unreachable!("a small table")),
            version: f64::from_bits(version),
            invalidation,
            fresh_until: if expires { (self.origin + fresh_until) as f64 } else { f64::INFINITY },
            written: entry.written() as f64,
            hash,
        };
        Some((entry, sighting))
    }

    /// Makes the entry that was seen with these numbers the most recently used one, if it is still there. Counts
    /// no hit.
    pub fn report_read(&self, hash: u64, written: u64) {
        if let Some(entry) = self.table.find_written(hash, written) {
            self.used(&entry, Lane::current());
        }
    }

    /// Counts reads that were answered from copies of values of a namespace.
    pub fn count_hits(&self, space: Space, hits: u64) {
        if self.clock.is_system() {
            pulse::keep();
        }
        for event in [Event::Hit, Event::NearHit] {
            self.stats.add(event, hits);
            self.spaces.count(space, event, hits);
        }
    }
}
