//! Time as the cache sees it: whole milliseconds that never go back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A monotonic clock in milliseconds.
///
/// The origin is the implementation's own; only differences count. Two calls of which the second begins
/// after the first returned must not go backwards, on whatever threads they run.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the clock's origin, rounded down.
    fn now_ms(&self) -> u64;

    /// Whether it shows the same as [`MonotonicClock`], so that copies of entries may go by the time that
    /// [`coarse_clock`](crate::time::coarse_clock) tells. Default: `false`.
    fn is_system(&self) -> bool {
        false
    }
}

/// The system's monotonic clock, counting on while the machine is suspended where the system offers that.
///
/// A decision that was good for 30 s must not come back to life after a laptop slept for an hour, so
/// Linux and Android use `CLOCK_BOOTTIME` and Apple systems `CLOCK_MONOTONIC` (which counts sleep there,
/// unlike the `CLOCK_UPTIME_RAW` behind [`std::time::Instant`]). Elsewhere it is `Instant`.
#[derive(Debug, Clone, Copy, Default)]
pub struct MonotonicClock;

#[cfg(unix)]
impl Clock for MonotonicClock {
    fn now_ms(&self) -> u64 {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        const ID: rustix::time::ClockId = rustix::time::ClockId::Boottime;
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        const ID: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
        let now = rustix::time::clock_gettime(ID);
        // Neither clock starts below zero, and `tv_nsec` is below one thousand million.
        now.tv_sec.cast_unsigned() * 1_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
    }

    fn is_system(&self) -> bool {
        true
    }
}

#[cfg(not(unix))]
impl Clock for MonotonicClock {
    fn now_ms(&self) -> u64 {
        static ORIGIN: std::sync::LazyLock<std::time::Instant> =
            std::sync::LazyLock::new(std::time::Instant::now);
        u64::try_from(ORIGIN.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn is_system(&self) -> bool {
        true
    }
}

/// A clock that stands still until it is told to move, for tests. Clones share one time.
#[derive(Debug, Clone, Default)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that shows `ms`.
    #[must_use]
    pub fn at(ms: u64) -> Self {
        Self(Arc::new(AtomicU64::new(ms)))
    }

    /// Moves the clock forward by `ms`, stopping at the largest time there is.
    pub fn advance(&self, ms: u64) {
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| Some(now.saturating_add(ms)));
    }
}

/// A clock that shows what it was last told, and never goes back. Clones share one time.
#[derive(Debug, Clone, Default)]
pub struct ToldClock(Arc<AtomicU64>);

impl ToldClock {
    /// Says what time it is, in ms. What is earlier than the time that it shows changes nothing.
    pub fn tell(&self, ms: u64) {
        self.0.fetch_max(ms, Ordering::SeqCst);
    }
}

impl Clock for ToldClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}
