//! The caches that are compared, each as it comes: with its own hasher, unless its name says otherwise.

use std::hash::BuildHasher;
use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use foldhash::quality::RandomState as FoldHash;
use parking_lot::Mutex;
use sark_cache_core::{Cache, InsertOptions, Options};

use crate::load::{KEY, Keys};

/// Longer than any measurement.
const TTL: Duration = Duration::from_secs(3_600);

type Bytes = Arc<[u8]>;
/// Of one owner, so nothing more is needed than for the caches that count their references to a key themselves.
type Name = Box<[u8]>;
/// mini-moka looks keys up by a reference to the key type alone; a `Box` would have to be made for each look.
type Array = [u8; KEY];

/// What is asked of every candidate.
///
/// The loops are provided methods: each candidate has its own copies, in which its calls can be inlined.
pub trait Candidate: Send + Sync {
    /// Takes out a counted reference to the value, looks at its first byte, and lets go of it.
    fn read(&self, key: &[u8]) -> bool;

    fn write(&self, key: &[u8], value: &[u8]);

    /// Does now what the candidate puts off.
    fn settle(&self) {}

    /// How many of the keys were there.
    fn reads(&self, keys: &Keys) -> usize {
        keys.iter().filter(|key| self.read(key)).count()
    }

    fn writes(&self, keys: &Keys, value: &[u8]) {
        for key in keys.iter() {
            self.write(key, value);
        }
    }

    /// Writes where `is_write` says so, and reads else.
    fn mix(&self, keys: &Keys, is_write: &[bool], value: &[u8]) {
        for (key, &is_write) in keys.iter().zip(is_write) {
            if is_write {
                self.write(key, value);
            } else {
                black_box(self.read(key));
            }
        }
    }
}

/// One of the caches that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ours,
    OursTtl,
    OursS3,
    OursS3Ttl,
    DashMap,
    DashMapFold,
    Moka,
    MokaTtl,
    MokaFold,
    MiniMoka,
    MiniMokaTtl,
    QuickCache,
    Lru,
}

impl Kind {
    pub const ALL: &[Self] = &[
        Self::Ours,
        Self::OursTtl,
        Self::OursS3,
        Self::OursS3Ttl,
        Self::DashMap,
        Self::DashMapFold,
        Self::Moka,
        Self::MokaTtl,
        Self::MokaFold,
        Self::MiniMoka,
        Self::MiniMokaTtl,
        Self::QuickCache,
        Self::Lru,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::OursTtl => "ours, TTL",
            Self::OursS3 => "ours, S3-FIFO",
            Self::OursS3Ttl => "ours, S3-FIFO, TTL",
            Self::DashMap => "DashMap",
            Self::DashMapFold => "DashMap, foldhash",
            Self::Moka => "moka",
            Self::MokaTtl => "moka, TTL",
            Self::MokaFold => "moka, foldhash",
            Self::MiniMoka => "mini-moka",
            Self::MiniMokaTtl => "mini-moka, TTL",
            Self::QuickCache => "quick_cache",
            Self::Lru => "Mutex<lru>",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Whether it removes entries by itself.
    pub fn evicts(self) -> bool {
        !matches!(self, Self::DashMap | Self::DashMapFold)
    }

    pub fn has_ttl(self) -> bool {
        self.name().ends_with("TTL")
    }

    /// An empty one that holds up to `capacity` entries.
    pub fn make(self, capacity: usize) -> Box<dyn Candidate> {
        let entries = capacity as u64;
        match self {
            Self::Ours | Self::OursTtl => Box::new(Ours::new(capacity, self.has_ttl(), false)),
            Self::OursS3 | Self::OursS3Ttl => Box::new(Ours::new(capacity, self.has_ttl(), true)),
            Self::DashMap => Box::new(DashMap::<Bytes, Bytes>::new()),
            Self::DashMapFold => {
                // As many shards as the table of ours has: what differs is what the cache does beyond the map.
                let map: DashMap<Bytes, Bytes, FoldHash> =
                    DashMap::with_hasher_and_shard_amount(FoldHash::default(), 64);
                Box::new(map)
            }
            Self::Moka => Box::new(moka::sync::Cache::<Name, Bytes>::new(entries)),
            Self::MokaTtl => {
                let cache: moka::sync::Cache<Name, Bytes> =
                    moka::sync::Cache::builder().max_capacity(entries).time_to_live(TTL).build();
                Box::new(cache)
            }
            Self::MokaFold => {
                let cache: moka::sync::Cache<Name, Bytes, FoldHash> =
                    moka::sync::Cache::builder().max_capacity(entries).build_with_hasher(FoldHash::default());
                Box::new(cache)
            }
            Self::MiniMoka => Box::new(mini_moka::sync::Cache::<Array, Bytes>::new(entries)),
            Self::MiniMokaTtl => {
                let cache: mini_moka::sync::Cache<Array, Bytes> =
                    mini_moka::sync::Cache::builder().max_capacity(entries).time_to_live(TTL).build();
                Box::new(cache)
            }
            Self::QuickCache => Box::new(quick_cache::sync::Cache::<Name, Bytes>::new(capacity)),
            Self::Lru => {
                let capacity = NonZeroUsize::new(capacity).expect("no benchmark is about an empty cache");
                Box::new(Mutex::new(lru::LruCache::<Name, Bytes>::new(capacity)))
            }
        }
    }
}

fn array(key: &[u8]) -> &Array {
    key.try_into().expect("all keys are of one length")
}

/// Looks at a value as a reader would.
fn look(value: &[u8]) -> bool {
    black_box(value.first());
    true
}

struct Ours {
    cache: Cache,
    ttl_ms: Option<u64>,
}

impl Ours {
    fn new(capacity: usize, has_ttl: bool, s3_fifo: bool) -> Self {
        let options = Options { max_entries: Some(capacity), ..Options::default() };
        let options = Options {
            policy: if s3_fifo { sark_cache_core::Policy::S3Fifo } else { sark_cache_core::Policy::Lru },
            ..options
        };
        let cache = Cache::new(options).expect("a cache of one entry or more can be made");
        Self { cache, ttl_ms: has_ttl.then_some(TTL.as_millis() as u64) }
    }
}

impl Candidate for Ours {
    fn read(&self, key: &[u8]) -> bool {
        self.cache.get(key.into()).is_some_and(|hit| look(hit.value()))
    }

