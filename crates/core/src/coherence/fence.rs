//! The fence: which keys and tags changed after a given moment.
//!
//! Time is a sequence number that every change advances. An entry knows when it was written; for keys without
//! an entry, a striped table remembers the sequence of the last change, and for tags [`Invalidations`] do. Keys that
//! share a stripe share its number, so a value may be refused without need, and none is ever accepted that
//! had to be refused.
//!
//! Changes are published with `SeqCst`: once the call that makes one has returned, every thread sees it.

use std::sync::Arc;

use crossbeam_utils::CachePadded;

use crate::coherence::tags::{Invalidations, STEP};
use crate::coherence::version_table::VersionTable;
use crate::coherence::words::{Run, Words};
use crate::sync::{AtomicU64, Mutex, Ordering};

/// Stripes of a large cache (512 KiB, of which only touched pages are resident).
const MAX_STRIPES: usize = 1 << 16;
const MIN_STRIPES: usize = 1 << 10;
/// Words of the version table: 128 KiB, little enough to stay in a processor's cache beside what is read with it. Keys
/// that share one only cost each other's copies a call that decodes nothing.
const MAX_CELLS: usize = 1 << 14;

/// A fence that lies further back than this says nothing any more; entries keep the distance in 32 bits.
const MOST_CHANGES: u64 = 1 << 31;

/// What every change and every fence is measured by.
#[derive(Default)]
struct Head {
    /// The sequence number of the latest change.
    sequence: CachePadded<AtomicU64>,
    /// The sequence of the last `clear`.
    cleared: AtomicU64,
}

pub(crate) struct Fence {
    /// One.
    head: Run<Head>,
    keys: Run<AtomicU64>,
    tags: Invalidations,
    /// Where threads see that an entry they copied has changed, and whether any tag has.
    versions: Arc<VersionTable>,
    /// Held by whoever writes the number of the last invalidation.
    invalidating: Mutex<()>,
}

impl Fence {
    /// Tables that suit a cache of up to `max` entries.
    pub(crate) fn new(max: usize, words: &Words) -> Self {
        let stripes = max.clamp(MIN_STRIPES, MAX_STRIPES).next_power_of_two();
        Self::with_sizes(stripes, Invalidations::lines_for(max), words)
    }

    fn with_sizes(stripes: usize, lines: usize, words: &Words) -> Self {
        Self {
            head: words.run(1),
            keys: words.run(stripes),
            tags: Invalidations::new(lines, words),
            versions: Arc::new(VersionTable::new(stripes.min(MAX_CELLS), words)),
            invalidating: Mutex::new(()),
        }
    }

    fn head(&self) -> &Head {
        &self.head[0]
    }

    pub(crate) fn version_table(&self) -> &Arc<VersionTable> {
        &self.versions
    }

    /// The stripe of a hash. The middle bits: the table takes its segment and its place from both ends.
    fn stripe(&self, hash: u64) -> usize {
        (hash >> 20) as usize & (self.keys.len() - 1)
    }

    /// The number under which a tag of this hash is stored in an entry.
    pub(crate) fn tag(hash: u64) -> u32 {
        u32::try_from(hash >> 16 & u64::from(u32::MAX)).unwrap_or_else(|_| unreachable!("32 bits"))
    }

    pub(crate) fn now(&self) -> u64 {
        self.head().sequence.load(Ordering::SeqCst)
    }

