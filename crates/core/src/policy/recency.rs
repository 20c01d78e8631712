//! The order of use of one shard, oldest first, with lazy promotion.
//!
//! A hit only stores a new tick in its entry. The queue keeps, for each slot, the tick it last saw, which
//! is never newer than the entry's own; when a slot reaches the head and its entry proves to have been used
//! since, the caller places it again under the newer tick. What comes to the head with its tick unchanged
//! is the least recently used slot of the shard, exactly.
//!
//! The queue is a row of runs with rising, disjoint ranges of ticks. A run is unsorted until it becomes
//! the head, so placing is a push, and sorting costs a bounded amount at a time.

use std::collections::VecDeque;

use crate::policy::{Entries, Victim};
use crate::sync::Ordering;

/// Slots a run takes before the next one is begun.
const RUN: usize = 512;

#[derive(Clone, Copy)]
struct Item {
    /// The tick that was seen, counted from the start of the run.
    offset: u32,
    slot: u32,
}

struct Run {
    /// No tick of this run is smaller, and none of an earlier run is as large.
    start: u64,
    /// The largest tick placed.
    end: u64,
    /// While `sorted`, newest first, so that the oldest is popped from the end.
    items: Vec<Item>,
    sorted: bool,
}

impl Run {
    fn starting_at(tick: u64, mut items: Vec<Item>) -> Self {
        items.clear();
        Self { start: tick, end: tick, items, sorted: false }
    }

    fn offset(&self, tick: u64) -> Option<u32> {
        u32::try_from(tick.saturating_sub(self.start)).ok()
    }

    fn push(&mut self, offset: u32, slot: u32) {
        self.end = self.end.max(self.start + u64::from(offset));
        let item = Item { offset, slot };
        if self.sorted {
            let at = self.items.partition_point(|other| other.offset > offset);
            self.items.insert(at, item);
        } else {
            self.items.push(item);
        }
    }

    fn sort(&mut self) {
        if !self.sorted {
            self.items.sort_unstable_by_key(|item| std::cmp::Reverse(item.offset));
            self.sorted = true;
        }
    }

    /// Moves the newer half to a run of its own. `None` if all items have one tick.
    fn split(&mut self) -> Option<Self> {
        self.sort();
        let middle = self.items[self.items.len() / 2].offset;
        let oldest = self.items.last()?.offset;
        let first_of_upper = if middle > oldest {
            middle
        } else {
            self.items.iter().rev().map(|item| item.offset).find(|&offset| offset > oldest)?
        };
        let upper_len = self.items.partition_point(|item| item.offset >= first_of_upper);
        let lower = self.items.split_off(upper_len);
        let mut items = std::mem::replace(&mut self.items, lower);
        for item in &mut items {
            item.offset -= first_of_upper;
        }
        let upper =
            Self { start: self.start + u64::from(first_of_upper), end: self.end, items, sorted: true };
        self.end = upper.start - 1;
        Some(upper)
    }
}

#[derive(Default)]
pub(crate) struct Recency {
    runs: VecDeque<Run>,
    /// The run that the next step of [`Recency::compact`] looks at.
    cursor: usize,
    /// The memory of a run that was used up.
    spare: Vec<Item>,
}

impl Recency {
    /// Enters `slot` as used at `tick`. Each slot is in the queue at most once.
    pub(crate) fn place(&mut self, tick: u64, slot: u32) {
        let after = match self.runs.back() {
            Some(last) if last.start <= tick => self.runs.len(),
            _ => self.runs.partition_point(|run| run.start <= tick),
        };
        let Some(index) = after.checked_sub(1) else {
            match self.runs.front_mut() {
                // Older than all: among the oldest of the head, which is all that order asks for.
                Some(head) => head.push(0, slot),
                None => self.open(0, tick, slot),
            }
            return;
        };
        let run = &mut self.runs[index];
        match run.offset(tick) {
            Some(offset) if run.items.len() < RUN => run.push(offset, slot),
            None => self.open(after, tick, slot),
            Some(_) if tick > run.end => self.open(after, tick, slot),
            Some(offset) => match run.split() {
                Some(upper) => {
                    let target = if tick < upper.start { index } else { after };
                    self.runs.insert(after, upper);
                    let run = &mut self.runs[target];
                    let offset = run.offset(tick).unwrap_or(u32::MAX);
                    run.push(offset, slot);
                }
                None => run.push(offset, slot),
            },
        }
    }

