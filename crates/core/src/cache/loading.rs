//! What loads of values need: fences, leases, and the invalidation of tags.

use crate::cache::Cache;
use crate::coherence::fence::Fence;
use crate::coherence::leases::{self, Claim};
use crate::error::Error;
use crate::key::{Key, MAX_TAGS, Space};
use crate::time::clock::Clock;

impl<C: Clock> Cache<C> {
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
    pub(super) fn permits_write(
        &self,
        space: Space,
        fence: u64,
        hash: u64,
        written: Option<u64>,
        tags: &[u32],
    ) -> bool {
        self.namespaces.cleared(space) <= fence && self.fence.permits(fence, hash, written, tags)
    }

    fn tag_numbers(&self, tags: &[Key<'_>]) -> Vec<u32> {
        tags.iter().map(|&tag| self.tag_number(tag)).collect()
    }

    /// Tags are those of the whole cache.
    pub(super) fn tag_number(&self, tag: Key<'_>) -> u32 {
        Fence::tag(self.table.hash(tag.of(Space::ROOT)))
    }

    /// Makes every entry that carries `tag` unreadable, in constant time. Entries whose load began before
    /// are refused from now on. Where more other tags than a fifth of the cache's entries were invalidated since an
    /// entry was last read, it may be lost with them. The memory is freed as entries are read, overwritten or evicted.
    pub fn invalidate_tag(&self, tag: Key<'_>) {
        self.fence.invalidate_tag(self.tag_number(tag));
    }
}