    fn advance(&self) -> u64 {
        self.head().sequence.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The sequence number of a change that leaves an entry behind, which remembers it.
    pub(crate) fn write(&self) -> u64 {
        self.advance()
    }

    /// Records that the key of this hash was removed.
    pub(crate) fn remove_key(&self, hash: u64) {
        self.keys[self.stripe(hash)].fetch_max(self.advance(), Ordering::SeqCst);
    }

    /// Keeps in mind that the key of this hash was written at `sequence`, when the entry that knew it goes.
    pub(crate) fn remember(&self, hash: u64, sequence: u64) {
        let stripe = &self.keys[self.stripe(hash)];
        // Most of the time a later change of another key stands there.
        if stripe.load(Ordering::SeqCst) < sequence {
            stripe.fetch_max(sequence, Ordering::SeqCst);
        }
    }

    /// Records the invalidation of a tag. One at a time: in the version table it is under way from its first store to
    /// its last, and no copy that is looked at in between is taken for good.
    pub(crate) fn invalidate_tag(&self, tag: u32) {
        let alone = self.invalidating.lock();
        // The only multiple among the numbers that this draws.
        let sequence = (self.head().sequence.fetch_add(STEP, Ordering::SeqCst) + STEP) / STEP * STEP;
        self.versions.begin_invalidation(sequence);
        self.tags.record(tag, sequence);
        self.versions.end_invalidation(sequence);
        drop(alone);
    }

    /// Records that everything was removed. The caller has everything locked.
    pub(crate) fn clear(&self) {
        let alone = self.invalidating.lock();
        let sequence = self.advance();
        self.head().cleared.store(sequence, Ordering::SeqCst);
        self.versions.end_invalidation(sequence);
        drop(alone);
    }

    /// Records that a namespace was cleared, whose number is `cleared`. The caller has all shards locked. As for a
    /// tag, no copy that is looked at meanwhile is taken for good.
    pub(crate) fn clear_space(&self, cleared: &AtomicU64) {
        let alone = self.invalidating.lock();
        let sequence = self.advance();
        self.versions.begin_invalidation(sequence);
        cleared.store(sequence, Ordering::SeqCst);
        self.versions.end_invalidation(sequence);
        drop(alone);
    }

    /// Whether a value as fresh as `fence` may still be stored under the key of this hash, whose entry was
    /// written at `written`, if there is one, with these tags. A fence from the future is that of another
    /// cache, and says nothing.
    pub(crate) fn permits(&self, fence: u64, hash: u64, written: Option<u64>, tags: &[u32]) -> bool {
        let now = self.now();
        fence <= now
            && now - fence < MOST_CHANGES
            && written.is_none_or(|written| written <= fence)
            && self.head().cleared.load(Ordering::SeqCst) <= fence
            && self.keys[self.stripe(hash)].load(Ordering::SeqCst) <= fence
            && self.tags_unchanged(fence, tags)
    }

    /// Whether none of the tags was invalidated after `fence`.
    pub(crate) fn tags_unchanged(&self, fence: u64, tags: &[u32]) -> bool {
        self.tags_unchanged_until(fence, tags).is_some()
    }

    /// If none of the tags was invalidated after `fence`: the number of a later change up to which that is known, or
    /// `fence`.
    pub(crate) fn tags_unchanged_until(&self, fence: u64, tags: &[u32]) -> Option<u64> {
        if tags.is_empty() {
            return Some(fence);
        }
        // Before the tags are looked at: what was invalidated by then is found.
        let latest = self.versions.invalidation();
        if VersionTable::is_quiet_since(latest, fence) {
            return Some(fence);
        }
        let is_unchanged = tags.iter().all(|&tag| self.tags.is_unchanged(tag, fence));
        is_unchanged.then(|| fence.max(VersionTable::latest_done(latest)))
    }

    /// The bytes of all tables.
    #[cfg(all(test, not(loom)))]
    fn bytes(&self) -> usize {
        size_of_val(&*self.keys) + self.tags.bytes() + size_of_val(self.versions.words())
    }
}

#[cfg(all(test, not(loom)))]
mod sizes {
    use super::*;

    #[test]
    fn the_tables_follow_the_size_of_the_cache() {
        assert!(Fence::new(1_000, &Words::on_heap()).bytes() <= 64 << 10);
        assert!(Fence::new(1, &Words::on_heap()).bytes() <= 64 << 10);
        assert!(Fence::new(usize::MAX, &Words::on_heap()).bytes() <= 3 << 20);
    }
}

#[cfg(all(test, loom))]
mod tests {
    use loom::sync::atomic::{AtomicBool, AtomicU64};
    use loom::sync::{Arc, Mutex};
    use loom::thread;

    use super::*;
    use crate::coherence::version_table::Stamp;

    fn fence() -> Arc<Fence> {
        Arc::new(Fence::with_sizes(1, 1, &Words::on_heap()))
    }

    /// A load that began before an invalidation returned is not served after it, whenever it is stored.
    #[test]
    fn what_was_loaded_before_an_invalidation_is_not_read_after_it() {
        loom::model(|| {
            let (fence, truth) = (fence(), Arc::new(AtomicU64::new(0)));
            let changer = {
                let (fence, truth) = (Arc::clone(&fence), Arc::clone(&truth));
                thread::spawn(move || {
                    truth.store(1, Ordering::SeqCst);
                    fence.invalidate_tag(0);
                })
            };
            let begun = fence.now();
            let loaded = truth.load(Ordering::SeqCst);
            let stored = fence.permits(begun, 0, None, &[0]);
            changer.join().unwrap();
            let readable = stored && fence.tags_unchanged(begun, &[0]);
            assert!(!(readable && loaded == 0));
        });
    }

