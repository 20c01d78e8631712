//! What all threads know of the changes behind a tiered cache, and the lease by which its reads are answered.

use napi::sys;
use sark_cache_core::{ChangeName, Clock, Moment};

use crate::arguments::{Call, as_double, callbacks};
use crate::bulk::{each, element, length, set_element};
use crate::failure::Failure;
use crate::text::{TextBuffer, text_to_js};

impl<const N: usize> Call<'_, N> {
    /// The whole number at a place; one that is too large is the largest there is.
    fn whole(&self, place: usize) -> Result<u64, Failure> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast of a float saturates"
        )]
        Ok(self.number(place)? as u64)
    }

    /// The texts in the array at a place.
    fn names(&self, place: usize) -> Result<Vec<ChangeName>, Failure> {
        let array = self.arguments[place];
        let count = length(self.env, array)?;
        let mut names = Vec::new();
        let mut buffer = TextBuffer::new();
        each(self.env, count, |index| {
            names.push(buffer.key(self.env, element(self.env, array, index)?)?.into());
            Ok(())
        })?;
        Ok(names)
    }

    fn moment(&self, Moment { epoch, sequence }: Moment) -> Result<sys::napi_value, Failure> {
        let out = self.array(2)?;
        set_element(self.env, out, 0, self.count(epoch)?)?;
        set_element(self.env, out, 1, self.count(sequence)?)?;
        Ok(out)
    }
}

callbacks! {
    /// `time(cache)`: the ms of this moment, also while no lease is held.
    "time" time(call: 1) {
        call.count(call.environment.with(call.cache()?, |open| Ok(open.clock.now_ms()))?)
    }

    /// `extend(cache, epoch, until)`: whether the epoch is the one that was seen last, so that reads are answered up to
    /// that ms, or a later one.
    "extend" extend(call: 3) {
        let (epoch, until) = (call.whole(1)?, call.whole(2)?);
        call.boolean(call.tell(|cache, _| cache.follow().extend(epoch, until))?)
    }

    /// `suspend(cache)`
    "suspend" suspend(call: 1) {
        call.tell(|cache, _| cache.follow().suspend())?;
        call.undefined()
    }

    /// `heldUntil(cache)`: the ms up to which reads are answered; `Infinity` for ever.
    "heldUntil" held_until(call: 1) {
        let until = call.tell(|cache, _| cache.follow().held_until())?;
        call.double(if until == u64::MAX { f64::INFINITY } else { as_double(until) })
    }

    /// `seen(cache)`: `[epoch, sequence]`
    "seen" seen(call: 1) {
        call.moment(call.tell(|cache, _| cache.follow().seen())?)
    }

    /// `saw(cache, epoch, sequence)`: whether the epoch is not one that was left behind.
    "saw" saw(call: 3) {
        let (epoch, sequence) = (call.whole(1)?, call.whole(2)?);
        call.boolean(call.tell(|cache, _| cache.follow().saw(epoch, sequence))?)
    }

    /// `follow(cache)`: whether what has this number follows the changes, from now on or already.
    "follow" follow(call: 1) {
        let follow = |opened: &crate::environment::Opened| Ok(opened.cache.cache.follow().follow(opened.owner));
        call.boolean(call.environment.with_opened(call.cache()?, follow)?)
    }

    /// `position(cache)`: `[epoch, sequence]`
    "position" position(call: 1) {
        call.moment(call.tell(|cache, _| cache.follow().position())?)
    }

    /// `advance(cache, epoch, sequence)`
    "advance" advance(call: 3) {
        let (epoch, sequence) = (call.whole(1)?, call.whole(2)?);
        call.tell(|cache, _| cache.follow().advance(epoch, sequence))?;
        call.undefined()
    }

    /// `pend(cache, names)`
    "pend" pend(call: 2) {
        let names = call.names(1)?;
        call.tell(|cache, _| cache.follow().pend(names))?;
        call.undefined()
    }

    /// `pending(cache)`: `[id, name, id, name, …]`, the oldest first.
    "pending" pending(call: 1) {
        let pending = call.tell(|cache, _| cache.follow().pending())?;
        let out = call.array(2 * pending.len())?;
        each(call.env, pending.len(), |index| {
            let (id, name) = &pending[index];
            set_element(call.env, out, 2 * index, call.count(*id)?)?;
            set_element(call.env, out, 2 * index + 1, text_to_js(call.env, &name.bytes, name.domain)?)
        })?;
        Ok(out)
    }

    /// `pendingCount(cache)`
    "pendingCount" pending_count(call: 1) {
        call.count(call.tell(|cache, _| cache.follow().pending_count())? as u64)
    }

    /// `glance(cache, into)`: `heldUntil`, the epoch and the sequence number of `seen`, `pendingCount` and `time` as the
    /// first numbers of a `Float64Array`.
    "glance" glance(call: 2) {
        let numbers = call.environment.with(call.cache()?, |open| {
            let follow = open.cache.follow();
            let until = follow.held_until();
            let Moment { epoch, sequence } = follow.seen();
            let pending = follow.pending_count() as u64;
            let until = if until == u64::MAX { f64::INFINITY } else { as_double(until) };
            let [epoch, sequence, pending] = [epoch, sequence, pending].map(as_double);
            // The time comes last: the lease that was taken lasts until then, or does not.
            Ok([until, epoch, sequence, pending, as_double(open.clock.now_ms())])
        })?;
        call.fill(1, &numbers)?;
        call.undefined()
    }

    /// `delivered(cache, ids)`, where `ids` are a `Float64Array`.
    "delivered" delivered(call: 2) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
        let ids: Vec<u64> = call.numbers(1)?.iter().map(|id| *id as u64).collect();
        call.tell(|cache, _| cache.follow().delivered(&ids))?;
        call.undefined()
    }

    /// `acknowledged(cache, epoch, names, ms)`
    "acknowledged" acknowledged(call: 4) {
        let (epoch, names, ms) = (call.whole(1)?, call.names(2)?, call.whole(3)?);
        call.environment.with(call.cache()?, |open| {
            open.cache.follow().acknowledged(epoch, names, open.clock.now_ms(), ms);
            Ok(())
        })?;
        call.undefined()
    }

    /// `redeliver(cache, epoch)`
    "redeliver" redeliver(call: 2) {
        let epoch = call.whole(1)?;
        call.environment.with(call.cache()?, |open| {
            open.cache.follow().redeliver(epoch, open.clock.now_ms());
            Ok(())
        })?;
        call.undefined()
    }
}