    /// Begins a run at `index` with one slot; `tick` lies above all of the run before.
    fn open(&mut self, index: usize, tick: u64, slot: u32) {
        let mut run = Run::starting_at(tick, std::mem::take(&mut self.spare));
        run.push(0, slot);
        self.runs.insert(index, run);
    }

    /// The slot with the smallest tick, and that tick.
    pub(crate) fn oldest(&mut self) -> Option<(u64, u32)> {
        loop {
            let head = self.runs.front_mut()?;
            head.sort();
            if let Some(item) = head.items.last() {
                return Some((head.start + u64::from(item.offset), item.slot));
            }
            self.spare = self.runs.pop_front().map_or_else(Vec::new, |run| run.items);
        }
    }

    /// The slot behind that which [`Recency::oldest`] has just shown, unless it lies in another run.
    fn next_oldest(&self) -> Option<u32> {
        let items = &self.runs.front()?.items;
        Some(items.get(items.len().checked_sub(2)?)?.slot)
    }

    /// Takes out what [`Recency::oldest`] has just shown.
    pub(crate) fn take_oldest(&mut self) {
        if let Some(head) = self.runs.front_mut() {
            head.items.pop();
        }
    }

    /// The oldest slot that holds an entry, with its tick and the entry's access word. Frees those before it.
    pub(crate) fn first(&mut self, entries: &mut impl Entries) -> Option<(u64, u32, u64)> {
        loop {
            let (seen, slot) = self.oldest()?;
            if let Some(access) = entries.access(slot) {
                return Some((seen, slot, access.load(Ordering::Relaxed)));
            }
            self.take_oldest();
            entries.free(slot);
        }
    }

    /// What is to be said of the oldest slot, which was not used since `seen`.
    pub(crate) fn unused(&self, seen: u64, slot: u32, limit: u64, entries: &impl Entries) -> Victim {
        if seen > limit {
            return Victim::Elsewhere;
        }
        // The next eviction would wait for it longer than for anything else.
        if let Some(next) = self.next_oldest() {
            entries.prefetch(next);
        }
        Victim::Found(slot)
    }

    /// A tick that no slot in the queue is older than; `u64::MAX` for an empty queue.
    pub(crate) fn lower_bound(&self) -> u64 {
        match self.runs.front() {
            None => u64::MAX,
            Some(head) if head.sorted => {
                head.items.last().map_or(head.start, |item| head.start + u64::from(item.offset))
            }
            Some(head) => head.start,
        }
    }

    /// Drops the slots of one run of which `free_if_gone` says so, and goes on to the next run.
    pub(crate) fn compact(&mut self, mut free_if_gone: impl FnMut(u32) -> bool) {
        if self.cursor >= self.runs.len() {
            self.cursor = 0;
        }
        let Some(run) = self.runs.get_mut(self.cursor) else { return };
        run.items.retain(|item| !free_if_gone(item.slot));
        let (start, end, len) = (run.start, run.end, run.items.len());
        if len == 0 {
            self.runs.remove(self.cursor);
            return;
        }
        // A short run joins the one before, so that the number of runs follows the number of slots.
        if let Some(before) = self.cursor.checked_sub(1) {
            let previous = &self.runs[before];
            if let Ok(shift) = u32::try_from(start - previous.start)
                && u32::try_from(end - previous.start).is_ok()
                && previous.items.len() + len <= RUN
                && let Some(run) = self.runs.remove(self.cursor)
            {
                let previous = &mut self.runs[before];
                previous.sorted = false;
                previous.end = end;
                previous.items.extend(
                    run.items.iter().map(|item| Item { offset: item.offset + shift, slot: item.slot }),
                );
                return;
            }
        }
        self.cursor += 1;
    }

