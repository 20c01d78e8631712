//! The time of a cache: that of the system, or what JavaScript says that it is.

use sark_cache_core::{Clock, MonotonicClock, ToldClock};

/// A cache as the binding opens them.
pub(crate) type Cache = sark_cache_core::Cache<EngineClock>;

/// Where a cache takes its time from.
#[derive(Debug, Clone)]
pub(crate) enum EngineClock {
    System,
    Told(ToldClock),
}

impl EngineClock {
    pub(crate) fn new(is_told: bool) -> Self {
        if is_told { Self::Told(ToldClock::default()) } else { Self::System }
    }
}

impl Clock for EngineClock {
    fn now_ms(&self) -> u64 {
        match self {
            Self::System => MonotonicClock.now_ms(),
            Self::Told(clock) => clock.now_ms(),
        }
    }

    fn is_system(&self) -> bool {
        matches!(self, Self::System)
    }
}