    /// The same for the removal of a key, under the lock of its shard.
    #[test]
    fn what_was_loaded_before_a_removal_is_not_stored_after_it() {
        loom::model(|| {
            let (fence, truth) = (fence(), Arc::new(AtomicU64::new(0)));
            let shard = Arc::new(Mutex::new(None));
            let changer = {
                let (fence, truth, shard) = (Arc::clone(&fence), Arc::clone(&truth), Arc::clone(&shard));
                thread::spawn(move || {
                    truth.store(1, Ordering::SeqCst);
                    let mut shard = shard.lock().unwrap();
                    fence.remove_key(0);
                    *shard = None;
                })
            };
            let begun = fence.now();
            let loaded = truth.load(Ordering::SeqCst);
            {
                let mut shard = shard.lock().unwrap();
                if fence.permits(begun, 0, None, &[]) {
                    *shard = Some(loaded);
                }
            }
            changer.join().unwrap();
            assert_ne!(*shard.lock().unwrap(), Some(0));
        });
    }

    /// A copy is not served once an invalidation returned, nor once anybody has seen it.
    #[test]
    fn a_copy_does_not_outlive_an_invalidation_that_somebody_saw() {
        loom::model(|| {
            let (fence, done) = (fence(), Arc::new(AtomicBool::new(false)));
            let changer = {
                let (fence, done) = (Arc::clone(&fence), Arc::clone(&done));
                thread::spawn(move || {
                    fence.invalidate_tag(0);
                    done.store(true, Ordering::Release);
                })
            };
            // An entry stored at the beginning, read and copied.
            let stamp = Stamp::of_invalidation(fence.version_table().invalidation());
            let copied = fence.tags_unchanged(0, &[0]);
            let was_done = done.load(Ordering::Acquire);
            let gone = !fence.tags_unchanged(0, &[0]);
            let served = copied && fence.version_table().invalidation() == stamp;
            assert!(!(served && (was_done || gone)));
            changer.join().unwrap();
        });
    }

    /// An invalidation is not forgotten while that of another tag takes its place.
    #[test]
    fn what_was_invalidated_stays_so_when_its_place_is_taken() {
        loom::model(|| {
            let fence = fence();
            for tag in 0..7 {
                fence.invalidate_tag(tag);
            }
            let changer = {
                let fence = Arc::clone(&fence);
                thread::spawn(move || fence.invalidate_tag(7))
            };
            assert!(!fence.tags_unchanged(0, &[0]));
            changer.join().unwrap();
            assert!(!fence.tags_unchanged(0, &[0]));
        });
    }

    /// What an entry remembers of its tags leaves out no invalidation, not even one that is under way.
    #[test]
    fn what_is_known_of_tags_leaves_out_no_invalidation() {
        loom::model(|| {
            let fence = fence();
            fence.invalidate_tag(1);
            let changer = {
                let fence = Arc::clone(&fence);
                thread::spawn(move || fence.invalidate_tag(0))
            };
            let known = fence.tags_unchanged_until(0, &[0]);
            changer.join().unwrap();
            assert!(known.is_none_or(|known| !fence.tags_unchanged(known, &[0])));
        });
    }

    /// The same for the clearing of a namespace, as it is seen without a lock.
    #[test]
    fn a_copy_does_not_outlive_a_clearing_that_somebody_saw() {
        loom::model(|| {
            let (fence, done) = (fence(), Arc::new(AtomicBool::new(false)));
            let cleared = Arc::new(AtomicU64::new(0));
            let written = fence.write();
            let changer = {
                let (fence, done, cleared) = (Arc::clone(&fence), Arc::clone(&done), Arc::clone(&cleared));
                thread::spawn(move || {
                    fence.clear_space(&cleared);
                    done.store(true, Ordering::Release);
                })
            };
            let stamp = Stamp::of_invalidation(fence.version_table().invalidation());
            let copied = written > cleared.load(Ordering::SeqCst);
            let was_done = done.load(Ordering::Acquire);
            let gone = written <= cleared.load(Ordering::SeqCst);
            let served = copied && fence.version_table().invalidation() == stamp;
            assert!(!(served && (was_done || gone)));
            changer.join().unwrap();
        });
    }

    /// The word of a cell, and of the count of changes, as JavaScript loads them.
    fn plain(fence: &Fence, word: usize) -> u64 {
        fence.version_table().words()[word].load(Ordering::Relaxed)
    }

    /// The count of changes, before anything is looked at that is to be sure as long as it stands still.
    fn count(fence: &Fence) -> u64 {
        fence.version_table().words()[VersionTable::CHANGES].load(Ordering::SeqCst)
    }

