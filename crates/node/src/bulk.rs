//! The calls on many keys, each in one crossing.

use std::ptr;

use napi::sys;
use sark_cache_core::{Cursor, InsertOptions};

use crate::arguments::{Call, as_double, callbacks, number};
use crate::environment::Opened;
use crate::failure::{Failure, check};
use crate::hot::{outcome, ttl};
use crate::registry::Open;
use crate::text::{key_to_js, value_to_js};

/// Elements handled before the handles that Node-API made for them are let go.
const SCOPE: usize = 256;

pub(crate) fn is_array(env: sys::napi_env, value: sys::napi_value) -> Result<bool, Failure> {
    let mut yes = false;
    // SAFETY: `env` and `value` are those of the running callback.
    check(unsafe { sys::napi_is_array(env, value, &raw mut yes) })?;
    Ok(yes)
}

pub(crate) fn length(env: sys::napi_env, array: sys::napi_value) -> Result<usize, Failure> {
    let mut length = 0;
    // SAFETY: `env` and `array` are those of the running callback.
    let status = unsafe { sys::napi_get_array_length(env, array, &raw mut length) };
    if status == sys::Status::napi_array_expected {
        return Err(Failure::wrong_type("an array is expected"));
    }
    check(status)?;
    Ok(length as usize)
}

pub(crate) fn element(
    env: sys::napi_env,
    array: sys::napi_value,
    index: usize,
) -> Result<sys::napi_value, Failure> {
    let mut out = ptr::null_mut();
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    // SAFETY: `env` and `array` are those of the running callback.
    check(unsafe { sys::napi_get_element(env, array, index, &raw mut out) })?;
    Ok(out)
}

pub(crate) fn set_element(
    env: sys::napi_env,
    array: sys::napi_value,
    index: usize,
    value: sys::napi_value,
) -> Result<(), Failure> {
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    // SAFETY: `env`, `array` and `value` are those of the running callback.
    check(unsafe { sys::napi_set_element(env, array, index, value) })
}

/// An open handle scope. It is closed also when a panic passes through, for Node ends the process otherwise.
struct Scope {
    env: sys::napi_env,
    scope: sys::napi_handle_scope,
}

impl Scope {
    fn open(env: sys::napi_env) -> Result<Self, Failure> {
        let mut scope = ptr::null_mut();
        // SAFETY: `env` is the environment of the running callback; the scope is closed when this goes.
        check(unsafe { sys::napi_open_handle_scope(env, &raw mut scope) })?;
        Ok(Self { env, scope })
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        // SAFETY: `open` opened it, and scopes are closed in the reverse order since they are locals; nothing
        // that was made in it is used after it.
        unsafe { sys::napi_close_handle_scope(self.env, self.scope) };
    }
}

/// Runs `body` for each of `count` elements, letting go of handles from time to time.
pub(crate) fn each(
    env: sys::napi_env,
    count: usize,
    mut body: impl FnMut(usize) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for start in (0..count).step_by(SCOPE) {
        let _scope = Scope::open(env)?;
        (start..count.min(start + SCOPE)).try_for_each(&mut body)?;
    }
    Ok(())
}

impl<const N: usize> Call<'_, N> {
    pub(crate) fn array(&self, length: usize) -> Result<sys::napi_value, Failure> {
        let mut out = ptr::null_mut();
        // SAFETY: `env` is the environment of the running callback.
        check(unsafe { sys::napi_create_array_with_length(self.env, length, &raw mut out) })?;
        Ok(out)
    }

    /// An array of what `body` makes of each key in the array at argument 1.
    fn map_keys(
        &self,
        mut body: impl FnMut(&Open, sark_cache_core::Key<'_>, usize) -> Result<sys::napi_value, Failure>,
    ) -> Result<sys::napi_value, Failure> {
        let keys = self.arguments[1];
        let count = length(self.env, keys)?;
        let out = self.array(count)?;
        self.environment.with_opened(self.cache()?, |opened| {
            each(self.env, count, |index| {
                let key = element(self.env, keys, index)?;
                let mut buffer = self.environment.key.borrow_mut();
                let key = buffer.key(self.env, key)?;
                set_element(self.env, out, index, body(&opened.cache, key.of(opened.space), index)?)
            })
        })?;
        Ok(out)
    }
}

callbacks! {
    /// `getMany(cache, keys)`: values, `undefined` where there is none.
    "getMany" get_many(call: 2) {
        call.map_keys(|open, key, _| match open.cache.get(key) {
            Some(entry) => value_to_js(call.env, &entry),
            None => call.undefined(),
        })
    }

    /// `hasMany(cache, keys)`
    "hasMany" has_many(call: 2) {
        call.map_keys(|open, key, _| call.boolean(open.cache.contains(key)))
    }

    /// `deleteMany(cache, keys)`
    "deleteMany" delete_many(call: 2) {
        call.map_keys(|open, key, _| call.boolean(open.cache.remove(key)))
    }

    /// `setMany(cache, keys, values, ttls)`: what `set` returns, for each; `ttls` is one TTL for all, or an
    /// array. The TypeScript side has checked every key and value before.
    "setMany" set_many(call: 4) {
        let (env, values, ttls) = (call.env, call.arguments[2], call.arguments[3]);
        let own_ttls = is_array(env, ttls)?;
        let one_ttl = ttl(call.optional_number(3));
        call.map_keys(|open, key, index| {
            let ttl_ms = if own_ttls { ttl(number(env, element(env, ttls, index)?)) } else { one_ttl };
            let value = element(env, values, index)?;
            // Last: nothing that could run JavaScript comes between reading the value and storing it.
            let mut buffer = call.environment.value.borrow_mut();
            let value = buffer.value(env, value)?;
            let options = InsertOptions { ttl_ms, ..InsertOptions::default() };
            call.double(outcome(open.cache.insert(key, value, options)?))
        })
    }

    /// `scan(cache, shard, slot, limit)`: `[shard, slot, key, key, …]`, where a shard of -1 says that the
    /// walk is over.
    "scan" scan(call: 4) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
        let cursor = Cursor { shard: call.number(1)? as u32, slot: call.number(2)? as u32 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
        let limit = call.number(3)? as usize;
        let scan = |opened: &Opened| Ok(opened.cache.cache.scan_namespace(opened.space, cursor, limit));
        let (entries, next) = call.environment.with_opened(call.cache()?, scan)?;
        let out = call.array(2 + entries.len())?;
        let (shard, slot) = next.map_or((-1.0, 0.0), |next| (f64::from(next.shard), f64::from(next.slot)));
        set_element(call.env, out, 0, call.double(shard)?)?;
        set_element(call.env, out, 1, call.double(slot)?)?;
        each(call.env, entries.len(), |index| {
            set_element(call.env, out, 2 + index, key_to_js(call.env, &entries[index])?)
        })?;
        Ok(out)
    }

    /// `purge(cache, budget)`, of the whole cache: how many expired entries were removed, as a negative number minus one where
    /// more are left.
    "purge" purge(call: 2) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
        let budget = call.number(1)? as usize;
        let purge = call.environment.with(call.cache()?, |open| Ok(open.cache.purge_expired(budget)))?;
        let removed = as_double(purge.removed as u64);
        call.double(if purge.done { removed } else { -1.0 - removed })
    }
}
