//! The calls around a load: who begins it, and what may be served meanwhile.

use sark_cache_core::Claim;

use crate::arguments::callbacks;
use crate::bulk::set_element;
use crate::clock::Cache;
use crate::environment::Opened;
use crate::text::value_to_js;

callbacks! {
    /// `claim(cache, key, timeout, tags?)`: `[lease, fence]`, or `undefined` while another load is under way.
    "claim" claim(call: 4) {
        let timeout = crate::hot::ttl(Some(call.number(2)?)).unwrap_or(0);
        let claim = call.with_tags(3, |tags| {
            let mut buffer = call.environment.key.borrow_mut();
            let key = buffer.key(call.env, call.arguments[1])?;
            let claim = |Opened { cache, owner, space }: &Opened| {
                Ok(cache.cache.claim(key.of(*space), tags, *owner, timeout)?)
            };
            call.environment.with_opened(call.cache()?, claim)
        })?;
        let Claim::Granted { lease, fence } = claim else { return call.undefined() };
        let out = call.array(2)?;
        set_element(call.env, out, 0, call.count(lease)?)?;
        set_element(call.env, out, 1, call.count(fence)?)?;
        Ok(out)
    }

    /// `settle(cache, key, lease)`: whether somebody waits for the end of this load.
    "settle" settle(call: 3) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
        let lease = call.number(2)? as u64;
        call.boolean(call.keyed(|open, key| Ok(open.cache.complete(key, lease)))?)
    }

    /// `leases(cache)`: how many loads are under way.
    "leases" leases(call: 1) {
        call.count(call.tell(Cache::namespace_leases)? as u64)
    }

    /// `getStale(cache, key)`: `[value, ms]` with the ms for which it has been stale, or `undefined`.
    "getStale" get_stale(call: 2) {
        let found = call.keyed(|open, key| Ok(open.cache.get_stale(key)))?;
        let Some((entry, stale_ms)) = found else { return call.undefined() };
        let out = call.array(2)?;
        set_element(call.env, out, 0, value_to_js(call.env, &entry)?)?;
        set_element(call.env, out, 1, call.count(stale_ms)?)?;
        Ok(out)
    }
}
