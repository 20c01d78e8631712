//! The cache itself: what a caller sees of the table, the shards, the bounds and the fence.

mod copies;
mod evict;
mod fenced;
mod increment;
pub(crate) mod maintenance;
mod namespaces;
mod touch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::coherence::fence::Fence;
use crate::coherence::leases::{self, Claim, Leases};
use crate::namespaces::Namespaces;
use crate::policy::Policy;
use crate::policy::access_clock::AccessClock;
use crate::shard::bounds::{Bounds, Reservation};
use crate::shard::entry::{ENTRY_OVERHEAD, EntryRef, NEVER, Overwrite, Parts};
use crate::shard::table::Table;
use crate::shard::{Shard, Shards};
use crate::stats::{Counters, Event, Stats};
use crate::sync::thread_slot::ThreadSlot;
use crate::time::clock::{Clock, MonotonicClock};
use crate::{Error, InsertOptions, Key, MAX_TAGS, Options, Space, Value};

/// Expired entries that a write removes on the side.
const EXPIRE_PER_WRITE: u32 = 2;
/// Steps of the timer wheel that a write takes for it.
const STEPS_PER_WRITE: u32 = 8;

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

/// A bounded map from byte strings to byte strings, for any number of threads.
///
/// Reads take a segment of the table for as long as it takes to count a reference up, and no other lock.
/// Writes take one of a few shard locks. No call does work that grows with the number of entries; what
/// [`Cache::clear`] and dropping a large cache set free is returned to the allocator by a thread of its own.
pub struct Cache<C = MonotonicClock> {
    table: Table,
    shards: Shards,
    bounds: Bounds,
    fence: Fence,
    stats: Counters,
    access_clock: AccessClock,
    policy: Policy,
    clock: C,
    /// What the clock showed when the cache was made. Deadlines count from there.
    origin: u64,
    /// Whether any entry ever had a deadline, and the time bears on anything.
    is_timed: AtomicBool,
    leases: Leases,
    default_ttl_ms: Option<u64>,
    /// Whether a hit moves the deadline.
    slides: bool,
    namespaces: Namespaces,
}

impl Cache {
    /// An empty cache on the system's clock.
    ///
    /// # Errors
    /// [`Error::InvalidOption`]
    pub fn new(options: Options) -> Result<Self, Error> {
        Self::with_clock(options, MonotonicClock)
    }
}

impl<C: Clock> Cache<C> {
    /// An empty cache on the given clock.
    ///
    /// # Errors
    /// [`Error::InvalidOption`]
    #[expect(clippy::needless_pass_by_value, reason = "a cache keeps its options; callers make them for it")]
    pub fn with_clock(options: Options, clock: C) -> Result<Self, Error> {
        options.validate()?;
        let most_by_bytes = options.max_bytes.map_or(u64::MAX, |max| max / ENTRY_OVERHEAD);
        let most = options.max_entries.unwrap_or(usize::MAX);
        let most = most.min(usize::try_from(most_by_bytes).unwrap_or(usize::MAX));
        let fence = Fence::new(most);
        Ok(Self {
            table: Table::new(most, Arc::clone(fence.version_table())),
            shards: Shards::new(options.policy),
            bounds: Bounds::new(&options),
            fence,
            stats: Counters::new(),
            access_clock: AccessClock::new(most),
            policy: options.policy,
            origin: clock.now_ms(),
            clock,
            is_timed: AtomicBool::new(false),
            leases: Leases::default(),
            namespaces: Namespaces::new(),
            default_ttl_ms: options.default_ttl_ms,
            slides: options.slides,
        })
    }

    /// The ms since the cache was made.
    pub(crate) fn now(&self) -> u64 {
        self.clock.now_ms().saturating_sub(self.origin)
    }

    /// The ms since the cache was made, for a write with this TTL; 0 as long as no entry has ever had a deadline.
    pub(crate) fn now_for(&self, ttl: u64) -> u64 {
        if ttl != u64::MAX && !self.is_timed.load(Ordering::Relaxed) {
            self.is_timed.store(true, Ordering::Relaxed);
        }
        if self.is_timed.load(Ordering::Relaxed) { self.now() } else { 0 }
    }

    /// Makes an entry the most recently used one, or counts its use.
    pub(crate) fn used(&self, entry: &EntryRef, thread: ThreadSlot) {
        self.policy.hit(entry.access(), || self.access_clock.next(thread));
    }

