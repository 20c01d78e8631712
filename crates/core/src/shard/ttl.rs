//! A TTL in few bits, exactly.
//!
//! Most TTLs are few digits with zeros behind them (`30_000`), and fit [`BITS`]. What does not is kept in one or two
//! words of its own.

/// Bits of what [`pack`] makes.
pub(crate) const BITS: u32 = DIGIT_BITS + 3;

const DIGIT_BITS: u32 = 12;
const MOST_DIGITS: u64 = (1 << DIGIT_BITS) - 1;
/// Zeros behind the digits that are counted.
const MOST_ZEROS: u64 = 7;
/// No TTL at all.
const NONE: u64 = 0;
/// There are no digits here, but a word that holds them,
const ONE_WORD: u64 = 1 << DIGIT_BITS;
/// or two, the lower first.
const TWO_WORDS: u64 = 2 << DIGIT_BITS;

/// The packed form of a TTL of 1 ms or more; `u64::MAX` is none.
pub(crate) fn pack(ttl: u64) -> u64 {
    if ttl == u64::MAX {
        return NONE;
    }
    let (mut digits, mut zeros) = (ttl, 0);
    while digits > MOST_DIGITS && zeros < MOST_ZEROS && digits.is_multiple_of(10) {
        digits /= 10;
        zeros += 1;
    }
    match digits {
        1..=MOST_DIGITS => zeros << DIGIT_BITS | digits,
        _ if u32::try_from(ttl).is_ok() => ONE_WORD,
        _ => TWO_WORDS,
    }
}

/// How many words the packed form needs beside it.
pub(crate) fn words(packed: u64) -> usize {
    match packed {
        ONE_WORD => 1,
        TWO_WORDS => 2,
        _ => 0,
    }
}

/// The TTL of a packed form; `word` gives the words beside it.
pub(crate) fn unpack(packed: u64, word: impl Fn(usize) -> u32) -> u64 {
    match packed {
        NONE => u64::MAX,
        ONE_WORD => u64::from(word(0)),
        TWO_WORDS => u64::from(word(0)) | u64::from(word(1)) << 32,
        _ => (packed & MOST_DIGITS) * 10_u64.pow(u32::try_from(packed >> DIGIT_BITS).unwrap_or(0)),
    }
}

/// The words of a TTL, of which as many count as [`words`] says.
pub(crate) fn split(ttl: u64) -> [u32; 2] {
    let word =
        |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or_else(|_| unreachable!("32 bits"));
    [word(ttl), word(ttl >> 32)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_ttl_comes_back_as_it_was(ttl in prop_oneof![
            1_u64..10_000, 1_u64..100_000_000, any::<u32>().prop_map(|ttl| u64::from(ttl).max(1)), 1..u64::MAX,
            (1_u64..9_999, 0_u32..12).prop_map(|(digits, zeros)| digits * 10_u64.pow(zeros)),
        ]) {
            let packed = pack(ttl);
            prop_assert!(packed < 1 << BITS);
            prop_assert_eq!(unpack(packed, |word| split(ttl)[word]), ttl);
        }
    }

    #[test]
    fn what_people_write_needs_no_words() {
        for ttl in [1, 4_095, 30_000, 90_000, 86_400_000, u64::MAX] {
            assert_eq!(words(pack(ttl)), 0, "{ttl}");
        }
        assert_eq!([words(pack(59_993)), words(pack(2_592_000_001)), words(pack(1 << 33))], [1, 1, 2]);
    }
}
