//! What a call throws.

use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use napi::sys;

/// The JavaScript class of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Error,
    Type,
    Range,
}

/// An error on its way to JavaScript.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) class: Class,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn wrong_type(message: impl Into<String>) -> Self {
        Self { class: Class::Type, code: "ERR_INVALID_ARG_TYPE", message: message.into() }
    }

    pub(crate) fn closed() -> Self {
        Self { class: Class::Error, code: "ERR_CACHE_CLOSED", message: "the cache is closed".into() }
    }

    pub(crate) fn options(message: String) -> Self {
        Self { class: Class::Error, code: "ERR_CACHE_OPTIONS_CONFLICT", message }
    }

    pub(crate) fn range(message: String) -> Self {
        Self { class: Class::Range, code: "ERR_OUT_OF_RANGE", message }
    }

    fn internal(message: String) -> Self {
        Self { class: Class::Error, code: "ERR_CACHE_INTERNAL", message }
    }

    /// Leaves the error pending in `env`, unless another one is pending already.
    fn throw(self, env: sys::napi_env) {
        let code = CString::new(self.code).unwrap_or_default();
        let message = CString::new(self.message.replace('\0', "\\0")).unwrap_or_default();
        let throw = match self.class {
            Class::Error => sys::napi_throw_error,
            Class::Type => sys::napi_throw_type_error,
            Class::Range => sys::napi_throw_range_error,
        };
        // SAFETY: `env` is the environment of the running callback; both texts end in NUL and outlive it.
        unsafe { throw(env, code.as_ptr(), message.as_ptr()) };
    }
}

impl From<sark_cache_core::Error> for Failure {
    fn from(error: sark_cache_core::Error) -> Self {
        let (class, code) = match error {
            sark_cache_core::Error::OutOfMemory => (Class::Error, "ERR_CACHE_OUT_OF_MEMORY"),
            _ => (Class::Range, "ERR_OUT_OF_RANGE"),
        };
        Self { class, code, message: error.to_string() }
    }
}

/// Turns the status of a Node-API call into a result.
pub(crate) fn check(status: sys::napi_status) -> Result<(), Failure> {
    if status == sys::Status::napi_ok {
        Ok(())
    } else {
        Err(Failure::internal(format!("Node-API answered with status {status}")))
    }
}

/// Runs the body of a callback. Neither an error nor a panic leaves it but as a JavaScript exception.
pub(crate) fn guard(
    env: sys::napi_env,
    body: impl FnOnce() -> Result<sys::napi_value, Failure>,
) -> sys::napi_value {
    let failure = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => return value,
        Ok(Err(failure)) => failure,
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            Failure::internal(format!("the native engine panicked: {text}"))
        }
    };
    failure.throw(env);
    ptr::null_mut()
}
