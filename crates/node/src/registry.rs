//! The caches of the process: which are open under which name.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;
use sark_cache_core::{Cache, Options, Policy};

use crate::counters::Groups;
use crate::failure::Failure;

/// The bound of a cache for which none was given.
const DEFAULT_MAX_ENTRIES: usize = 10_000;

/// What a cache is opened with. What is `None` was left to the cache.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Request {
    pub(crate) options: Options,
    /// How the TypeScript side encodes values, which all threads must agree on.
    pub(crate) format: Option<u32>,
    pub(crate) policy: Option<Policy>,
}

/// The number by which JavaScript knows a policy.
fn policy_number(policy: Policy) -> u64 {
    match policy {
        Policy::Lru => 0,
        Policy::S3Fifo => 1,
    }
}

/// An open cache and what it was opened with.
pub(crate) struct Open {
    pub(crate) cache: Cache,
    pub(crate) groups: Groups,
    request: Request,
}

impl Open {
    pub(crate) fn new(mut request: Request) -> Result<Self, Failure> {
        let options = &mut request.options;
        if options.max_entries.is_none() && options.max_bytes.is_none() {
            options.max_entries = Some(DEFAULT_MAX_ENTRIES);
        }
        request.format.get_or_insert(0);
        options.policy = *request.policy.get_or_insert_default();
        Ok(Self { cache: Cache::new(request.options.clone())?, groups: Groups::default(), request })
    }

    /// The options in force, by the names that JavaScript knows them by.
    pub(crate) fn options(&self) -> [(&'static str, Option<u64>); 6] {
        let Request { options, format, policy } = &self.request;
        [
            ("max", options.max_entries.map(|max| max as u64)),
            ("maxSize", options.max_bytes),
            ("maxEntrySize", options.max_entry_bytes),
            ("ttl", options.default_ttl_ms),
            ("serializer", format.map(u64::from)),
            ("policy", policy.map(policy_number)),
        ]
    }
}

/// A name as the bytes and the encoding of its text.
pub(crate) type Name = (Box<[u8]>, u8);

/// Named caches, as long as some environment has them open.
static NAMED: LazyLock<Mutex<HashMap<Name, Weak<Open>>>> = LazyLock::new(Mutex::default);

/// The cache of this name: the one that is open, as it was opened first, or a new one. Whether the two agree
/// is for the caller to see.
pub(crate) fn open_named(name: Name, request: Request) -> Result<Arc<Open>, Failure> {
    let mut named = NAMED.lock();
    if let Some(open) = named.get(&name).and_then(Weak::upgrade) {
        return Ok(open);
    }
    let open = Arc::new(Open::new(request)?);
    named.retain(|_, other| other.strong_count() > 0);
    named.insert(name, Arc::downgrade(&open));
    Ok(open)
}
