//! Which tags were invalidated, and when.
//!
//! A set-associative table in lines of a processor's cache. A line holds the latest invalidations of the tags that fall
//! to it, each with what of its hash did not choose the line, and a floor: where more tags were invalidated than it has
//! places, the oldest goes, and whatever is no newer than that counts as invalidated. So an entry may be lost without
//! need, where many tags were invalidated since it was stored, and none is ever kept that had to go.

use crate::coherence::words::{Run, Words};
use crate::sync::{AtomicU64, Ordering};

/// Invalidations have numbers that are multiples of this, so that a place can hold them in fewer bits.
pub(crate) const STEP: u64 = 64;

/// Invalidations that a line remembers.
const PLACES: usize = 7;

/// Bits of a tag.
const TAG_BITS: u32 = u32::BITS;

#[derive(Default)]
#[repr(align(64))]
struct Line {
    /// The number of the latest invalidation that had to give up its place.
    floor: AtomicU64,
    /// From the lowest bit: the number of an invalidation, and the bits of its tag that did not choose the line. 0 if it
    /// is free; of a line, the free ones are the last.
    places: [AtomicU64; PLACES],
}

/// The invalidations of a cache. One thread at a time writes, and any number read.
pub(crate) struct Invalidations {
    lines: Run<Line>,
    /// Bits of a tag that choose its line.
    chosen: u32,
}

impl Invalidations {
    /// A table of as many lines, a power of two.
    pub(crate) fn new(lines: usize, words: &Words) -> Self {
        debug_assert!(lines.is_power_of_two());
        Self { lines: words.run(lines), chosen: lines.ilog2() }
    }

    /// Lines that suit a cache of up to `max` entries: as many invalidated tags as a fifth of that leave the entries of
    /// other tags alone.
    pub(crate) fn lines_for(max: usize) -> usize {
        let lines = (max / 2).min(1 << 13).max(max / 8).clamp(1 << 8, 1 << 15);
        lines.next_power_of_two()
    }

    /// The line of a tag.
    fn line(&self, tag: u32) -> &Line {
        &self.lines[tag as usize & (self.lines.len() - 1)]
    }

    /// Bits of a number in its place.
    fn number_bits(&self) -> u32 {
        u64::BITS - (TAG_BITS - self.chosen)
    }

    /// What a place holds of a tag.
    fn mark(&self, tag: u32) -> u64 {
        u64::from(tag) >> self.chosen << self.number_bits()
    }

    /// The number in what a place holds.
    fn number(&self, held: u64) -> u64 {
        (held & !self.mark(u32::MAX)) * STEP
    }

    fn is_of(&self, held: u64, mark: u64) -> bool {
        held & self.mark(u32::MAX) == mark && held != 0
    }

    /// Records the invalidation of a tag. `number` is a multiple of [`STEP`] and larger than all before. The caller sees
    /// to it that nobody else does so meanwhile.
    pub(crate) fn record(&self, tag: u32, number: u64) {
        let (line, mark) = (self.line(tag), self.mark(tag));
        if number / STEP > !self.mark(u32::MAX) {
            // No place holds it: all of the line counts as invalidated.
            line.floor.store(number, Ordering::SeqCst);
            return;
        }
        let mut oldest = (u64::MAX, &line.places[0]);
        for place in &line.places {
            let held = place.load(Ordering::SeqCst);
            if held == 0 || self.is_of(held, mark) {
                place.store(mark | (number / STEP), Ordering::SeqCst);
                return;
            }
            if self.number(held) < oldest.0 {
                oldest = (self.number(held), place);
            }
        }
        let (gone, place) = oldest;
        // Before it goes: who does not find it must find the floor.
        line.floor.store(gone, Ordering::SeqCst);
        place.store(mark | (number / STEP), Ordering::SeqCst);
    }

    /// Whether a tag was not invalidated after `fence`, as far as is known.
    pub(crate) fn is_unchanged(&self, tag: u32, fence: u64) -> bool {
        let (line, mark) = (self.line(tag), self.mark(tag));
        let is_later = |place: &AtomicU64| {
            let held = place.load(Ordering::SeqCst);
            self.is_of(held, mark) && self.number(held) > fence
        };
        // The floor last: what is no longer in its place has raised it before.
        !line.places.iter().any(is_later) && line.floor.load(Ordering::SeqCst) <= fence
    }

    /// The bytes of the table.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.lines)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_a_line() {
        assert_eq!(size_of::<Line>(), 64);
    }

    proptest! {
        /// Nothing that was invalidated is taken for unchanged, and of few tags nothing else is lost.
        #[test]
        fn never_forgets_an_invalidation(
            tags in prop::collection::vec(0_u32..40, 1..200),
            shift in prop_oneof![Just(0_u32), Just(1), Just(26)],
            lines in prop_oneof![Just(1_usize), Just(2), Just(64)],
        ) {
            let table = Invalidations::new(lines, &Words::on_heap());
            let mut latest = HashMap::new();
            for (number, &tag) in (1..).zip(&tags) {
                let number = number * STEP;
                table.record(tag << shift, number);
                latest.insert(tag, number);
                for tag in 0..40 {
                    let last = latest.get(&tag).copied().unwrap_or(0);
                    prop_assert!(last == 0 || !table.is_unchanged(tag << shift, last - 1));
                    prop_assert!(table.is_unchanged(tag << shift, number));
                    if latest.len() <= PLACES {
                        prop_assert!(table.is_unchanged(tag << shift, last));
                    }
                }
            }
        }
    }

    #[test]
    fn a_number_that_no_place_holds_raises_the_floor() {
        let table = Invalidations::new(1, &Words::on_heap());
        let number = (1 << 32) * STEP;
        table.record(5, number - STEP);
        assert!(table.is_unchanged(6, 0) && !table.is_unchanged(5, number - STEP - 1));
        table.record(5, number);
        assert!(!table.is_unchanged(5, number - 1) && table.is_unchanged(5, number));
    }

    #[test]
    fn the_size_follows_the_cache() {
        let sizes = [1, 1_000, 50_000, 100_000, 1 << 20, usize::MAX].map(Invalidations::lines_for);
        assert_eq!(sizes, [256, 512, 8_192, 16_384, 32_768, 32_768]);
    }
}