    /// Every slot with its tick, in no order, after a check of the ranges. For tests.
    #[cfg(any(test, feature = "validate"))]
    pub(crate) fn items(&self) -> Vec<(u64, u32)> {
        let mut floor = 0;
        let mut all = Vec::new();
        for run in &self.runs {
            assert!(run.start >= floor, "runs rise");
            assert!(run.end >= run.start, "a range is not empty");
            for item in &run.items {
                let tick = run.start + u64::from(item.offset);
                assert!(tick <= run.end, "a tick lies in its run's range");
                all.push((tick, item.slot));
            }
            if run.sorted {
                assert!(run.items.is_sorted_by_key(|item| std::cmp::Reverse(item.offset)));
            }
            floor = run.end.max(floor);
        }
        assert!(all.iter().all(|&(tick, _)| tick >= self.lower_bound()), "nothing is older than the bound");
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drain(queue: &mut Recency) -> Vec<u64> {
        std::iter::from_fn(|| {
            let (tick, _) = queue.oldest()?;
            assert!(queue.lower_bound() <= tick);
            queue.take_oldest();
            Some(tick)
        })
        .collect()
    }

    proptest! {
        #[test]
        fn comes_out_in_order_of_ticks(ticks in prop::collection::vec(0_u64..5_000, 0..4_000)) {
            let mut queue = Recency::default();
            for (slot, &tick) in (0..).zip(&ticks) {
                // Nothing goes below the first tick, as in the cache, where it is the oldest there is.
                queue.place(tick + if slot == 0 { 0 } else { ticks[0] }, slot);
                queue.items();
            }
            let out = drain(&mut queue);
            prop_assert_eq!(out.len(), ticks.len());
            prop_assert!(out.is_sorted());
        }

        #[test]
        fn compaction_loses_only_the_dead(
            ticks in prop::collection::vec(any::<u32>(), 1..3_000),
            shift in 0_u32..40,
            keep in 1_u32..9,
        ) {
            let mut queue = Recency::default();
            let mut sorted: Vec<u64> = ticks.iter().map(|&tick| (u64::from(tick) << 8) >> shift).collect();
            sorted.sort_unstable();
            for (slot, &tick) in (0..).zip(&sorted) {
                queue.place(tick, slot);
            }
            let mut freed = 0;
            for _ in 0..sorted.len() {
                queue.compact(|slot| {
                    let is_gone = slot % keep != 0;
                    freed += usize::from(is_gone);
                    is_gone
                });
                queue.items();
            }
            // Ranges that a run can count are joined: half of the room in the runs is used.
            if shift >= 8 {
                prop_assert!(queue.runs.len() <= 1 + 2 * (sorted.len() - freed).div_ceil(RUN));
            }
            let left = drain(&mut queue);
            prop_assert!(left.is_sorted());
            prop_assert_eq!(left.len() + freed, sorted.len());
            prop_assert_eq!(left.len(), sorted.len().div_ceil(keep as usize));
        }
    }

    #[test]
    fn ticks_further_apart_than_a_run_can_count_stay_in_order() {
        let mut queue = Recency::default();
        for slot in 0..40 {
            queue.place(u64::from(slot) << 31, slot);
        }
        for slot in 40..80 {
            queue.place((u64::from(slot) - 40) * (1 << 31) + 7, slot);
        }
        queue.items();
        assert!(drain(&mut queue).is_sorted());
    }

    #[test]
    fn one_tick_many_times_does_not_loop() {
        let mut queue = Recency::default();
        for slot in 0..2_000 {
            queue.place(9, slot);
        }
        assert_eq!(drain(&mut queue).len(), 2_000);
    }
}
