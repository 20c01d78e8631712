//! The caches of the process: which are open under which name.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;
use sark_cache_core::{Options, Policy};

use crate::clock::{Cache, EngineClock};
use crate::counters::Groups;
use crate::failure::Failure;
use crate::peers::{FALLBACK, NATIVE};
use crate::text::{LATIN1, UTF16};

/// The bound of a cache for which none was given.
const DEFAULT_MAX_ENTRIES: usize = 10_000;

/// What a cache is opened with. What is `None` was left to the cache.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Request {
    pub(crate) options: Options,
    /// How the TypeScript side encodes values, which all threads must agree on.
    pub(crate) format: Option<u32>,
    pub(crate) policy: Option<Policy>,
    /// Whether JavaScript says what time it is, with `tell`.
    pub(crate) is_told: bool,
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
    pub(crate) clock: EngineClock,
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
        let clock = EngineClock::new(request.is_told);
        let cache = Cache::with_clock(request.options.clone(), clock.clone())?;
        Ok(Self { cache, clock, groups: Groups::default(), request })
    }

    /// The options in force, by the names that JavaScript knows them by.
    pub(crate) fn options(&self) -> [(&'static str, Option<u64>); 8] {
        let Request { options, format, policy, .. } = &self.request;
        [
            ("max", options.max_entries.map(|max| max as u64)),
            ("maxSize", options.max_bytes),
            ("maxEntrySize", options.max_entry_bytes),
            ("ttl", options.default_ttl_ms),
            ("serializer", format.map(u64::from)),
            ("policy", policy.map(policy_number)),
            ("updateAgeOnGet", Some(u64::from(options.slides))),
            ("tiered", Some(u64::from(options.is_tiered))),
        ]
    }
}

/// A name as the bytes and the encoding of its text.
pub(crate) type Name = (Box<[u8]>, u8);

/// The name that JavaScript has as these units.
pub(crate) fn name_of(units: &[u16]) -> Name {
    let narrow: Option<Box<[u8]>> = units.iter().map(|&unit| u8::try_from(unit).ok()).collect();
    match narrow {
        Some(bytes) => (bytes, LATIN1),
        None => (units.iter().flat_map(|unit| unit.to_ne_bytes()).collect(), UTF16),
    }
}

/// The units of a name.
pub(crate) fn units_of((bytes, encoding): &Name) -> Vec<u16> {
    if *encoding == LATIN1 {
        return bytes.iter().copied().map(u16::from).collect();
    }
    bytes.chunks_exact(2).map(|unit| u16::from_ne_bytes([unit[0], unit[1]])).collect()
}

/// Which names are open.
#[derive(Default)]
struct Names {
    /// Caches, as long as some environment has them open.
    open: HashMap<Name, Weak<Open>>,
    /// In how many environments the fallback engine has a name open.
    fallback: HashMap<Name, usize>,
}

static NAMES: LazyLock<Mutex<Names>> = LazyLock::new(Mutex::default);

/// The cache of this name: the one that is open, as it was opened first, or a new one. Whether the two agree
/// is for the caller to see.
pub(crate) fn open_named(name: Name, request: Request) -> Result<Arc<Open>, Failure> {
    let named = &mut NAMES.lock().open;
    if let Some(open) = named.get(&name).and_then(Weak::upgrade) {
        return Ok(open);
    }
    let open = Arc::new(Open::new(request)?);
    named.retain(|_, other| other.strong_count() > 0);
    named.insert(name, Arc::downgrade(&open));
    Ok(open)
}

/// On which engines a name is open: [`NATIVE`] and [`FALLBACK`], or neither.
pub(crate) fn engines_of(name: &Name) -> u32 {
    let names = NAMES.lock();
    let native = names.open.get(name).is_some_and(|open| open.strong_count() > 0);
    let fallback = names.fallback.contains_key(name);
    (if native { NATIVE } else { 0 }) | (if fallback { FALLBACK } else { 0 })
}

/// Notes that the fallback engine has a name open in one environment more.
pub(crate) fn reserve(name: Name) {
    *NAMES.lock().fallback.entry(name).or_default() += 1;
}

/// Notes that it has it open in one fewer.
pub(crate) fn unreserve(name: &Name) {
    let fallback = &mut NAMES.lock().fallback;
    if let Some(count) = fallback.get_mut(name) {
        *count -= 1;
        if *count == 0 {
            fallback.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_its_units_are_one() {
        for text in ["", "sessions", "\u{ff}", "сессии", "\u{1f512}"] {
            let units: Vec<u16> = text.encode_utf16().collect();
            assert_eq!(units_of(&name_of(&units)), units);
        }
        assert_eq!(units_of(&name_of(&[0xD800])), [0xD800]);
    }
}
