//! Eviction policies: which entry leaves when there is no room.
//!
//! A policy orders the slots of one shard, under the lock of that shard. Of an entry it knows an access word, which a
//! hit changes without the lock, and of the other shards that their published bounds tell which to ask first.

pub(crate) mod access_clock;
mod lru;
mod recency;
mod s3fifo;

use crate::policy::lru::Lru;
use crate::policy::s3fifo::S3Fifo;
use crate::sync::AtomicU64;

/// Which entry leaves when there is no room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Policy {
    /// The one that was least recently used, in the whole cache and exactly.
    #[default]
    Lru,
    /// The one that S3-FIFO chooses (Yang et al., SOSP '23): what is used only once leaves early, whatever
    /// comes between. It keeps up to 64 bytes more an entry, for
    /// the hashes of keys that have left, which are not charged.
    S3Fifo,
}

impl Policy {
    /// Notes a use of the entry with this access word; `tick` gives the time.
    pub(crate) fn hit(self, access: &AccessWord, tick: impl FnOnce() -> u64) {
        match self {
            Self::Lru => Lru::hit(access, tick),
            Self::S3Fifo => S3Fifo::hit(access, tick),
        }
    }

    /// The queue whose turn it is to give way, with so many entries in the small queues of all shards and in the cache.
    pub(crate) fn turn(self, small: impl FnOnce() -> u64, all: impl FnOnce() -> u64) -> Queue {
        match self {
            Self::S3Fifo if small() * s3fifo::SMALL_PART >= all() => Queue::Small,
            Self::Lru | Self::S3Fifo => Queue::Main,
        }
    }
}

/// What a policy notes of the uses of an entry, in the entry.
pub(crate) type AccessWord = AtomicU64;

/// What a policy sees of the entries of a shard.
pub(crate) trait Entries {
    /// The access word of the entry in a slot; `None` if the entry is gone.
    fn access(&self, slot: u32) -> Option<&AccessWord>;

    /// Asks for the entry in a slot to be brought into the processor's cache.
    fn prefetch(&self, slot: u32);

    /// Takes a slot back that is in no queue any more.
    fn free(&mut self, slot: u32);

    /// Takes a slot back if its entry is gone, and says whether it did.
    fn free_if_gone(&mut self, slot: u32) -> bool {
        let is_gone = self.access(slot).is_none();
        if is_gone {
            self.free(slot);
        }
        is_gone
    }
}

/// The order of one shard's slots. Each slot that was inserted is in one queue until the policy frees it.
pub(crate) trait Evict: Default {
    /// As [`Policy::hit`].
    fn hit(access: &AccessWord, tick: impl FnOnce() -> u64);

    /// Takes in a new entry of a key of this hash. Ticks rise from call to call.
    fn insert(&mut self, slot: u32, hash: u64, access: &AccessWord, tick: u64);

    /// Counts an entry out; its slot stays in its queue.
    fn remove(&mut self, slot: u32);

    /// Finds the entry of a queue that is to go first, if it came there no later than `limit`.
    ///
    /// Each entry that was used since the queue saw it is placed again and costs one of `put_backs`. `shard` is the
    /// number of this one, and `tick` gives the time for what is placed again.
    fn victim(
        &mut self,
        queue: Queue,
        limit: u64,
        put_backs: &mut PutBacks,
        shard: usize,
        entries: &mut impl Entries,
        tick: impl Fn() -> u64,
    ) -> Victim;

    /// Learns that the victim that was found in a queue is evicted, a key of this hash.
    fn evicted(&mut self, queue: Queue, hash: u64);

    /// Frees some slots of which the entries are gone.
    fn compact(&mut self, entries: &mut impl Entries);

    /// A tick before which no entry came to a queue; `None` where there is no such queue.
    fn lower_bound(&self, queue: Queue) -> Option<u64>;

    /// Entries of the small queue, where there is one.
    fn small_len(&self) -> Option<usize>;

