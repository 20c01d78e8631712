//! Who loads what: at most one load a key at a time, over all threads.
//!
//! A lease is taken together with the fence of the load that it stands for. It ends when its holder settles
//! it, when its time is up, when its holder is gone, or as soon as its key or tags change: a load that was
//! overtaken is nobody's to wait for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sync::Mutex;
use crate::{Key, Space};

const SHARDS: usize = 16;

/// A load that is under way.
struct Lease {
    number: u64,
    owner: u64,
    fence: u64,
    tags: Box<[u32]>,
    /// The ms of the cache's clock at which the lease ends by itself.
    ends: u64,
    /// Whether somebody was told to wait.
    awaited: bool,
}

/// The answer to somebody who wants to load a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Claim {
    /// The load is the caller's.
    Granted {
        /// What [`Cache::settle`](crate::Cache::settle) takes.
        lease: u64,
        /// What the value is to be inserted with.
        fence: u64,
    },
    /// Another caller is loading it.
    Taken,
}

type Name = (Box<[u8]>, u8, Space);

#[derive(Default)]
struct Shard {
    leases: HashMap<Name, Lease>,
    /// As many leases are few; of more, those that nobody will settle are looked for.
    few: usize,
}

/// Leases of a shard that are always few.
const FEW: usize = 64;

#[derive(Default)]
pub(crate) struct Leases {
    shards: [Mutex<Shard>; SHARDS],
    last: AtomicU64,
}

/// A claim and what it is made with.
pub(crate) struct Request<'a> {
    pub(crate) key: Key<'a>,
    pub(crate) hash: u64,
    pub(crate) tags: &'a [u32],
    pub(crate) owner: u64,
    pub(crate) now: u64,
    pub(crate) ends: u64,
}

fn name(key: Key<'_>) -> Name {
    (key.bytes.into(), key.domain, key.space)
}

impl Leases {
    fn shard(&self, hash: u64) -> &Mutex<Shard> {
        &self.shards[(hash >> 44) as usize % SHARDS]
    }

    /// Grants the load unless one is under way of which `is_current`, given its fence and tags, is true.
    /// `fence` is asked for the fence of a new load.
    pub(crate) fn claim(
        &self,
        request: &Request<'_>,
        is_current: impl FnOnce(u64, &[u32]) -> bool,
        fence: impl FnOnce() -> u64,
    ) -> Claim {
        let mut shard = self.shard(request.hash).lock();
        let name = name(request.key);
        if let Some(lease) = shard.leases.get_mut(&name)
            && request.now < lease.ends
            && is_current(lease.fence, &lease.tags)
        {
            lease.awaited = true;
            return Claim::Taken;
        }
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let fence = fence();
        let Request { owner, ends, tags, .. } = *request;
        if shard.leases.len() > shard.few.max(FEW) {
            shard.leases.retain(|_, lease| request.now < lease.ends);
            shard.few = 2 * shard.leases.len();
        }
        shard.leases.insert(name, Lease { number, owner, fence, tags: tags.into(), ends, awaited: false });
        Claim::Granted { lease: number, fence }
    }

    /// Ends a lease, and says whether somebody waits. One that has been taken over stays.
    pub(crate) fn settle(&self, key: Key<'_>, hash: u64, number: u64) -> bool {
        let mut shard = self.shard(hash).lock();
        let name = name(key);
        if shard.leases.get(&name).is_none_or(|lease| lease.number != number) {
            return false;
        }
        shard.leases.remove(&name).is_some_and(|lease| lease.awaited)
    }

    /// Ends all leases of an owner.
    pub(crate) fn release(&self, owner: u64) {
        for shard in &self.shards {
            shard.lock().leases.retain(|_, lease| lease.owner != owner);
        }
    }

    /// How many have not ended by `now`.
    pub(crate) fn len(&self, now: u64) -> usize {
        let under_way =
            |shard: &Mutex<Shard>| shard.lock().leases.values().filter(|lease| now < lease.ends).count();
        self.shards.iter().map(under_way).sum()
    }

    /// How many are kept, ended or not.
    #[cfg(any(test, feature = "validate"))]
    pub(crate) fn kept(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().leases.len()).sum()
    }

    /// How many are for keys of a namespace and have not ended by `now`.
    pub(crate) fn len_in(&self, space: Space, now: u64) -> usize {
        let is_one = |(name, lease): &(&Name, &Lease)| name.2 == space && now < lease.ends;
        self.shards.iter().map(|shard| shard.lock().leases.iter().filter(is_one).count()).sum()
    }
}
