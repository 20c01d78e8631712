//! The atomics and locks of the parts that `loom` and `shuttle` explore; those of the standard library and of
//! `parking_lot` otherwise.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, fence};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::fence;
#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64};

#[cfg(not(loom))]
pub(crate) use parking_lot::Mutex;

pub(crate) use std::sync::atomic::Ordering;
