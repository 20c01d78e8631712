//! The packed words of an entry's header: numbers of a few bits that share a word.

use crate::shard::ttl;

/// Some bits of a `u64`. Fields are constants, so that a layout that does not fit its word is not compiled.
#[derive(Clone, Copy)]
pub(super) struct Field {
    shift: u32,
    bits: u32,
}

impl Field {
    /// The lowest `bits` of a word.
    pub(crate) const fn lowest(bits: u32) -> Self {
        Self::at(0, bits)
    }

    /// The `bits` above those of `below`.
    pub(crate) const fn above(below: Self, bits: u32) -> Self {
        Self::at(below.shift + below.bits, bits)
    }

    const fn at(shift: u32, bits: u32) -> Self {
        assert!(bits > 0 && shift + bits <= u64::BITS, "the fields of a word fit it");
        Self { shift, bits }
    }

    /// The largest number that fits.
    pub(crate) const fn max(self) -> u64 {
        u64::MAX >> (u64::BITS - self.bits)
    }

    /// The number in `word`.
    pub(crate) const fn get(self, word: u64) -> u64 {
        word >> self.shift & self.max()
    }

    /// `word` with `number` in the place of what it held here.
    pub(crate) const fn set(self, word: u64, number: u64) -> u64 {
        debug_assert!(number <= self.max());
        word & !(self.max() << self.shift) | number << self.shift
    }
}

/// The deadline of an entry that does not expire, in ms of the cache; the last that fits its bits.
pub(crate) const NEVER: u64 = DEADLINE.max();

// The fields of the word `facts` in the header of an entry.

/// 278 years in ms.
pub(super) const DEADLINE: Field = Field::lowest(43);
pub(super) const ENCODING: Field = Field::above(DEADLINE, 8);
pub(super) const DOMAIN: Field = Field::above(ENCODING, 8);
pub(super) const TAG_COUNT: Field = Field::above(DOMAIN, 4);
/// Whether there is a grace.
pub(super) const GRACE: Field = Field::above(TAG_COUNT, 1);

// The fields of the word `written` there.

/// Sequence numbers for 17 years at a million writes a second.
pub(super) const SEQUENCE: Field = Field::lowest(49);
/// The TTL, as by [`ttl::pack`].
pub(super) const LIFE: Field = Field::above(SEQUENCE, ttl::BITS);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_what_is_put_in_and_leave_the_others() {
        const LOW: Field = Field::lowest(49);
        const HIGH: Field = Field::above(LOW, 15);
        let word = HIGH.set(LOW.set(u64::MAX, 5), HIGH.max());
        assert_eq!((LOW.get(word), HIGH.get(word)), (5, (1 << 15) - 1));
        let word = HIGH.set(LOW.set(word, LOW.max()), 1 << 14);
        assert_eq!((LOW.get(word), HIGH.get(word)), ((1 << 49) - 1, 1 << 14));
    }
}