    /// What was found unchanged after the count of changes was read is not served once that count is another, or a
    /// write returned; also when a write of another key was counted after it.
    #[test]
    fn a_sure_copy_does_not_outlive_a_write() {
        loom::model(|| {
            let fence = Arc::new(Fence::with_sizes(2, 1, &Words::on_heap()));
            let done = Arc::new(AtomicBool::new(false));
            let (key, other) = (0, 1 << 20);
            let cell = fence.version_table().cell(key);
            assert_ne!(cell, fence.version_table().cell(other));
            fence.version_table().wrote(key, fence.write());
            let version = plain(&fence, cell);
            let writer = {
                let (fence, done) = (Arc::clone(&fence), Arc::clone(&done));
                thread::spawn(move || {
                    fence.version_table().wrote(key, fence.write());
                    done.store(true, Ordering::Release);
                })
            };
            let neighbour = {
                let fence = Arc::clone(&fence);
                thread::spawn(move || fence.version_table().wrote(other, fence.write()))
            };
            let seen = count(&fence);
            let sure = plain(&fence, cell) == version;
            let was_done = done.load(Ordering::Acquire);
            let served = sure && plain(&fence, VersionTable::CHANGES) == seen;
            assert!(!(served && was_done));
            writer.join().unwrap();
            neighbour.join().unwrap();
        });
    }

    /// The same for an invalidation, from its first store on: who saw the tag as invalidated sees the count changed.
    #[test]
    fn a_sure_copy_does_not_outlive_an_invalidation_that_somebody_saw() {
        loom::model(|| {
            let (fence, done) = (fence(), Arc::new(AtomicBool::new(false)));
            let changer = {
                let (fence, done) = (Arc::clone(&fence), Arc::clone(&done));
                thread::spawn(move || {
                    fence.invalidate_tag(0);
                    done.store(true, Ordering::Release);
                })
            };
            let seen = count(&fence);
            let stamp = Stamp::of_invalidation(fence.version_table().invalidation());
            let copied = fence.tags_unchanged(0, &[0]);
            let sure = copied && plain(&fence, 0) == stamp;
            let was_done = done.load(Ordering::Acquire);
            let gone = !fence.tags_unchanged(0, &[0]);
            let served = sure && plain(&fence, VersionTable::CHANGES) == seen;
            assert!(!(served && (was_done || gone)));
            changer.join().unwrap();
        });
    }

    /// A thread's own write leaves the count one further and no more only if nothing else changed since the count was
    /// what it was: what was sure of other keys still is.
    #[test]
    fn what_is_sure_of_other_keys_stays_so_over_a_write_that_is_counted_alone() {
        loom::model(|| {
            let fence = Arc::new(Fence::with_sizes(2, 1, &Words::on_heap()));
            let done = Arc::new(AtomicBool::new(false));
            let (key, own) = (0, 1 << 20);
            let cell = fence.version_table().cell(key);
            let version = plain(&fence, cell);
            let writer = {
                let (fence, done) = (Arc::clone(&fence), Arc::clone(&done));
                thread::spawn(move || {
                    fence.version_table().wrote(key, fence.write());
                    done.store(true, Ordering::Release);
                })
            };
            let seen = count(&fence);
            let mut sure = plain(&fence, cell) == version;
            fence.version_table().wrote(own, fence.write());
            let after = plain(&fence, VersionTable::CHANGES);
            sure &= after == seen + 1;
            let was_done = done.load(Ordering::Acquire);
            let served = sure && plain(&fence, VersionTable::CHANGES) == after;
            assert!(!(served && was_done));
            writer.join().unwrap();
        });
    }

    /// A copy that was made under the lock of its key is not served after a write of it returned.
    #[test]
    fn a_copy_does_not_outlive_a_write() {
        loom::model(|| {
            let (fence, done) = (fence(), Arc::new(AtomicBool::new(false)));
            let shard = Arc::new(Mutex::new(0));
            let writer = {
                let (fence, done, shard) = (Arc::clone(&fence), Arc::clone(&done), Arc::clone(&shard));
                thread::spawn(move || {
                    let written = fence.write();
                    {
                        let mut value = shard.lock().unwrap();
                        fence.version_table().wrote(0, written);
                        *value = 1;
                    }
                    done.store(true, Ordering::Release);
                })
            };
            let (copy, version) = {
                let value = shard.lock().unwrap();
                (*value, fence.version_table().version(0))
            };
            let was_done = done.load(Ordering::Acquire);
            let seen = *shard.lock().unwrap();
            let served = fence.version_table().version(0) == version;
            assert!(!(served && copy == 0 && (was_done || seen == 1)));
            writer.join().unwrap();
        });
    }
}
