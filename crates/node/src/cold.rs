//! The calls that open, close and describe a cache.

use std::ffi::CString;
use std::ptr;
use std::sync::Arc;

use napi::sys;
use sark_cache_core::{Key, Options, Policy, Space};

use crate::arguments::{Call, as_double, callbacks};
use crate::clock::Cache;
use crate::environment::Opened;
use crate::failure::{Failure, check};
use crate::registry::{Open, Request, open_named};
use crate::text::TextBuffer;

impl<const N: usize> Call<'_, N> {
    /// A whole number of 1 or more, or `None` where there is none.
    fn limit(&self, place: usize) -> Option<u64> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast of a float saturates"
        )]
        self.optional_number(place)
            .filter(|limit| *limit >= 1.0 && limit.is_finite())
            .map(|limit| limit as u64)
    }

    fn object(&self, fields: &[(&str, f64)]) -> Result<sys::napi_value, Failure> {
        let mut out = ptr::null_mut();
        // SAFETY: `env` is the environment of the running callback.
        check(unsafe { sys::napi_create_object(self.env, &raw mut out) })?;
        for (name, value) in fields {
            let name = CString::new(*name).unwrap_or_default();
            // SAFETY: as above; `name` ends in NUL.
            check(unsafe {
                sys::napi_set_named_property(self.env, out, name.as_ptr(), self.double(*value)?)
            })?;
        }
        Ok(out)
    }

    /// Runs `body` with what is opened in argument 0 and the text in argument 1.
    pub(crate) fn named<R>(
        &self,
        body: impl FnOnce(&Opened, Key<'_>) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let mut buffer = self.environment.key.borrow_mut();
        let name = buffer.key(self.env, self.arguments[1])?;
        self.environment.with_opened(self.cache()?, |opened| body(opened, name))
    }

    /// What `body` says of the cache in argument 0, and of the namespace that it means.
    pub(crate) fn tell<R>(&self, body: impl FnOnce(&Cache, Space) -> R) -> Result<R, Failure> {
        self.environment.with_opened(self.cache()?, |opened| Ok(body(&opened.cache.cache, opened.space)))
    }
}

callbacks! {
    /// `open(name, max, maxSize, maxEntrySize, ttl, format, policy, updateAgeOnGet, isTold, tiered)`: the number of the cache.
    /// What is not a number is left to the cache; without a name the cache is this environment's alone. Of the last
    /// three, 1 is yes.
    "open" open(call: 10) {
        let request = Request {
            options: Options {
                max_entries: call.limit(1).map(|max| usize::try_from(max).unwrap_or(usize::MAX)),
                max_bytes: call.limit(2),
                max_entry_bytes: call.limit(3),
                default_ttl_ms: call.limit(4),
                policy: Policy::default(),
                slides: call.limit(7).is_some(),
                is_tiered: call.limit(9).is_some(),
            },
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
            format: call.optional_number(5).map(|format| format as u32),
            policy: call.optional_number(6).map(|policy| if policy > 0.0 { Policy::S3Fifo } else { Policy::Lru }),
            is_told: call.limit(8).is_some(),
        };
        let mut buffer = TextBuffer::new();
        let open = match buffer.read(call.env, call.arguments[0])? {
            Some((name, encoding)) => open_named((name.into(), encoding), request)?,
            None => Arc::new(Open::new(request)?),
        };
        call.count(call.environment.enter(open, Space::ROOT)?)
    }

    /// `namespace(cache, name)`: the number of a namespace of that cache, for all calls.
    "namespace" namespace(call: 2) {
        let (open, space) = call.named(|opened, name| {
            Ok((Arc::clone(&opened.cache), opened.cache.cache.namespace(name)?))
        })?;
        call.count(call.environment.enter(open, space)?)
    }

    /// `close(cache)`: whether it was open.
    "close" close(call: 1) {
        call.boolean(call.environment.leave(call.cache()?))
    }

    /// `options(cache)`: the options in force; `Infinity` where there is no limit.
    "options" options(call: 1) {
        let options = call.environment.with(call.cache()?, |open| Ok(open.options()))?;
        call.object(&options.map(|(name, value)| (name, value.map_or(f64::INFINITY, as_double))))
    }

    /// `clear(cache)`
    "clear" clear(call: 1) {
        call.tell(Cache::clear_namespace)?;
        call.undefined()
    }

    /// `size(cache)`: how many entries are held.
    "size" size(call: 1) {
        call.count(call.tell(Cache::namespace_len)? as u64)
    }

    /// `bytes(cache)`: how many bytes are charged for them.
    "bytes" bytes(call: 1) {
        call.count(call.tell(Cache::namespace_bytes)?)
    }

    /// `fence(cache)`: the sequence number of this moment.
    "fence" fence(call: 1) {
        call.count(call.tell(|cache, _| cache.fence())?)
    }

    /// `stats(cache)`: the counters.
    "stats" stats(call: 1) {
        let stats = call.tell(Cache::namespace_stats)?;
        call.object(&[
            ("hits", as_double(stats.hits)),
            ("nearHits", as_double(stats.near_hits)),
            ("misses", as_double(stats.misses)),
            ("sets", as_double(stats.sets)),
            ("deletes", as_double(stats.deletes)),
            ("cleared", as_double(stats.cleared)),
            ("evictionsByMax", as_double(stats.evictions_by_entries)),
            ("evictionsByMaxSize", as_double(stats.evictions_by_bytes)),
            ("expirations", as_double(stats.expirations)),
            ("invalidations", as_double(stats.invalidations)),
            ("rejections", as_double(stats.rejections)),
            ("fenced", as_double(stats.fenced)),
        ])
    }

    /// `resetStats(cache)`
    "resetStats" reset_stats(call: 1) {
        call.tell(Cache::reset_namespace_stats)?;
        call.undefined()
    }
}
