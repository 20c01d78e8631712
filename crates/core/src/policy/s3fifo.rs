//! The order of one shard under S3-FIFO.
//!
//! After J. Yang, Y. Zhang, Z. Qiu, Y. Yue and K. V. Rashmi, "FIFO Queues Are All You Need for Cache Eviction"
//! (SOSP '23). New keys enter a small queue, a tenth of the cache; what was used more than once there moves on to
//! the main queue, and what was not leaves, its key remembered as a ghost. A key that comes back while its ghost is
//! there enters the main queue at once. In the main queue an entry that was used goes round again. Whether the small
//! or the main queue of the whole cache gives way, and in which shard, is for the caller.

use std::collections::{HashMap, VecDeque};

use crate::policy::recency::Recency;

/// Uses that are counted, so that what was once popular does not stay for ever.
pub(crate) const MOST_USES: u64 = 3;

/// Hashes of keys that left the small queue, in the order in which they did.
#[derive(Default)]
struct Ghosts {
    order: VecDeque<(u64, u64)>,
    /// The number under which a hash was last entered.
    numbers: HashMap<u64, u64, foldhash::fast::RandomState>,
    last: u64,
}

impl Ghosts {
    fn enter(&mut self, hash: u64, most: usize) {
        self.last += 1;
        self.numbers.insert(hash, self.last);
        self.order.push_back((hash, self.last));
        while self.order.len() > most {
            let Some((hash, number)) = self.order.pop_front() else { return };
            if self.numbers.get(&hash) == Some(&number) {
                self.numbers.remove(&hash);
            }
        }
    }

    fn take(&mut self, hash: u64) -> bool {
        self.numbers.remove(&hash).is_some()
    }
}

#[derive(Default)]
pub(crate) struct S3Fifo {
    pub(crate) small: Recency,
    pub(crate) main: Recency,
    /// By slot, a bit each: whether it is in the small queue.
    in_small: Vec<u64>,
    /// Live entries in each queue.
    pub(crate) small_len: usize,
    pub(crate) main_len: usize,
    ghosts: Ghosts,
}

impl S3Fifo {
    fn is_small(&self, slot: u32) -> bool {
        self.in_small.get(slot as usize / 64).is_some_and(|bits| bits >> (slot % 64) & 1 == 1)
    }

    fn set_small(&mut self, slot: u32, small: bool) {
        let word = slot as usize / 64;
        if word >= self.in_small.len() {
            self.in_small.resize(word + 1, 0);
        }
        self.in_small[word] = self.in_small[word] & !(1 << (slot % 64)) | u64::from(small) << (slot % 64);
    }

    /// Takes in a new entry. Ticks rise from call to call, so that the queues are in the order of entry.
    pub(crate) fn enter(&mut self, slot: u32, hash: u64, tick: u64) {
        let small = !self.ghosts.take(hash);
        self.set_small(slot, small);
        if small {
            self.small.place(tick, slot);
            self.small_len += 1;
        } else {
            self.main.place(tick, slot);
            self.main_len += 1;
        }
    }

    /// Counts an entry out; its slot stays in the queue.
    pub(crate) fn leave(&mut self, slot: u32) {
        if self.is_small(slot) {
            self.small_len -= 1;
        } else {
            self.main_len -= 1;
        }
    }

    /// Moves the slot that `small.oldest()` has just shown to the main queue.
    pub(crate) fn promote(&mut self, slot: u32, tick: u64) {
        self.small.take_oldest();
        self.set_small(slot, false);
        self.small_len -= 1;
        self.main_len += 1;
        self.main.place(tick, slot);
    }

    /// Remembers a key that leaves by way of the small queue, as one of as many as the main queue is meant to hold.
    pub(crate) fn remember(&mut self, hash: u64) {
        self.ghosts.enter(hash, ((self.small_len + self.main_len) * 9 / 10).max(4));
    }

    /// Recounts the queues and returns all that is in them. `live` says whether a slot holds an entry.
    #[cfg(any(test, feature = "validate"))]
    pub(crate) fn validate(&self, live: impl Fn(u32) -> bool) -> Vec<(u64, u32)> {
        let small = self.small.items();
        let main = self.main.items();
        let count = |items: &[(u64, u32)]| items.iter().filter(|item| live(item.1)).count();
        assert_eq!(count(&small), self.small_len, "live entries of the small queue");
        assert_eq!(count(&main), self.main_len, "live entries of the main queue");
        assert!(small.iter().filter(|item| live(item.1)).all(|item| self.is_small(item.1)));
        assert!(main.iter().filter(|item| live(item.1)).all(|item| !self.is_small(item.1)));
        assert!(self.ghosts.numbers.len() <= self.ghosts.order.len());
        small.into_iter().chain(main).collect()
    }
}
