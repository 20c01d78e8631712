//! Who loads what: at most one load a key at a time, over all threads.
//!
//! A lease is taken together with the fence of the load that it stands for. It ends when its holder completes
//! it, when its time is up, when its holder is gone, or as soon as its key or tags change: a load that was
//! overtaken is nobody's to wait for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::key::{Key, Space};
use crate::sync::Mutex;

const STRIPES: usize = 16;

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
        /// What [`Cache::complete`](crate::Cache::complete) takes.
        lease: u64,
        /// What the value is to be inserted with.
        fence: u64,
    },
    /// Another caller is loading it.
    Taken,
}

type Name = (Box<[u8]>, u8, Space);

#[derive(Default)]
struct Stripe {
    leases: HashMap<Name, Lease>,
    /// As many leases are few; of more, those that nobody will complete are looked for.
    few: usize,
}

/// Leases of a stripe that are always few.
const FEW: usize = 64;

#[derive(Default)]
pub(crate) struct Leases {
    stripes: [Mutex<Stripe>; STRIPES],
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
    fn stripe(&self, hash: u64) -> &Mutex<Stripe> {
        &self.stripes[(hash >> 44) as usize % STRIPES]
    }

    /// Grants the load unless one is under way of which `is_current`, given its fence and tags, is true.
    /// `fence` is asked for the fence of a new load.
    pub(crate) fn claim(
        &self,
        request: &Request<'_>,
        is_current: impl FnOnce(u64, &[u32]) -> bool,
        fence: impl FnOnce() -> u64,
    ) -> Claim {
        let mut stripe = self.stripe(request.hash).lock();
        let name = name(request.key);
        if let Some(lease) = stripe.leases.get_mut(&name)
            && request.now < lease.ends
            && is_current(lease.fence, &lease.tags)
        {
            lease.awaited = true;
            return Claim::Taken;
        }
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let fence = fence();
        let Request { owner, ends, tags, .. } = *request;
        if stripe.leases.len() > stripe.few.max(FEW) {
            stripe.leases.retain(|_, lease| request.now < lease.ends);
            stripe.few = 2 * stripe.leases.len();
        }
        stripe.leases.insert(name, Lease { number, owner, fence, tags: tags.into(), ends, awaited: false });
        Claim::Granted { lease: number, fence }
    }

    /// Ends a lease, and says whether somebody waits. One that has been taken over stays.
    pub(crate) fn complete(&self, key: Key<'_>, hash: u64, number: u64) -> bool {
        let mut stripe = self.stripe(hash).lock();
        let name = name(key);
        if stripe.leases.get(&name).is_none_or(|lease| lease.number != number) {
            return false;
        }
        stripe.leases.remove(&name).is_some_and(|lease| lease.awaited)
    }

    /// Ends all leases of an owner.
    pub(crate) fn release(&self, owner: u64) {
        for stripe in &self.stripes {
            stripe.lock().leases.retain(|_, lease| lease.owner != owner);
        }
    }

    /// How many have not ended by `now`.
    pub(crate) fn len(&self, now: u64) -> usize {
        let under_way =
            |stripe: &Mutex<Stripe>| stripe.lock().leases.values().filter(|lease| now < lease.ends).count();
        self.stripes.iter().map(under_way).sum()
    }

    /// How many are kept, ended or not.
    #[cfg(any(test, feature = "validate"))]
    pub(crate) fn held(&self) -> usize {
        self.stripes.iter().map(|stripe| stripe.lock().leases.len()).sum()
    }

    /// How many are for keys of a namespace and have not ended by `now`.
    pub(crate) fn len_in(&self, space: Space, now: u64) -> usize {
        let is_one = |(name, lease): &(&Name, &Lease)| name.2 == space && now < lease.ends;
        self.stripes.iter().map(|stripe| stripe.lock().leases.iter().filter(is_one).count()).sum()
    }
}
