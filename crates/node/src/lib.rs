//! The Node-API binding of `sark-cache-core`.
//!
//! It converts and keeps no policy. All calls are raw callbacks that take the number of an open cache first;
//! what belongs to one environment (one JavaScript thread) hangs on the callbacks' data pointer and goes
//! with the environment, and what threads share is behind [`registry`].
#![allow(unsafe_code, reason = "Node-API is a C interface")]

mod arguments;
mod atomic;
mod bulk;
mod clock;
mod cold;
mod counters;
mod environment;
mod failure;
mod follow;
mod hot;
mod loading;
mod near;
mod peers;
mod records;
mod registry;
mod sharing;
mod text;

use napi::JsValue;
use napi::bindgen_prelude::Object;
use napi::{Env, Result};
use napi_derive::napi;

/// The number of this binary's interface.
pub(crate) const ABI: u32 = 7;

/// The number of this binary's interface.
///
/// The TypeScript side compares it with its own, so that a binary of another build is refused before it is
/// used. It changes whenever a call or its meaning does.
#[napi]
#[must_use]
pub fn abi() -> u32 {
    ABI
}

/// The bytes charged for an entry beyond its key and its value.
#[napi]
#[must_use]
pub fn entry_overhead() -> u32 {
    u32::try_from(sark_cache_core::ENTRY_OVERHEAD).unwrap_or(u32::MAX)
}

/// Puts the raw calls on the module's exports object, for each environment that loads it.
///
/// # Errors
/// What Node-API answers when it cannot make a function or set a property.
#[napi(module_exports)]
pub fn register(exports: Object<'_>, env: Env) -> Result<()> {
    napi::bindgen_prelude::retain_current_module_for_unload_safety();
    environment::install(env.raw(), exports.raw())
}
