//! A bounded, concurrent cache of byte strings.
//!
//! [`Cache`] keeps entries in a [`DashMap`](dashmap::DashMap), bounds them by count and by bytes, evicts
//! the least recently used one of the *whole* cache, expires entries to the millisecond, and refuses
//! values whose load began before an invalidation (see [`Cache::fence`]).
//!
//! ```
//! use sark_cache_core::{Cache, InsertOptions, Key, Options, Value};
//!
//! let cache = Cache::new(Options { max_entries: Some(1_000), ..Options::default() })?;
//! cache.insert(Key::from("alice:read"), Value::from("allow"), InsertOptions::ttl_ms(30_000))?;
//! let hit = cache.get(Key::from("alice:read")).expect("just inserted");
//! assert_eq!(hit.value(), b"allow");
//! # Ok::<(), sark_cache_core::Error>(())
//! ```

mod cache;
mod coherence;
mod error;
mod key;
mod namespaces;
mod options;
mod policy;
mod shard;
mod stats;
mod sync;
mod time;

pub use cache::Cache;
pub use cache::insert::Inserted;
pub use cache::maintenance::{Cursor, Purge};
pub use coherence::follow::{ChangeName, Follow, Moment};
pub use coherence::leases::Claim;
pub use coherence::version_table::{Stamp, VersionTable};
pub use error::Error;
pub use key::{Key, MAX_NAMESPACES, MAX_TAGS, Space, Value};
pub use options::{InsertOptions, Options};
pub use policy::Policy;
pub use shard::entry::{ENTRY_OVERHEAD, EntryRef};
pub use stats::Stats;
pub use time::clock::{Clock, ManualClock, MonotonicClock, ToldClock};
pub use time::coarse_clock;
