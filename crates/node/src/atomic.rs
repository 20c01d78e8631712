//! The calls that read and change an entry in one step, and the time that a cache is told.

use sark_cache_core::{Error, InsertOptions, Key};

use crate::arguments::callbacks;
use crate::bulk::set_element;
use crate::clock::EngineClock;
use crate::hot::{outcome, ttl};
use crate::text::value_to_js;

callbacks! {
    /// `touch(cache, key, ttl?)`: whether there was an entry to give a new deadline.
    "touch" touch(call: 3) {
        let ttl_ms = ttl(call.optional_number(2));
        call.boolean(call.keyed(|open, key| Ok(open.cache.touch(key, ttl_ms)))?)
    }

    /// `setIfAbsent(cache, key, value, ttl?, tags?, grace?, fence?)`: as `set`; -3 where there is a readable value.
    "setIfAbsent" set_if_absent(call: 7) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
        let options = InsertOptions {
            ttl_ms: ttl(call.optional_number(3)),
            fence: call.optional_number(6).map(|fence| fence as u64),
            grace_ms: call.optional_number(5).map_or(0, |grace| grace as u32),
            tags: &[],
            if_absent: true,
        };
        // Last: nothing that could run JavaScript comes between reading the value and storing it.
        let inserted = call.with_tags(4, |tags: &[Key<'_>]| {
            let mut buffer = call.environment.value.borrow_mut();
            let value = buffer.value(call.env, call.arguments[2])?;
            let options = InsertOptions { tags, ..options };
            call.keyed(|open, key| Ok(open.cache.insert(key, value, options)?))
        })?;
        call.double(outcome(inserted))
    }

    /// `increment(cache, key, by, ttl?)`: the sum; `undefined` if the value is not a number, `null` if the sum is not
    /// finite.
    "increment" increment(call: 4) {
        let (by, ttl_ms) = (call.number(2)?, ttl(call.optional_number(3)));
        match call.keyed(|open, key| Ok(open.cache.increment(key, by, ttl_ms)))? {
            Ok(sum) => call.double(sum),
            Err(Error::NotANumber) => call.undefined(),
            Err(Error::NotFinite) => call.null(),
            Err(error) => Err(error.into()),
        }
    }

    /// `peekFenced(cache, key)`: `[value, fence]`, with which `set` compares and sets; `[undefined, fence]` without one.
    "peekFenced" peek_fenced(call: 2) {
        let (entry, fence) = call.keyed(|open, key| Ok(open.cache.peek_fenced(key)))?;
        let out = call.array(2)?;
        let value = entry.map_or_else(|| call.undefined(), |entry| value_to_js(call.env, &entry))?;
        set_element(call.env, out, 0, value)?;
        set_element(call.env, out, 1, call.count(fence)?)?;
        Ok(out)
    }

    /// `tell(cache, ms)`: says what time it is, for a cache that was opened to be told.
    "tell" tell(call: 2) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
        let ms = call.number(1)? as u64;
        call.environment.with(call.cache()?, |open| {
            if let EngineClock::Told(clock) = &open.clock {
                clock.tell(ms);
            }
            Ok(())
        })?;
        call.undefined()
    }
}