    fn write(&self, key: &[u8], value: &[u8]) {
        let options = InsertOptions { ttl_ms: self.ttl_ms, ..InsertOptions::default() };
        let _ = black_box(self.cache.insert(key.into(), value.into(), options));
    }
}

impl<S: BuildHasher + Clone + Send + Sync> Candidate for DashMap<Bytes, Bytes, S> {
    fn read(&self, key: &[u8]) -> bool {
        // The clone outlives the guard: a reader cannot keep a shard locked while it uses the value.
        let value = self.get(key).map(|found| Arc::clone(found.value()));
        value.is_some_and(|value| look(&value))
    }

    fn write(&self, key: &[u8], value: &[u8]) {
        self.insert(key.into(), value.into());
    }
}

impl<S: BuildHasher + Clone + Send + Sync + 'static> Candidate for moka::sync::Cache<Name, Bytes, S> {
    fn read(&self, key: &[u8]) -> bool {
        self.get(key).is_some_and(|value| look(&value))
    }

    fn write(&self, key: &[u8], value: &[u8]) {
        self.insert(key.into(), value.into());
    }

    fn settle(&self) {
        self.run_pending_tasks();
    }
}

impl Candidate for mini_moka::sync::Cache<Array, Bytes> {
    fn read(&self, key: &[u8]) -> bool {
        self.get(array(key)).is_some_and(|value| look(&value))
    }

    fn write(&self, key: &[u8], value: &[u8]) {
        self.insert(*array(key), value.into());
    }

    fn settle(&self) {
        mini_moka::sync::ConcurrentCacheExt::sync(self);
    }
}

impl Candidate for quick_cache::sync::Cache<Name, Bytes> {
    fn read(&self, key: &[u8]) -> bool {
        self.get(key).is_some_and(|value| look(&value))
    }

    fn write(&self, key: &[u8], value: &[u8]) {
        self.insert(key.into(), value.into());
    }
}

impl Candidate for Mutex<lru::LruCache<Name, Bytes>> {
    fn read(&self, key: &[u8]) -> bool {
        let value = self.lock().get(key).cloned();
        value.is_some_and(|value| look(&value))
    }

    fn write(&self, key: &[u8], value: &[u8]) {
        // What is displaced is freed after the lock is let go of.
        let (key, value) = (key.into(), value.into());
        let displaced = self.lock().push(key, value);
        drop(displaced);
    }
}
