//! Insertions.

use crate::cache::{Cache, deadline};
use crate::error::Error;
use crate::key::{Key, MAX_TAGS, Value};
use crate::options::InsertOptions;
use crate::shard::Shard;
use crate::shard::bounds::{Bound, Reservation};
use crate::shard::entry::{ENTRY_OVERHEAD, EntryRef, Overwrite, Parts};
use crate::shard::locks::Shards;
use crate::stats::Event;
use crate::sync::Ordering;
use crate::sync::thread_slot::ThreadSlot;
use crate::time::clock::Clock;

/// The bytes of the largest entry that is overwritten in its place. It is locked while it is, for readers too,
/// so that a copy of more is made beforehand.
const IN_PLACE: u64 = 1_024;

/// Tags up to which a write asks the allocator for nothing but its entry.
const FEW_TAGS: usize = 8;

/// The numbers of the tags of a write.
struct TagNumbers {
    few: [u32; FEW_TAGS],
    many: Vec<u32>,
    count: usize,
}

impl TagNumbers {
    fn new(tags: &[Key<'_>], number: impl Fn(Key<'_>) -> u32) -> Self {
        let mut numbers = Self { few: [0; FEW_TAGS], many: Vec::new(), count: tags.len() };
        if tags.len() > FEW_TAGS {
            numbers.many = tags.iter().map(|&tag| number(tag)).collect();
        } else {
            for (place, &tag) in numbers.few.iter_mut().zip(tags) {
                *place = number(tag);
            }
        }
        numbers
    }

    fn all(&self) -> &[u32] {
        if self.count > FEW_TAGS { &self.many } else { &self.few[..self.count] }
    }
}

/// What became of a value given to [`Cache::insert`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Inserted {
    /// It is in the cache.
    Stored,
    /// It was larger than one entry may be. What was under its key is removed.
    TooLarge,
    /// Its key or one of its tags changed after its fence. Nothing was changed.
    Fenced,
    /// Its TTL was 0. What was under its key is removed.
    Expired,
    /// There is a readable value, and it was to be stored only if there is none. Nothing was changed.
    Present,
}

/// A value on its way into the cache.
struct Insertion<'a> {
    hash: u64,
    parts: Parts<'a>,
    /// What its entry will be charged.
    size: u64,
    fence: Option<u64>,
    if_absent: bool,
    now: u64,
    thread: ThreadSlot,
}

impl<C: Clock> Cache<C> {
    /// Stores `value` under `key`, making room where the bounds ask for it.
    ///
    /// # Errors
    /// [`Error::TooManyTags`] or [`Error::OutOfMemory`]; the cache is then as it was.
    pub fn insert(
        &self,
        key: Key<'_>,
        value: Value<'_>,
        options: InsertOptions<'_>,
    ) -> Result<Inserted, Error> {
        if options.tags.len() > MAX_TAGS {
            return Err(Error::TooManyTags);
        }
        let tags = TagNumbers::new(options.tags, |tag| self.tag_number(tag));
        let insertion = self.insertion(key, value, tags.all(), &options);
        if insertion.parts.ttl == 0 {
            return Ok(self.remove_instead(&insertion, Inserted::Expired, None));
        }
        if !self.bounds.admits(insertion.size) {
            return Ok(self.remove_instead(&insertion, Inserted::TooLarge, Some(Event::Reject)));
        }
        let Insertion { hash, ref parts, size, now, thread, .. } = insertion;
        let mut entry = if size > IN_PLACE { Some(EntryRef::new(parts)?) } else { None };
        let mut reservation = Reservation::new(&self.bounds);
        self.make_room_for_new(&insertion, &mut entry, &mut reservation)?;
        loop {
            let mut shard = self.shards.lock(Shards::of(hash));
            let old = self.table.find(hash, key);
            if let Some(refusal) = self.refusal(&insertion, old.as_ref()) {
                return Ok(refusal);
            }
            if let Err(bound) = reserve(size, old.as_ref(), &mut reservation) {
                if let Some(old) = &old {
                    // It is about to be the newest entry, so the room must come from others.
                    self.used(old, thread);
                }
                drop(shard);
                if entry.is_none() {
                    entry = Some(EntryRef::new(parts)?);
                }
                self.evict(bound, now, &mut reservation);
                continue;
            }
            self.store(&insertion, &mut shard, old, entry, &mut reservation)?;
            self.count(key.space, thread, Event::Set);
            self.expire_some(&mut shard, now);
            return Ok(Inserted::Stored);
        }
    }