    /// Puts the deadline of an entry that was read off, where that is how the cache is set up.
    pub(crate) fn slide(&self, entry: &EntryRef) {
        if self.slides && entry.deadline() != NEVER && entry.ttl() != u64::MAX {
            entry.extend_deadline(deadline(self.now(), entry.ttl(), entry.grace()));
        }
    }

    /// The clock is read only for entries that have a deadline.
    pub(crate) fn is_expired(&self, entry: &EntryRef) -> bool {
        entry.deadline() != NEVER && entry.deadline() <= self.now()
    }

    /// Whether the entry is expired for all but [`Cache::get_stale`].
    fn is_stale(&self, entry: &EntryRef) -> bool {
        entry.deadline() != NEVER && entry.fresh_until() <= self.now()
    }

    fn is_invalidated(&self, entry: &EntryRef) -> bool {
        let fence = entry.fence();
        let Some(known) = self.fence.tags_unchanged_until(fence, entry.tags()) else { return true };
        if known > fence {
            // The next read asks again only after another invalidation.
            entry.set_fence(known);
        }
        false
    }

    pub(crate) fn is_readable(&self, entry: &EntryRef) -> bool {
        !self.is_stale(entry) && !self.is_invalidated(entry) && !self.namespaces.is_cleared(entry)
    }

    /// What the removal of an entry by its key counts as, unless it was counted when its namespace was cleared.
    fn removal(&self, entry: &EntryRef) -> Event {
        match () {
            () if self.namespaces.is_cleared(entry) => Event::Clear,
            () if self.is_stale(entry) => Event::Expire,
            () if self.is_invalidated(entry) => Event::Invalidate,
            () => Event::Delete,
        }
    }

    /// The entry under `key` if it is valid, in its grace or not; one that is not is removed.
    fn find_valid(&self, key: Key<'_>) -> Option<EntryRef> {
        self.valid(self.table.find(self.table.hash(key), key)?)
    }

    /// The entry, just found, if it is valid, in its grace or not; one that is not is removed.
    pub(crate) fn valid(&self, entry: EntryRef) -> Option<EntryRef> {
        if self.namespaces.is_cleared(&entry) {
            self.remove_if_held(&entry, Event::Clear);
            return None;
        }
        if self.is_expired(&entry) {
            self.remove_if_held(&entry, Event::Expire);
            return None;
        }
        if self.is_invalidated(&entry) {
            self.remove_if_held(&entry, Event::Invalidate);
            return None;
        }
        Some(entry)
    }

    /// The entry under `key` if a read may be answered with it.
    pub(crate) fn find_readable(&self, key: Key<'_>) -> Option<EntryRef> {
        self.find_valid(key).filter(|entry| !self.is_in_grace(entry))
    }

    /// Whether only the grace of an entry that is not expired is left.
    pub(crate) fn is_in_grace(&self, entry: &EntryRef) -> bool {
        entry.has_grace() && self.is_stale(entry)
    }

    /// The entry under `key`, which becomes the most recently used one. Counts a hit or a miss.
    #[must_use]
    pub fn get(&self, key: Key<'_>) -> Option<EntryRef> {
        let thread = ThreadSlot::current();
        let Some(entry) = self.find_readable(key) else {
            self.count(key.space, thread, Event::Miss);
            return None;
        };
        self.used(&entry, thread);
        self.slide(&entry);
        self.count(key.space, thread, Event::Hit);
        Some(entry)
    }

    /// The entry under `key`, without a trace in recency or statistics.
    #[must_use]
    pub fn peek(&self, key: Key<'_>) -> Option<EntryRef> {
        self.find_readable(key)
    }

    /// The entry under `key` also if its TTL has passed but not its grace, and for how many ms it has been
    /// stale: 0 for one that [`Cache::peek`] would find. Leaves no trace. Never an entry that was removed or
    /// whose tags were invalidated.
    #[must_use]
    pub fn get_stale(&self, key: Key<'_>) -> Option<(EntryRef, u64)> {
        let entry = self.find_valid(key)?;
        let stale_ms = match entry.deadline() {
            NEVER => 0,
            _ => self.now().saturating_sub(entry.fresh_until()),
        };
        // At the very ms from which on it is stale it has been so for a moment.
        let stale_ms = if stale_ms == 0 && self.is_stale(&entry) { 1 } else { stale_ms };
        Some((entry, stale_ms))
    }

