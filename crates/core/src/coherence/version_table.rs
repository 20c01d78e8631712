//! The version table: plain memory that tells, without a call, whether a copy of an entry still holds.
//!
//! Whoever copies an entry notes what [`Stamp`] says; as long as the same numbers stand in the table and the deadline is
//! ahead, a read of the cache would return that very entry. Whoever found that so after it had read the count of changes
//! needs to look at nothing but the count from then on. No number is ever written twice in one word, so an unchanged
//! word means that nothing happened. With the feature `f64-words` each word is an `f64`, so that JavaScript can compare it
//! in place.

use crate::coherence::words::{Run, Words};
use crate::sync::{AtomicU64, Ordering};

/// The words of a version table, in the machine's own order.
///
/// Word 0 is the sequence number of the last invalidation of a tag or clearing of everything or of a namespace; while one
/// is under way it is one that no stamp has. Word [`VersionTable::CHANGES`] counts all changes: as long as it stands
/// still, so does everything else, but what was under way when it was read. Word [`VersionTable::PRESSURE`] counts the writes
/// that took room in a cache that fills. From word [`VersionTable::CELLS`] on, each word stands for the keys
/// that share it, and holds the number of the last change to one of them.
pub struct VersionTable {
    words: Run<AtomicU64>,
}

/// A word that no version table ever holds, not even as a number that equals one in it.
const NONE: u64 = f64::NAN.to_bits();

/// The word of a sequence number, or of half a step after it. Of two the later has the larger word.
#[expect(clippy::cast_precision_loss, reason = "sequence numbers stay below 2^50")]
fn word(sequence: u64, half: bool) -> u64 {
    if cfg!(feature = "f64-words") {
        (sequence as f64 + if half { 0.5 } else { 0.0 }).to_bits()
    } else {
        sequence << 1 | u64::from(half)
    }
}

/// The sequence number of a word, half a step cut off.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is a sequence number")]
fn sequence(word: u64) -> u64 {
    if cfg!(feature = "f64-words") { f64::from_bits(word) as u64 } else { word >> 1 }
}

/// What the count of changes begins with: one for each step of it, the bits of a number are those of the next larger
/// one, so that no two counts are equal as `f64`s.
const FIRST: u64 = 1.0f64.to_bits();

impl VersionTable {
    /// The word that counts changes. It lies a cache line behind word 0, which is not written as often.
    pub const CHANGES: usize = 8;
    /// The word that counts writes under pressure.
    pub const PRESSURE: usize = 9;
    /// The first word that stands for keys.
    pub const CELLS: usize = 16;

    pub(crate) fn new(cells: usize, words: &Words) -> Self {
        let words = words.run::<AtomicU64>(Self::CELLS + cells);
        words[Self::CHANGES].store(FIRST, Ordering::Relaxed);
        words[Self::PRESSURE].store(FIRST, Ordering::Relaxed);
        Self { words }
    }

    /// Counts a change that stands in another word: whoever sees this count, or a later one, sees that change. A
    /// read-modify-write, so that this is true of the changes that were counted before, whoever made them.
    fn count_change(&self) {
        self.words[Self::CHANGES].fetch_add(1, Ordering::SeqCst);
    }

    /// Counts a write that took room in a cache that fills: an eviction will come, and what it takes depends on what was
    /// read before which write.
    pub(crate) fn count_pressure(&self) {
        self.words[Self::PRESSURE].fetch_add(1, Ordering::Relaxed);
    }

    /// All words. They are for reading.
    #[must_use]
    pub fn words(&self) -> &[AtomicU64] {
        &self.words
    }

    /// The word of the keys of this hash.
    pub(crate) fn cell(&self, hash: u64) -> usize {
        // The middle bits: the table takes its segment and its place from both ends.
        let number =
            usize::try_from(hash >> 20 & u64::from(u32::MAX)).unwrap_or_else(|_| unreachable!("32 bits"));
        Self::CELLS + (number & (self.words.len() - Self::CELLS - 1))
    }

    /// To be called while the key cannot be read.
    pub(crate) fn wrote(&self, hash: u64, written: u64) {
        self.words[self.cell(hash)].store(word(written, false), Ordering::Release);
        self.count_change();
    }

    /// To be called while the key cannot be read. What was written at `written` is removed, which happens once.
    pub(crate) fn removed(&self, hash: u64, written: u64) {
        self.words[self.cell(hash)].store(word(written, true), Ordering::Release);
        self.count_change();
    }

    /// The word of the keys of this hash.
    pub(crate) fn version(&self, hash: u64) -> u64 {
        self.words[self.cell(hash)].load(Ordering::Acquire)
    }

    /// The number of the last invalidation, as its word.
    pub(crate) fn invalidation(&self) -> u64 {
        self.words[0].load(Ordering::SeqCst)
    }

    /// The number of the last invalidation that was done when word 0 held `invalidation`.
    pub(crate) fn latest_done(invalidation: u64) -> u64 {
        sequence(invalidation)
    }

    pub(crate) fn begin_invalidation(&self, sequence: u64) {
        self.words[0].store(word(sequence - 1, true), Ordering::SeqCst);
        self.count_change();
    }

    pub(crate) fn end_invalidation(&self, sequence: u64) {
        self.words[0].store(word(sequence, false), Ordering::SeqCst);
        self.count_change();
    }

    /// Whether nothing was invalidated after `sequence` when word 0 held `invalidation`.
    pub(crate) fn is_quiet_since(invalidation: u64, sequence: u64) -> bool {
        invalidation <= word(sequence, false)
    }
}

/// What a copy of an entry is to be checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The place of the word that stands for the entry's key.
    pub cell: u32,
    /// What stood there when the entry was read.
    pub version: u64,
    /// What stood in word 0; what never stands there (with `f64-words`, NaN) if an invalidation was under way.
    pub invalidation: u64,
    /// The ms of the cache's [`Clock`](crate::Clock) from which on the entry is stale; `u64::MAX` if it does not
    /// expire.
    pub fresh_until: u64,
    /// The number of the write that the entry is of. Two entries of one key have two of them.
    pub written: u64,
    /// The key's hash in this cache, for [`Cache::report_read`](crate::Cache::report_read).
    pub hash: u64,
}

impl Stamp {
    /// `invalidation` as it was before the entry was looked at.
    pub(crate) fn of_invalidation(invalidation: u64) -> u64 {
        if word(sequence(invalidation), false) == invalidation { invalidation } else { NONE }
    }
}
