//! The calls by which copies of the package find each other, and by which both engines keep a name to one of them.

use std::ptr;

use napi::sys;

use crate::arguments::{Call, callbacks};
use crate::bulk::set_element;
use crate::failure::{Failure, check};
use crate::peers::{self, FALLBACK, NATIVE};
use crate::registry::{self, Name};

impl<const N: usize> Call<'_, N> {
    /// The name in argument 0.
    fn name(&self) -> Result<Name, Failure> {
        let mut buffer = self.environment.key.borrow_mut();
        let name = buffer.key(self.env, self.arguments[0])?;
        Ok((name.bytes.into(), name.domain))
    }

    fn string(&self, text: &str) -> Result<sys::napi_value, Failure> {
        let mut out = ptr::null_mut();
        // SAFETY: `text` is as many bytes of UTF-8 as are announced.
        check(unsafe {
            let (text, length) = (text.as_ptr().cast(), text.len().cast_signed());
            sys::napi_create_string_utf8(self.env, text, length, &raw mut out)
        })?;
        Ok(out)
    }
}

callbacks! {
    /// `peers()`: `[path, abi, is this one, …]` of the addons of the process, in the order in which they were loaded.
    "peers" list(call: 0) {
        let found = peers::all();
        let out = call.array(3 * found.len())?;
        for (index, found) in found.iter().enumerate() {
            set_element(call.env, out, 3 * index, call.string(&found.path)?)?;
            set_element(call.env, out, 3 * index + 1, call.double(f64::from(found.abi()))?)?;
            set_element(call.env, out, 3 * index + 2, call.boolean(found.is_own())?)?;
        }
        Ok(out)
    }

    /// `introduce(folder)`: tells other addons which package uses this one, unless another has done so.
    "introduce" introduce(call: 1) {
        let units = registry::units_of(&call.name()?);
        peers::introduce(String::from_utf16_lossy(&units));
        call.undefined()
    }

    /// `heldElsewhere(name, fallback)`: what has a name open that one engine is about to use, the native one or the
    /// fallback, where that one is not the same cache: `[engine, folder]`, or `undefined`. The folder is empty if it is
    /// a package that uses this very addon.
    "heldElsewhere" held_elsewhere(call: 2) {
        let name = call.name()?;
        let asks_fallback = call.number(1)? != 0.0;
        // Fallback engines of two threads are two caches as ever.
        let (own, others) = if asks_fallback { (NATIVE, NATIVE) } else { (FALLBACK, NATIVE | FALLBACK) };
        let held = match registry::engines_of(&name) & own {
            0 => peers::holder(&name, others),
            held => Some((held, String::new())),
        };
        let Some((engines, folder)) = held else { return call.undefined() };
        let out = call.array(2)?;
        set_element(call.env, out, 0, call.string(if engines & NATIVE == 0 { "js" } else { "rust" })?)?;
        set_element(call.env, out, 1, call.string(&folder)?)?;
        Ok(out)
    }

    /// `reserve(name)`: the fallback engine of this thread has the name open.
    "reserve" reserve(call: 1) {
        call.environment.reserve(call.name()?);
        call.undefined()
    }

    /// `unreserve(name)`: it has not any more.
    "unreserve" unreserve(call: 1) {
        call.environment.unreserve(&call.name()?);
        call.undefined()
    }
}