    fn insertion<'a>(
        &self,
        key: Key<'a>,
        value: Value<'a>,
        tags: &'a [u32],
        options: &InsertOptions<'_>,
    ) -> Insertion<'a> {
        let hash = self.table.hash(key);
        let ttl = self.ttl_kept(options.ttl_ms.or(self.default_ttl_ms).unwrap_or(u64::MAX));
        let now = self.now_for(ttl);
        let grace = if ttl == u64::MAX { 0 } else { options.grace_ms };
        let parts = Parts { key, value, tags, deadline: deadline(now, ttl, grace), grace, ttl };
        let size = (key.bytes.len() as u64)
            .saturating_add(value.bytes.len() as u64)
            .saturating_add(4 * parts.charged_words() as u64 + ENTRY_OVERHEAD);
        let InsertOptions { fence, if_absent, .. } = *options;
        Insertion { hash, parts, size, fence, if_absent, now, thread: ThreadSlot::current() }
    }

    /// Evicts for a new key before its shard is locked: in a full cache it needs room in any case.
    fn make_room_for_new(
        &self,
        insertion: &Insertion<'_>,
        entry: &mut Option<EntryRef>,
        reservation: &mut Reservation<'_>,
    ) -> Result<(), Error> {
        let Insertion { hash, ref parts, size, now, .. } = *insertion;
        if let Some(bound) = self.bounds.obstacle(size)
            && self.table.find(hash, parts.key).is_none()
        {
            if entry.is_none() {
                // Nothing is evicted for an entry that there is no memory for.
                *entry = Some(EntryRef::new(parts)?);
            }
            self.evict(bound, now, reservation);
        }
        Ok(())
    }

    /// Why the value is not stored over `old`, if it is not. The caller has the shard locked.
    fn refusal(&self, insertion: &Insertion<'_>, old: Option<&EntryRef>) -> Option<Inserted> {
        let Insertion { hash, parts: Parts { key, tags, .. }, fence, if_absent, thread, .. } = *insertion;
        let lease = self.follow.take();
        if if_absent && old.is_some_and(|old| self.is_readable(old, lease)) {
            return Some(Inserted::Present);
        }
        let written = old.map(EntryRef::written);
        if fence.is_some_and(|fence| !self.permits_write(key.space, fence, hash, written, tags)) {
            self.count(key.space, thread, Event::Fence);
            return Some(Inserted::Fenced);
        }
        None
    }

    /// Puts the value under its key, where `old` is, with the room that is reserved for it.
    fn store(
        &self,
        insertion: &Insertion<'_>,
        shard: &mut Shard,
        old: Option<EntryRef>,
        entry: Option<EntryRef>,
        reservation: &mut Reservation<'_>,
    ) -> Result<(), Error> {
        let Insertion { hash, parts, size, now, thread, .. } = *insertion;
        if let Some(old) = old {
            let from = old.charge();
            let written = self.fence.write();
            self.count_overwritten(&old, now);
            let new = Overwrite { parts, fence: insertion.fence.unwrap_or(written), written };
            self.rewrite(shard, hash, old, entry, &new, now)?;
            reservation.use_bytes(size.saturating_sub(from));
            self.bounds.shrunk(from, size);
            if size > from && self.bounds.is_filling_with_bytes() {
                self.version_table().count_pressure();
            }
        } else {
            let entry = entry.map_or_else(|| EntryRef::new(&parts), Ok)?;
            let written = self.fence.write();
            entry.set_sequences(insertion.fence.unwrap_or(written), written);
            self.table.insert(hash, entry.clone());
            shard.link(entry, hash, self.access_clock.next(thread), now);
            self.namespaces.entered(parts.key.space, size);
            reservation.use_entry(size);
            if self.bounds.is_filling() {
                self.version_table().count_pressure();
            }
        }
        Ok(())
    }

    /// Puts what `new` says, or the entry that was made of it, in the place of `old`, as the most recently used one.
    /// `old` is the only reference beside those of the table and the shard that the caller has.
    pub(super) fn rewrite(
        &self,
        shard: &mut Shard,
        hash: u64,
        old: EntryRef,
        entry: Option<EntryRef>,
        new: &Overwrite<'_>,
        now: u64,
    ) -> Result<(), Error> {
        let (slot, from, access) = (old.slot(), old.charge(), old.access().load(Ordering::Relaxed));
        let (space, was_cleared) = (old.space(), self.namespaces.is_cleared(&old));
        drop(old);
        if entry.is_none() && self.table.overwrite(hash, shard.entry_mut(slot), new) {
            shard.rewritten(slot, from, now);
        } else {
            let entry = entry.map_or_else(|| EntryRef::new(&new.parts), Ok)?;
            entry.set_sequences(new.fence, new.written);
            entry.access().store(access, Ordering::Relaxed);
            self.table.replace(hash, shard.entry(slot), entry.clone());
            shard.relink(slot, entry, now);
        }
        self.used(shard.entry(slot), ThreadSlot::current());
        self.namespaces.overwritten(space, was_cleared, from, shard.entry(slot).charge());
        Ok(())
    }

    /// Counts an entry that had expired when it was overwritten.
    fn count_overwritten(&self, old: &EntryRef, now: u64) {
        if old.fresh_until() <= now && !self.namespaces.is_cleared(old) {
            self.count(old.space(), ThreadSlot::current(), Event::Expire);
        }
    }

    /// Does for a value that cannot be stored what storing it would have done to the one before it.
    fn remove_instead(&self, insertion: &Insertion<'_>, outcome: Inserted, event: Option<Event>) -> Inserted {
        let Insertion { hash, parts: Parts { key, .. }, thread, .. } = *insertion;
        let mut shard = self.shards.lock(Shards::of(hash));
        let old = self.table.find(hash, key);
        if let Some(refusal) = self.refusal(insertion, old.as_ref()) {
            return refusal;
        }
        self.fence.remove_key(hash);
        if let Some(old) = old {
            self.remove_slot(&mut shard, old.slot(), hash, self.removal(&old));
        }
        if let Some(event) = event {
            self.count(key.space, thread, event);
        }
        outcome
    }
}

/// Makes sure of room for an entry of `size` bytes over `old`, or says which bound forbids it.
fn reserve(size: u64, old: Option<&EntryRef>, reservation: &mut Reservation<'_>) -> Result<(), Bound> {
    match old {
        Some(old) => reservation.reserve_bytes(size.saturating_sub(old.charge())),
        None => reservation.reserve_entry(size),
    }
}
