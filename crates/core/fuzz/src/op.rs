//! The calls that bytes stand for.

use std::borrow::Cow;

use libfuzzer_sys::arbitrary::{self, Arbitrary, Unstructured};
use sark_cache_core::{ENTRY_OVERHEAD, Key, Options, Policy, Space};

/// Longer cases find nothing that shorter ones do not.
const MAX_OPS: usize = 500;

/// A cache and when its clock starts.
#[derive(Debug, Arbitrary)]
pub struct Setup {
    max_entries: Option<u8>,
    max_bytes: Option<u16>,
    max_entry_bytes: Option<u16>,
    default_ttl_ms: Option<u16>,
    is_s3_fifo: bool,
    /// 0 to 63: how many bits of `start` count.
    start_bits: u8,
    start: u64,
}

impl Setup {
    #[must_use]
    pub fn start_ms(&self) -> u64 {
        // The last ms of all stands for never.
        self.start >> (self.start_bits % 64)
    }

    #[must_use]
    pub fn options(&self) -> Options {
        let max_bytes = self.max_bytes.map(|bytes| u64::from(bytes) + 1);
        // One bound is needed, and 255 entries are more than most cases make.
        let max_entries = match self.max_entries {
            None if max_bytes.is_some() => None,
            entries => Some(usize::from(entries.unwrap_or(u8::MAX)) + 1),
        };
        let max_entry_bytes = self.max_entry_bytes.map(|bytes| ENTRY_OVERHEAD / 2 + u64::from(bytes));
        let default_ttl_ms = self.default_ttl_ms.map(|ms| u64::from(ms) + 1);
        let policy = if self.is_s3_fifo { Policy::S3Fifo } else { Policy::Lru };
        Options { max_entries, max_bytes, max_entry_bytes, default_ttl_ms, policy, ..Options::default() }
    }
}

/// A key or a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Arbitrary)]
pub enum Name<'a> {
    /// One of a few, so that calls meet.
    Few(u8),
    Any(&'a [u8], u8),
}

impl<'a> Name<'a> {
    #[must_use]
    pub fn key(&'a self) -> Key<'a> {
        const FEW: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
        match *self {
            Self::Few(number) => {
                let at = usize::from(number) % FEW.len();
                // Some of these differ in their domain only.
                Key { bytes: &FEW[at / 2 * 2..=at / 2 * 2], domain: number % 2, space: Space::ROOT }
            }
            Self::Any(bytes, domain) => Key { bytes, domain, space: Space::ROOT },
        }
    }
}

/// The bytes of a value.
#[derive(Debug, Clone, Arbitrary)]
pub enum Text<'a> {
    Bytes(&'a [u8]),
    Long { len: u16, byte: u8 },
}

impl Text<'_> {
    #[must_use]
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match *self {
            Self::Bytes(bytes) => bytes.into(),
            Self::Long { len, byte } => vec![byte; usize::from(len)].into(),
        }
    }
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Ttl {
    Default,
    Never,
    Short(u8),
    Some(u32),
    Any(u64),
}

impl Ttl {
    #[must_use]
    pub fn ms(self) -> Option<u64> {
        match self {
            Self::Default => None,
            Self::Never => Some(u64::MAX),
            Self::Short(ms) => Some(ms.into()),
            Self::Some(ms) => Some(ms.into()),
            Self::Any(ms) => Some(ms),
        }
    }
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Fence {
    None,
    /// One of those that were taken before, counted from the latest.
    Taken(u8),
    Any(u64),
}

/// A call.
#[derive(Debug, Arbitrary)]
pub enum Op<'a> {
    Insert {
        key: Name<'a>,
        text: Text<'a>,
        encoding: u8,
        ttl: Ttl,
        grace_ms: Option<u32>,
        fence: Fence,
        tags: [Option<Name<'a>>; 3],
        more_tags: u8,
    },
    Get(Name<'a>),
    Peek(Name<'a>),
    Take(Name<'a>),
    Remove(Name<'a>),
    GetStale(Name<'a>),
    Contains(Name<'a>),
    IsDue(Name<'a>, f64),
    RemainingTtl(Name<'a>),
    /// Keeps the entry beyond its time in the cache.
    Hold(Name<'a>),
    LetGo,
    Fence,
    Permits {
        key: Name<'a>,
        fence: Fence,
        tags: [Option<Name<'a>>; 2],
    },
    Purge(u16),
    Scan {
        shard: u32,
        slot: u32,
        limit: u16,
    },
    Keys,
    Clear,
    InvalidateTag(Name<'a>),
    Claim {
        key: Name<'a>,
        tags: [Option<Name<'a>>; 2],
        owner: u8,
        timeout_ms: Ttl,
    },
    Complete {
        key: Name<'a>,
        lease: Option<u64>,
    },
    Release(u8),
    Advance(u16),
    AdvanceFar(u64),
    ResetStats,
}

impl Op<'_> {
    /// The tags of an insert: those named, and for some as many more as make them too many.
    #[must_use]
    pub fn tags<'b>(tags: &'b [Option<Name<'b>>], more: u8) -> Vec<Key<'b>> {
        let mut keys: Vec<Key<'b>> = tags.iter().flatten().map(Name::key).collect();
        if more >= 240 {
            keys.resize(usize::from(more - 240), Key::from("more"));
        }
        keys
    }
}

fn until_empty<'a, T: Arbitrary<'a>>(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Vec<T>> {
    let mut all = Vec::new();
    while !bytes.is_empty() && all.len() < MAX_OPS {
        all.push(bytes.arbitrary()?);
    }
    Ok(all)
}

/// What one thread does.
#[derive(Debug)]
pub struct Case<'a> {
    pub setup: Setup,
    pub ops: Vec<Op<'a>>,
}

impl<'a> Arbitrary<'a> for Case<'a> {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self { setup: bytes.arbitrary()?, ops: until_empty(bytes)? })
    }
}

/// What two threads do at once.
#[derive(Debug)]
pub struct Pair<'a> {
    pub setup: Setup,
    pub threads: [Vec<Op<'a>>; 2],
}

impl<'a> Arbitrary<'a> for Pair<'a> {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let setup = bytes.arbitrary()?;
        let mut threads = [Vec::new(), Vec::new()];
        for (is_second, op) in until_empty::<(bool, Op<'a>)>(bytes)? {
            threads[usize::from(is_second)].push(op);
        }
        Ok(Self { setup, threads })
    }
}