    /// Whether [`Cache::peek`] would find an entry.
    #[must_use]
    pub fn contains(&self, key: Key<'_>) -> bool {
        self.find_readable(key).is_some()
    }

    /// How long the entry under `key` has to live, in ms: `None` if there is no entry, `Some(None)` if it
    /// does not expire.
    #[must_use]
    pub fn remaining_ttl_ms(&self, key: Key<'_>) -> Option<Option<u64>> {
        let entry = self.find_readable(key)?;
        let expires = entry.deadline() != NEVER;
        Some(expires.then(|| entry.fresh_until().saturating_sub(self.now())))
    }

    /// Whether no more than `part` of its TTL (from 0 to 1) is left to the entry under `key`: time to load it
    /// again. `false` for one that does not expire or was stored without a TTL, and if there is no entry.
    #[must_use]
    pub fn is_due(&self, key: Key<'_>, part: f64) -> bool {
        let has_ttl = |entry: &EntryRef| entry.deadline() != NEVER && entry.ttl() != u64::MAX;
        let Some(entry) = self.find_readable(key).filter(has_ttl) else { return false };
        let left = entry.fresh_until().saturating_sub(self.now());
        #[expect(clippy::cast_precision_loss, reason = "both stay below 2^43")]
        let due = left as f64 <= entry.ttl() as f64 * part;
        due
    }

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
        let tags = tags.all();