    /// Recounts the queues and returns all that is in them. `is_held` says whether a slot holds an entry.
    #[cfg(any(test, feature = "validate"))]
    fn validate(&self, is_held: impl Fn(u32) -> bool) -> Vec<(u64, u32)>;
}

/// What [`Evict::victim`] found.
pub(crate) enum Victim {
    /// The entry that is to go is in this slot.
    Found(u32),
    /// Another shard, or another queue, may hold it.
    Elsewhere,
    /// Everything that came up was used, and no more of it may be placed again.
    Spent,
    /// There is none.
    Empty,
}

/// What one search for a victim may still place again, and what of it would be the least loss.
pub(crate) struct PutBacks {
    left: u32,
    /// How much it was used, its shard, its slot, and its access word then.
    least: Option<(u64, usize, u32, u64)>,
}

impl PutBacks {
    pub(crate) fn new(most: u32) -> Self {
        Self { left: most, least: None }
    }

    fn are_spent(&self) -> bool {
        self.left == 0
    }

    /// Counts an entry that is placed again.
    fn count(&mut self, use_: u64, shard: usize, slot: u32, access: u64) {
        self.left -= 1;
        if self.least.is_none_or(|(least, ..)| use_ < least) {
            self.least = Some((use_, shard, slot, access));
        }
    }

    /// The shard, the slot and the access word of what was used least.
    pub(crate) fn least(&mut self) -> Option<(usize, u32, u64)> {
        self.least.take().map(|(_, shard, slot, access)| (shard, slot, access))
    }
}

/// Which queue a victim is looked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queue {
    /// The only one of an LRU, the main one of S3-FIFO.
    Main,
    /// The small one of S3-FIFO.
    Small,
}

/// The order of one shard under the policy of its cache.
pub(crate) enum Order {
    Lru(Lru),
    S3Fifo(Box<S3Fifo>),
}

/// Calls the method of the policy.
macro_rules! of {
    ($order:expr, $policy:ident => $call:expr) => {
        match $order {
            Order::Lru($policy) => $call,
            Order::S3Fifo($policy) => $call,
        }
    };
}

/// The methods of [`Evict`].
impl Order {
    pub(crate) fn new(policy: Policy) -> Self {
        match policy {
            Policy::Lru => Self::Lru(Lru::default()),
            Policy::S3Fifo => Self::S3Fifo(Box::default()),
        }
    }

    pub(crate) fn insert(&mut self, slot: u32, hash: u64, access: &AccessWord, tick: u64) {
        of!(self, policy => policy.insert(slot, hash, access, tick));
    }

    pub(crate) fn remove(&mut self, slot: u32) {
        of!(self, policy => policy.remove(slot));
    }

    pub(crate) fn victim(
        &mut self,
        queue: Queue,
        limit: u64,
        put_backs: &mut PutBacks,
        shard: usize,
        entries: &mut impl Entries,
        tick: impl Fn() -> u64,
    ) -> Victim {
        of!(self, policy => policy.victim(queue, limit, put_backs, shard, entries, tick))
    }

    pub(crate) fn evicted(&mut self, queue: Queue, hash: u64) {
        of!(self, policy => policy.evicted(queue, hash));
    }

    pub(crate) fn compact(&mut self, entries: &mut impl Entries) {
        of!(self, policy => policy.compact(entries));
    }

    pub(crate) fn lower_bound(&self, queue: Queue) -> Option<u64> {
        of!(self, policy => policy.lower_bound(queue))
    }

    pub(crate) fn small_len(&self) -> Option<usize> {
        of!(self, policy => policy.small_len())
    }

    #[cfg(any(test, feature = "validate"))]
    pub(crate) fn validate(&self, is_held: impl Fn(u32) -> bool) -> Vec<(u64, u32)> {
        of!(self, policy => policy.validate(is_held))
    }
}
