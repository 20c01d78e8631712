//! What the process holds: as the system sees it, and as its allocator does.

#![expect(unsafe_code, reason = "an allocator is unsafe by its nature")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
static REQUESTED: AtomicU64 = AtomicU64::new(0);
static USABLE: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, which counts after [`count`] was called; before, it costs a look at one flag.
struct Counting;

#[cfg(target_os = "linux")]
fn usable(block: *mut u8, _size: usize) -> u64 {
    unsafe extern "C" {
        fn malloc_usable_size(block: *mut u8) -> usize;
    }
    // SAFETY: `block` is null or came from the system's allocator and was not freed yet.
    unsafe { malloc_usable_size(block) as u64 }
}

#[cfg(not(target_os = "linux"))]
fn usable(_block: *mut u8, size: usize) -> u64 {
    size as u64
}

fn came(block: *mut u8, size: usize) {
    if COUNTS.load(Ordering::Relaxed) && !block.is_null() {
        REQUESTED.fetch_add(size as u64, Ordering::Relaxed);
        USABLE.fetch_add(usable(block, size), Ordering::Relaxed);
    }
}

fn goes(block: *mut u8, size: usize) {
    if COUNTS.load(Ordering::Relaxed) {
        REQUESTED.fetch_sub(size as u64, Ordering::Relaxed);
        USABLE.fetch_sub(usable(block, size), Ordering::Relaxed);
    }
}

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised by the caller.
        let block = unsafe { System.alloc(layout) };
        came(block, layout.size());
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as promised by the caller.
        let block = unsafe { System.alloc_zeroed(layout) };
        came(block, layout.size());
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        goes(block, layout.size());
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        goes(block, layout.size());
        // SAFETY: as promised by the caller.
        let moved = unsafe { System.realloc(block, layout, size) };
        if moved.is_null() {
            came(block, layout.size());
        } else {
            came(moved, size);
        }
        moved
    }
}

/// Bytes in use.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Asked of the allocator.
    pub requested: u64,
    /// Set aside by the allocator for that (`malloc_usable_size`; its headers come on top).
    pub usable: u64,
    /// Resident in memory, of the whole process; 0 where `/proc` is not there.
    pub resident: u64,
}

/// Counts from now on. What was allocated before must live until the end.
pub fn count() {
    COUNTS.store(true, Ordering::Relaxed);
}

pub fn usage() -> Usage {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok())
        .unwrap_or(0);
    Usage {
        requested: REQUESTED.load(Ordering::Relaxed),
        usable: USABLE.load(Ordering::Relaxed),
        resident: pages * rustix::param::page_size() as u64,
    }
}
