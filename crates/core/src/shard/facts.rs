//! Numbers of a few bits that share a word.

/// Some bits of a `u64`. Fields are constants, so that a layout that does not fit its word is not compiled.
#[derive(Clone, Copy)]
pub(crate) struct Field {
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
