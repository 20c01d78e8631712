//! The calls on one key.

use napi::sys;
use sark_cache_core::{EntryRef, InsertOptions, Inserted, Key, MAX_TAGS, Space};

use crate::arguments::{Call, as_double, callbacks};
use crate::failure::Failure;
use crate::registry::Open;
use crate::text::{TextBuffer, value_to_js};

/// Tags up to which a call reads them without asking the allocator.
const FEW_TAGS: usize = 8;

impl<const N: usize> Call<'_, N> {
    /// Runs `body` with the cache in argument 0 and the key in argument 1, in the namespace that argument 0 means.
    pub(crate) fn keyed<R>(
        &self,
        body: impl FnOnce(&Open, Key<'_>) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let mut buffer = self.environment.key.borrow_mut();
        let key = buffer.key(self.env, self.arguments[1])?;
        self.environment.with_opened(self.cache()?, |opened| body(&opened.cache, key.of(opened.space)))
    }

    /// Runs `body` with the texts of the array of tags at `place`; with none, if it is `undefined`.
    pub(crate) fn with_tags<R>(
        &self,
        place: usize,
        body: impl FnOnce(&[Key<'_>]) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let (env, array) = (self.env, self.arguments[place]);
        if self.is_undefined(place)? {
            return body(&[]);
        }
        let count = crate::bulk::length(env, array)?;
        if count > MAX_TAGS {
            return Err(sark_cache_core::Error::TooManyTags.into());
        }
        if count > FEW_TAGS {
            return self.with_many_tags(array, count, body);
        }
        let mut buffers = [const { TextBuffer::new() }; FEW_TAGS];
        let mut tags = [Key { bytes: &[], domain: 0, space: Space::ROOT }; FEW_TAGS];
        for (index, (buffer, tag)) in buffers.iter_mut().zip(&mut tags).enumerate().take(count) {
            *tag = buffer.key(env, crate::bulk::element(env, array, index)?)?;
        }
        body(&tags[..count])
    }

    /// As `with_tags`, for any number of them. Their texts lie one behind the other.
    #[cold]
    fn with_many_tags<R>(
        &self,
        array: sys::napi_value,
        count: usize,
        body: impl FnOnce(&[Key<'_>]) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let mut buffer = TextBuffer::new();
        let (mut texts, mut ends) = (Vec::new(), Vec::with_capacity(count));
        for index in 0..count {
            let tag = buffer.key(self.env, crate::bulk::element(self.env, array, index)?)?;
            texts.try_reserve(tag.bytes.len()).map_err(|_| sark_cache_core::Error::OutOfMemory)?;
            texts.extend_from_slice(tag.bytes);
            ends.push((texts.len(), tag.domain));
        }
        let mut start = 0;
        let tags: Vec<Key<'_>> = ends
            .into_iter()
            .map(|(end, domain)| {
                let bytes = &texts[start..end];
                start = end;
                Key { bytes, domain, space: Space::ROOT }
            })
            .collect();
        body(&tags)
    }

    /// The value of an entry, or `undefined`.
    fn found(&self, entry: Option<EntryRef>) -> Result<sys::napi_value, Failure> {
        entry.map_or_else(|| self.undefined(), |entry| value_to_js(self.env, &entry))
    }
}

/// A TTL in ms as the core takes it: rounded up, so that no value lives shorter than was asked for; `None`
/// for one that is not a positive number or zero.
pub(crate) fn ttl(ms: Option<f64>) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of a float saturates"
    )]
    ms.filter(|ms| *ms >= 0.0).map(|ms| ms.ceil() as u64)
}

/// What JavaScript is told about an insertion.
pub(crate) fn outcome(inserted: Inserted) -> f64 {
    match inserted {
        Inserted::Stored => 1.0,
        Inserted::Expired => 0.0,
        Inserted::TooLarge => -1.0,
        Inserted::Fenced => -2.0,
        Inserted::Present => -3.0,
    }
}

callbacks! {
    /// `get(cache, key)`: the value or `undefined`.
    "get" get(call: 2) {
        call.found(call.keyed(|open, key| Ok(open.cache.get(key)))?)
    }

    /// `peek(cache, key)`: the value or `undefined`, leaving no trace.
    "peek" peek(call: 2) {
        call.found(call.keyed(|open, key| Ok(open.cache.peek(key)))?)
    }

    /// `take(cache, key)`: the value, which is removed, or `undefined`.
    "take" take(call: 2) {
        call.found(call.keyed(|open, key| Ok(open.cache.take(key)))?)
    }

    /// `has(cache, key)`
    "has" has(call: 2) {
        call.boolean(call.keyed(|open, key| Ok(open.cache.contains(key)))?)
    }

    /// `delete(cache, key)`: whether there was a value.
    "delete" delete(call: 2) {
        call.boolean(call.keyed(|open, key| Ok(open.cache.remove(key)))?)
    }

    /// `remainingTtl(cache, key)`: ms, `Infinity` for an entry that does not expire, 0 for no entry.
    "remainingTtl" remaining_ttl(call: 2) {
        let remaining = call.keyed(|open, key| Ok(open.cache.remaining_ttl_ms(key)))?;
        call.double(match remaining {
            None => 0.0,
            Some(None) => f64::INFINITY,
            Some(Some(ms)) => as_double(ms),
        })
    }

    /// `set(cache, key, value, ttl?, fence?, tags?, grace?)`: 1 for stored, 0 for a TTL of 0, -1 for too
    /// large, -2 for refused by the fence.
    "set" set(call: 7) {
        // Most calls have no more than a TTL.
        let more = call.count_of_arguments > 4;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
        let options = InsertOptions {
            ttl_ms: ttl(call.optional_number(3)),
            fence: if more { call.optional_number(4).map(|fence| fence as u64) } else { None },
            grace_ms: if more { call.optional_number(6).map_or(0, |grace| grace as u32) } else { 0 },
            tags: &[],
            if_absent: false,
        };
        // Last: nothing that could run JavaScript comes between reading the value and storing it.
        let insert = |tags: &[Key<'_>]| {
            let mut buffer = call.environment.value.borrow_mut();
            let value = buffer.value(call.env, call.arguments[2])?;
            let options = InsertOptions { tags, ..options };
            call.keyed(|open, key| Ok(open.cache.insert(key, value, options)?))
        };
        let inserted = if more { call.with_tags(5, insert) } else { insert(&[]) }?;
        call.double(outcome(inserted))
    }

    /// `isDue(cache, key, part)`: whether no more than that part of its TTL is left to an entry.
    "isDue" is_due(call: 3) {
        let part = call.number(2)?;
        call.boolean(call.keyed(|open, key| Ok(open.cache.is_due(key, part)))?)
    }

    /// `permits(cache, key, fence, tags?)`: whether a load begun at `fence` may still be shared and stored.
    "permits" permits(call: 4) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
        let fence = call.number(2)? as u64;
        let permitted =
            call.with_tags(3, |tags| call.keyed(|open, key| Ok(open.cache.permits(key, fence, tags))))?;
        call.boolean(permitted)
    }

    /// `invalidateTag(cache, tag)`
    "invalidateTag" invalidate_tag(call: 2) {
        call.keyed(|open, tag| {
            open.cache.invalidate_tag(tag);
            Ok(())
        })?;
        call.undefined()
    }
}