        let hash = self.table.hash(key);
        let ttl = options.ttl_ms.or(self.default_ttl_ms).unwrap_or(u64::MAX);
        let now = self.now_for(ttl);
        let grace = if ttl == u64::MAX { 0 } else { options.grace_ms };
        let deadline = deadline(now, ttl, grace);
        let parts = Parts { key, value, tags, deadline, grace, ttl };
        let size = (key.bytes.len() as u64)
            .saturating_add(value.bytes.len() as u64)
            .saturating_add(4 * parts.charged_words() as u64 + ENTRY_OVERHEAD);
        let unfit = match () {
            () if ttl == 0 => Some((Inserted::Expired, None)),
            () if !self.bounds.admits(size) => Some((Inserted::TooLarge, Some(Event::Reject))),
            () => None,
        };
        if let Some((outcome, event)) = unfit {
            return Ok(self.remove_instead(
                hash,
                key,
                InsertOptions { tags: &[], ..options },
                tags,
                outcome,
                event,
            ));
        }
        let thread = ThreadSlot::current();
        let mut entry = if size > IN_PLACE { Some(EntryRef::new(&parts)?) } else { None };
        let mut reservation = Reservation::new(&self.bounds);
        // In a full cache a new key needs room in any case; it is made before the shard is locked.
        if let Some(bound) = self.bounds.obstacle(size)
            && self.table.find(hash, key).is_none()
        {
            if entry.is_none() {
                // Nothing is evicted for an entry that there is no memory for.
                entry = Some(EntryRef::new(&parts)?);
            }
            self.evict(bound, now, &mut reservation);
        }
        loop {
            let mut shard = self.shards.lock(Shards::of(hash));
            let old = self.table.find(hash, key);
            if options.if_absent && old.as_ref().is_some_and(|old| self.is_readable(old)) {
                return Ok(Inserted::Present);
            }
            let written = old.as_ref().map(EntryRef::written);
            if options.fence.is_some_and(|fence| !self.permits_write(key.space, fence, hash, written, tags)) {
                self.count(key.space, thread, Event::Fence);
                return Ok(Inserted::Fenced);
            }
            let from = old.as_ref().map_or(0, EntryRef::charge);
            let reserved = match &old {
                Some(_) => reservation.reserve_bytes(size.saturating_sub(from)),
                None => reservation.reserve_entry(size),
            };
            if let Err(bound) = reserved {
                if let Some(old) = &old {
                    // It is about to be the newest entry, so the room must come from others.
                    self.used(old, thread);
                }
                drop(shard);
                if entry.is_none() {
                    entry = Some(EntryRef::new(&parts)?);
                }
                self.evict(bound, now, &mut reservation);
                continue;
            }
            let entry = match (entry.take(), &old) {
                (None, None) => Some(EntryRef::new(&parts)?),
                (entry, _) => entry,
            };
            let written = self.fence.write();
            let fence = options.fence.unwrap_or(written);
            match (entry, old) {
                (Some(entry), None) => {
                    entry.set_sequences(fence, written);
                    self.table.insert(hash, entry.clone());
                    shard.link(entry, hash, self.access_clock.next(thread), now);
                    self.namespaces.entered(key.space, size);
                    reservation.use_entry(size);
                }
                (entry, Some(old)) => {
                    self.count_overwritten(&old, now);
                    let new = Overwrite { parts, fence, written };
                    self.rewrite(&mut shard, hash, old, entry, &new, now)?;
                    reservation.use_bytes(size.saturating_sub(from));
                    self.bounds.shrunk(from, size);
                }
                (None, None) => unreachable!("it was made above"),
            }
            self.count(key.space, thread, Event::Set);
            self.expire_some(&mut shard, now);
            return Ok(Inserted::Stored);
        }
    }

    /// Puts what `new` says, or the entry that was made of it, in the place of `old`, as the most recently used one.
    /// `old` is the only reference beside those of the table and the shard that the caller has.
    pub(crate) fn rewrite(
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

    /// Removes a few entries of the shard that have expired.
    pub(crate) fn expire_some(&self, shard: &mut Shard, now: u64) {
        let mut steps = STEPS_PER_WRITE;
        for _ in 0..EXPIRE_PER_WRITE {
            let Some(slot) = shard.expired(now, &mut steps) else { break };
            let hash = self.table.hash(shard.entry(slot).key());
            self.remove_slot(shard, slot, hash, Event::Expire);
        }
    }

    /// Does for a value that cannot be stored what storing it would have done to the one before it.
    fn remove_instead(
        &self,
        hash: u64,
        key: Key<'_>,
        options: InsertOptions<'_>,
        tags: &[u32],
        outcome: Inserted,
        event: Option<Event>,
    ) -> Inserted {
        let mut shard = self.shards.lock(Shards::of(hash));
        let old = self.table.find(hash, key);
        if options.if_absent && old.as_ref().is_some_and(|old| self.is_readable(old)) {
            return Inserted::Present;
        }
        let written = old.as_ref().map(EntryRef::written);
        if options.fence.is_some_and(|fence| !self.permits_write(key.space, fence, hash, written, tags)) {
            self.count(key.space, ThreadSlot::current(), Event::Fence);
            return Inserted::Fenced;
        }
        self.fence.remove_key(hash);
        if let Some(old) = old {
            self.remove_slot(&mut shard, old.slot(), hash, self.removal(&old));
        }
        if let Some(event) = event {
            self.count(key.space, ThreadSlot::current(), event);
        }
        outcome
    }

    /// Removes the entry under `key`, and says whether there was one that could have been read. Values
    /// whose load began before are refused from now on.
    pub fn remove(&self, key: Key<'_>) -> bool {
        self.take(key).is_some()
    }

    /// Removes the entry under `key` and returns it if it could have been read. Values whose load began
    /// before are refused from now on.
    #[must_use]
    pub fn take(&self, key: Key<'_>) -> Option<EntryRef> {
        let hash = self.table.hash(key);
        let mut shard = self.shards.lock(Shards::of(hash));
        self.fence.remove_key(hash);
        let entry = self.table.find(hash, key)?;
        let event = self.removal(&entry);
        self.remove_slot(&mut shard, entry.slot(), hash, event);
        (event == Event::Delete).then_some(entry)
    }

    /// The sequence number of this moment, to be taken *before* a value is loaded and given to
    /// [`Cache::insert`] with it: if the key or a tag of the value changes in between, the value is refused.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.fence.now()
    }

    /// Asks for the load of the value under `key`, which will carry `tags`. It is granted to one caller at a
    /// time: until that one has [completed](Cache::complete) it, at most `timeout_ms` long, others are told that it
    /// is taken, unless the key or a tag changed since. `owner` is any number by which
    /// [`Cache::release`] can end the leases of a caller that is gone.
    ///
    /// # Errors
    /// [`Error::TooManyTags`]
    pub fn claim(&self, key: Key<'_>, tags: &[Key<'_>], owner: u64, timeout_ms: u64) -> Result<Claim, Error> {
        if tags.len() > MAX_TAGS {
            return Err(Error::TooManyTags);
        }
        let now = self.now();
        let request = leases::Request {
            key,
            hash: self.table.hash(key),
            tags: &self.tag_numbers(tags),
            owner,
            now,
            ends: now.saturating_add(timeout_ms),
        };
        // A caller must not wait for a load that a change of its own tags has overtaken.
        let is_current = |fence: u64, tags: &[u32]| {
            self.permits_hashed(key, request.hash, fence, tags)
                && self.fence.tags_unchanged(fence, request.tags)
        };
        Ok(self.leases.claim(&request, is_current, || self.fence.now()))
    }

    /// Ends a lease that [`Cache::claim`] granted; says whether somebody was told meanwhile that it is taken.
    pub fn complete(&self, key: Key<'_>, lease: u64) -> bool {
        self.leases.complete(key, self.table.hash(key), lease)
    }

    /// Ends all leases of `owner`.
    pub fn release(&self, owner: u64) {
        self.leases.release(owner);
    }

    /// How many loads are under way, of which the time is not up.
    #[must_use]
    pub fn leases(&self) -> usize {
        self.leases.len(self.now())
    }

    /// How many leases are kept, those included whose time is up.
    #[cfg(any(test, feature = "validate"))]
    #[must_use]
    pub fn leases_kept(&self) -> usize {
        self.leases.held()
    }

    /// How many loads of values of a namespace are under way; of the whole cache for the root.
    #[must_use]
    pub fn namespace_leases(&self, space: Space) -> usize {
        if space == Space::ROOT { self.leases() } else { self.leases.len_in(space, self.now()) }
    }

    /// Whether a value whose load began at `fence` would still be accepted under `key` with these tags, and
    /// so whether a caller that comes now may share that load.
    #[must_use]
    pub fn permits(&self, key: Key<'_>, fence: u64, tags: &[Key<'_>]) -> bool {
        let hash = self.table.hash(key);
        tags.len() <= MAX_TAGS && self.permits_hashed(key, hash, fence, &self.tag_numbers(tags))
    }

    fn permits_hashed(&self, key: Key<'_>, hash: u64, fence: u64, tags: &[u32]) -> bool {
        let written = self.table.find(hash, key).map(|entry| entry.written());
        self.permits_write(key.space, fence, hash, written, tags)
    }

    /// As `Fence::permits`, for a key of a namespace.
    fn permits_write(&self, space: Space, fence: u64, hash: u64, written: Option<u64>, tags: &[u32]) -> bool {
        self.namespaces.cleared(space) <= fence && self.fence.permits(fence, hash, written, tags)
    }

    fn tag_numbers(&self, tags: &[Key<'_>]) -> Vec<u32> {
        tags.iter().map(|&tag| self.tag_number(tag)).collect()
    }

    /// Tags are those of the whole cache.
    fn tag_number(&self, tag: Key<'_>) -> u32 {
        Fence::tag(self.table.hash(tag.of(Space::ROOT)))
    }

    /// Makes every entry that carries `tag` unreadable, in constant time. Entries whose load began before
    /// are refused from now on. Where more other tags than a fifth of the cache's entries were invalidated since an
    /// entry was last read, it may be lost with them. The memory is reclaimed as entries are read, overwritten or evicted.
    pub fn invalidate_tag(&self, tag: Key<'_>) {
        self.fence.invalidate_tag(self.tag_number(tag));
    }

    /// How many entries are held. Expired ones count until they are removed.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.bounds.entries()).unwrap_or(usize::MAX)
    }

    /// Whether no entry is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes are charged for the entries held: keys, values, four a tag, and
    /// [`ENTRY_OVERHEAD`] for each.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bounds.bytes()
    }

    /// What happened so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats.read()
    }

    /// Starts the statistics from zero.
    pub fn reset_stats(&self) {
        self.stats.reset();
    }
}

/// When an entry leaves the cache.
pub(crate) fn deadline(now: u64, ttl: u64, grace: u32) -> u64 {
    now.saturating_add(ttl).saturating_add(u64::from(grace)).min(NEVER)
}

impl<C> std::fmt::Debug for Cache<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache")
            .field("entries", &self.bounds.entries())
            .field("bytes", &self.bounds.bytes())
            .finish_non_exhaustive()
    }
}
