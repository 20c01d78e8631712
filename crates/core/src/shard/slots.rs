//! The slots of a shard: the places of its entries.

use crate::policy::{AccessWord, Entries};
use crate::shard::entry::EntryRef;
use crate::shard::slab::Slab;

/// The places of entries; an entry keeps its slot as long as it lives.
#[derive(Default)]
pub(super) struct Slots {
    /// By slot number. `None`: the entry is gone, and the slot waits in its queue to be freed, or is free.
    pub(super) entries: Slab<Option<EntryRef>>,
    /// Slots that were ever used.
    pub(super) used: u32,
    /// Those of them that are in no queue.
    pub(super) free: Vec<u32>,
}

impl Slots {
    /// A slot in no queue.
    pub(super) fn take_free(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            let slot = self.used;
            assert!(slot < u32::MAX, "four thousand million entries need more memory than there is");
            self.used += 1;
            self.entries.reach(slot as usize);
            slot
        })
    }

    /// Slots in a queue.
    pub(super) fn queued(&self) -> usize {
        self.used as usize - self.free.len()
    }

    pub(super) fn get(&self, slot: u32) -> Option<&EntryRef> {
        self.entries[slot as usize].as_ref()
    }
}

impl Entries for Slots {
    fn access(&self, slot: u32) -> Option<&AccessWord> {
        self.get(slot).map(EntryRef::access)
    }

    fn prefetch(&self, slot: u32) {
        if let Some(entry) = self.get(slot) {
            entry.prefetch();
        }
    }

    fn free(&mut self, slot: u32) {
        self.free.push(slot);
    }
}
