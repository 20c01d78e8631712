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

mod bounds;
mod cache;
mod clock;
mod entry;
mod error;
mod evict;
mod fenced;
mod invalidations;
mod key;
mod lanes;
mod leases;
mod life;
mod near;
mod number;
mod options;
mod packed;
pub mod pulse;
mod recency;
mod reclaim;
mod s3fifo;
mod slab;
mod spaces;
mod stats;
mod stripe;
mod sync;
mod table;
mod ticks;
mod touch;
mod versions;
mod wheel;

pub use bounds::ENTRY_OVERHEAD;
pub use cache::{Cache, Inserted};
pub use clock::{Clock, ManualClock, MonotonicClock, ToldClock};
pub use entry::EntryRef;
pub use error::Error;
pub use key::{Key, Value};
pub use leases::Claim;
pub use near::{Board, Sighting};
pub use options::{InsertOptions, MAX_TAGS, Options, Policy};
pub use reclaim::{Cursor, Purge};
pub use spaces::{MAX_NAMESPACES, Space};
pub use stats::Stats;
