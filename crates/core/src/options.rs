use crate::error::Error;
use crate::key::Key;
use crate::policy::Policy;

/// How a [`Cache`](crate::Cache) is bounded, and what leaves it first.
///
/// At least one of `max_entries` and `max_bytes` is needed: a cache without a bound is a leak.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The most entries held at any instant; 1 or more.
    pub max_entries: Option<usize>,
    /// The most bytes held at any instant, charged as [`ENTRY_OVERHEAD`](crate::ENTRY_OVERHEAD) says.
    pub max_bytes: Option<u64>,
    /// The most bytes charged for one entry; a larger one is refused. Default: `max_bytes`.
    pub max_entry_bytes: Option<u64>,
    /// The TTL in ms of an entry inserted without one. Default: entries do not expire. 1 or more.
    pub default_ttl_ms: Option<u64>,
    /// Which entry leaves when there is no room. Expired ones always leave first.
    pub policy: Policy,
    /// Whether the TTL of an entry runs from its last [`get`](crate::Cache::get) rather than from its insertion.
    /// Default: `false`.
    pub slides: bool,
    /// Whether there is a second tier, so that reads are answered only while the lease of [`Cache::follow`] is held: at
    /// first it is not. Every entry has a deadline then, 30 days ahead at most. Default: `false`.
    ///
    /// [`Cache::follow`]: crate::Cache::follow
    pub is_tiered: bool,
}

impl Options {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let zero = |value: Option<u64>| value == Some(0);
        if self.max_entries.is_none() && self.max_bytes.is_none() {
            return Err(Error::InvalidOption("one of max_entries and max_bytes is needed"));
        }
        if self.max_entries == Some(0) {
            return Err(Error::InvalidOption("max_entries must be 1 or more"));
        }
        if zero(self.max_bytes) {
            return Err(Error::InvalidOption("max_bytes must be 1 or more"));
        }
        if zero(self.max_entry_bytes) {
            return Err(Error::InvalidOption("max_entry_bytes must be 1 or more"));
        }
        if zero(self.default_ttl_ms) {
            return Err(Error::InvalidOption("default_ttl_ms must be 1 or more"));
        }
        Ok(())
    }
}

/// How one value is stored.
#[derive(Debug, Clone, Copy, Default)]
pub struct InsertOptions<'a> {
    /// The TTL in ms. `None` takes the cache's default, `Some(u64::MAX)` never expires, and `Some(0)`
    /// stores nothing and removes what was there.
    pub ttl_ms: Option<u64>,
    /// For how many ms after its TTL the value may still be read with
    /// [`Cache::get_stale`](crate::Cache::get_stale); every other call takes it for expired. At most
    /// `u32::MAX`, seven weeks.
    pub grace_ms: u32,
    /// The sequence number from [`Cache::fence`](crate::Cache::fence) taken before the value was loaded.
    /// The value is refused if its key or one of its tags changed after that.
    pub fence: Option<u64>,
    /// Whether the value is stored only where there is no readable one. Default: `false`.
    pub if_absent: bool,
    /// Up to [`MAX_TAGS`](crate::MAX_TAGS) names under which [`Cache::invalidate_tag`](crate::Cache::invalidate_tag) finds
    /// the entry.
    pub tags: &'a [Key<'a>],
}

impl InsertOptions<'_> {
    /// Options with a TTL of `ms` and nothing else.
    #[must_use]
    pub fn ttl_ms(ms: u64) -> Self {
        Self { ttl_ms: Some(ms), ..Self::default() }
    }
}
