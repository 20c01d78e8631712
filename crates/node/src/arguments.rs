//! The arguments of a callback, and the simplest values to return.

use std::{mem::MaybeUninit, ptr};

use napi::sys;

use crate::environment::Environment;
use crate::failure::{Failure, check, guard};

/// A native function as Node-API calls it.
pub(crate) type Callback = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// A running callback: its environment and its `N` arguments, `undefined` where fewer were given.
pub(crate) struct Call<'a, const N: usize> {
    pub(crate) env: sys::napi_env,
    pub(crate) environment: &'a Environment,
    pub(crate) arguments: [sys::napi_value; N],
    /// How many were given.
    pub(crate) count_of_arguments: usize,
}

impl<const N: usize> Call<'_, N> {
    /// The number of the cache, which is the first argument of almost every call.
    pub(crate) fn cache(&self) -> Result<u64, Failure> {
        let number = self.number(0)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a cast of a float saturates"
        )]
        Ok(number as u64)
    }

    /// The number at a place.
    pub(crate) fn number(&self, place: usize) -> Result<f64, Failure> {
        number(self.env, self.arguments[place])
            .ok_or_else(|| Failure::wrong_type(format!("argument {place} must be a number")))
    }

    /// The number at a place, if there is one.
    pub(crate) fn optional_number(&self, place: usize) -> Option<f64> {
        number(self.env, self.arguments[place])
    }

    /// Whether the argument at a place is `undefined`, or was not given.
    pub(crate) fn is_undefined(&self, place: usize) -> Result<bool, Failure> {
        let mut kind = -1;
        // SAFETY: `env` and the argument are those of the running callback.
        check(unsafe { sys::napi_typeof(self.env, self.arguments[place], &raw mut kind) })?;
        Ok(kind == sys::ValueType::napi_undefined)
    }

    pub(crate) fn undefined(&self) -> Result<sys::napi_value, Failure> {
        let mut out = ptr::null_mut();
        // SAFETY: `env` is the environment of the running callback.
        check(unsafe { sys::napi_get_undefined(self.env, &raw mut out) })?;
        Ok(out)
    }

    pub(crate) fn null(&self) -> Result<sys::napi_value, Failure> {
        let mut out = ptr::null_mut();
        // SAFETY: `env` is the environment of the running callback.
        check(unsafe { sys::napi_get_null(self.env, &raw mut out) })?;
        Ok(out)
    }

    pub(crate) fn boolean(&self, value: bool) -> Result<sys::napi_value, Failure> {
        let mut out = ptr::null_mut();
        // SAFETY: `env` is the environment of the running callback.
        check(unsafe { sys::napi_get_boolean(self.env, value, &raw mut out) })?;
        Ok(out)
    }

    pub(crate) fn double(&self, value: f64) -> Result<sys::napi_value, Failure> {
        let mut out = ptr::null_mut();
        // SAFETY: `env` is the environment of the running callback.
        check(unsafe { sys::napi_create_double(self.env, value, &raw mut out) })?;
        Ok(out)
    }

    /// A count. Counts stay below 2⁵³, up to which a double is exact.
    pub(crate) fn count(&self, value: u64) -> Result<sys::napi_value, Failure> {
        self.double(as_double(value))
    }
}

#[expect(clippy::cast_precision_loss, reason = "what is counted stays below 2^53")]
pub(crate) fn as_double(value: u64) -> f64 {
    value as f64
}

pub(crate) fn number(env: sys::napi_env, value: sys::napi_value) -> Option<f64> {
    let mut out = 0.0;
    // SAFETY: `env` and `value` are those of the running callback.
    let status = unsafe { sys::napi_get_value_double(env, value, &raw mut out) };
    (status == sys::Status::napi_ok).then_some(out)
}

/// Runs `body` as the body of a callback.
///
/// # Safety
/// To be called from a callback that [`install`](crate::environment::install) registered, with what Node-API
/// gave it.
pub(crate) unsafe fn call<const N: usize>(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    body: impl FnOnce(&Call<'_, N>) -> Result<sys::napi_value, Failure>,
) -> sys::napi_value {
    guard(env, || {
        let mut arguments = [const { MaybeUninit::uninit() }; N];
        let (mut count, mut data) = (N, ptr::null_mut());
        // SAFETY: as promised by the caller; Node-API writes all `N` arguments.
        check(unsafe {
            let first = arguments.as_mut_ptr().cast();
            sys::napi_get_cb_info(env, info, &raw mut count, first, ptr::null_mut(), &raw mut data)
        })?;
        // SAFETY: Node-API wrote all of them.
        let arguments = arguments.map(|argument| unsafe { argument.assume_init() });
        // SAFETY: `install` gave every callback this pointer, which is valid until the environment ends; only
        // shared references are ever made from it.
        let environment = unsafe { &*data.cast::<Environment>() };
        body(&Call { env, environment, arguments, count_of_arguments: count })
    })
}

/// Defines raw callbacks and lists them by the names that JavaScript sees.
macro_rules! callbacks {
    ($($(#[$doc:meta])* $js:literal $name:ident($call:ident: $count:literal) $body:block)*) => {
        pub(crate) const CALLS: &[(&str, $crate::arguments::Callback)] = &[$(($js, $name)),*];
        $(
            $(#[$doc])*
            unsafe extern "C" fn $name(
                env: napi::sys::napi_env,
                info: napi::sys::napi_callback_info,
            ) -> napi::sys::napi_value {
                // SAFETY: Node-API calls this with what the function asks for.
                unsafe { $crate::arguments::call::<$count>(env, info, |$call| $body) }
            }
        )*
    };
}
pub(crate) use callbacks;
