//! JavaScript strings and typed arrays to bytes, and back.
//!
//! A string is read once, as UTF-16, and narrowed to a byte a unit where all units fit. Reading it as
//! Latin-1 would truncate units and reading it as UTF-8 would merge lone surrogates; both let two keys
//! become one.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU8, Ordering};
use std::{ptr, slice};

use napi::sys;
use sark_cache_core::{EntryRef, Key, Space, Value};

use crate::failure::{Failure, check};

/// One byte a unit, U+0000 to U+00FF.
pub(crate) const LATIN1: u8 = 0;
/// Two bytes a unit, in the machine's own order.
pub(crate) const UTF16: u8 = 1;
/// The content of a `Uint8Array`.
pub(crate) const BYTES: u8 = 2;

/// Units and bytes of a long text for which memory is kept from one call to the next.
const KEPT: usize = 64 * 1024;

/// Units that are read without a look at the length of the string first.
const INLINE: usize = 256;

/// The units of one string, and their bytes where they are narrow.
pub(crate) struct TextBuffer {
    units: [MaybeUninit<u16>; INLINE],
    narrow: [MaybeUninit<u8>; INLINE],
    long_units: Vec<u16>,
    long_narrow: Vec<u8>,
}

impl TextBuffer {
    pub(crate) const fn new() -> Self {
        Self {
            units: [MaybeUninit::uninit(); INLINE],
            narrow: [MaybeUninit::uninit(); INLINE],
            long_units: Vec::new(),
            long_narrow: Vec::new(),
        }
    }

    /// Frees the memory of a text or a copy that was longer than most are.
    fn let_go(&mut self) {
        if self.long_units.capacity() > KEPT || self.long_narrow.capacity() > KEPT {
            self.long_units = Vec::new();
            self.long_narrow = Vec::new();
        }
    }

    /// The text of `value`, or `None` if it is not a string.
    pub(crate) fn read(
        &mut self,
        env: sys::napi_env,
        value: sys::napi_value,
    ) -> Result<Option<(&[u8], u8)>, Failure> {
        let mut len = 0;
        // SAFETY: `env` and `value` are those of the running callback; at most `INLINE` units are written.
        let status = unsafe {
            sys::napi_get_value_string_utf16(env, value, self.units.as_mut_ptr().cast(), INLINE, &raw mut len)
        };
        if status == sys::Status::napi_string_expected {
            return Ok(None);
        }
        check(status)?;
        self.let_go();
        if len < INLINE - 1 {
            // SAFETY: the call above wrote `len` units.
            let units = unsafe { slice::from_raw_parts(self.units.as_ptr().cast::<u16>(), len) };
            return Ok(Some(match narrow(units, &mut self.narrow) {
                Some(bytes) => (bytes, LATIN1),
                None => (as_bytes(units), UTF16),
            }));
        }
        self.read_long(env, value).map(Some)
    }

    #[cold]
    fn read_long(&mut self, env: sys::napi_env, value: sys::napi_value) -> Result<(&[u8], u8), Failure> {
        let mut len = 0;
        // SAFETY: without a buffer the call only tells the length.
        check(unsafe { sys::napi_get_value_string_utf16(env, value, ptr::null_mut(), 0, &raw mut len) })?;
        let Self { long_units, long_narrow, .. } = self;
        long_units.clear();
        // One more for the zero that the call puts at the end.
        long_units.try_reserve_exact(len + 1).map_err(|_| sark_cache_core::Error::OutOfMemory)?;
        // SAFETY: there is room for `len + 1` units, and `len` of them are written before they are counted.
        unsafe {
            let buffer = long_units.as_mut_ptr();
            check(sys::napi_get_value_string_utf16(env, value, buffer, len + 1, &raw mut len))?;
            long_units.set_len(len);
        }
        long_narrow.clear();
        long_narrow.try_reserve_exact(len).map_err(|_| sark_cache_core::Error::OutOfMemory)?;
        if narrow(long_units, &mut long_narrow.spare_capacity_mut()[..len]).is_none() {
            return Ok((as_bytes(long_units), UTF16));
        }
        // SAFETY: `narrow` wrote all `len` bytes.
        unsafe { long_narrow.set_len(len) };
        Ok((long_narrow, LATIN1))
    }

    /// The key in `value`, in no namespace.
    pub(crate) fn key(&mut self, env: sys::napi_env, value: sys::napi_value) -> Result<Key<'_>, Failure> {
        match self.read(env, value)? {
            Some((bytes, domain)) => Ok(Key { bytes, domain, space: Space::ROOT }),
            None => Err(Failure::wrong_type("the key must be a string")),
        }
    }

    /// The value in `value`, a string or a `Uint8Array`.
    pub(crate) fn value(&mut self, env: sys::napi_env, value: sys::napi_value) -> Result<Value<'_>, Failure> {
        // The borrow of a string found must not outlive the search for bytes, hence the second step.
        if is_typed_array(env, value)? {
            self.let_go();
            return bytes_of(env, value, &mut self.long_narrow);
        }
        match self.read(env, value)? {
            Some((bytes, encoding)) => Ok(Value { bytes, encoding }),
            None => Err(Failure::wrong_type("the value must be a string or a Uint8Array")),
        }
    }
}

/// The low byte of each unit, if the high byte of every one is zero.
fn narrow<'a>(units: &[u16], out: &'a mut [MaybeUninit<u8>]) -> Option<&'a [u8]> {
    let mut all = 0;
    for (byte, &unit) in out.iter_mut().zip(units) {
        all |= unit;
        byte.write(unit.to_le_bytes()[0]);
    }
    // SAFETY: the loop wrote the first `units.len()` bytes; `out` is at least as long.
    (all < 0x100).then(|| unsafe { slice::from_raw_parts(out.as_ptr().cast(), units.len()) })
}

fn as_bytes(units: &[u16]) -> &[u8] {
    // SAFETY: any two bytes of initialized units are two initialized bytes.
    unsafe { slice::from_raw_parts(units.as_ptr().cast(), size_of_val(units)) }
}

fn is_typed_array(env: sys::napi_env, value: sys::napi_value) -> Result<bool, Failure> {
    let mut yes = false;
    // SAFETY: `env` and `value` are those of the running callback.
    check(unsafe { sys::napi_is_typedarray(env, value, &raw mut yes) })?;
    Ok(yes)
}

/// The bytes of a `Uint8Array`, valid until JavaScript runs again; or a copy of them, in `copy`, if other threads may
/// write to them at any time.
fn bytes_of(env: sys::napi_env, value: sys::napi_value, copy: &mut Vec<u8>) -> Result<Value<'_>, Failure> {
    let (mut kind, mut len, mut data, mut buffer) = (-1, 0, ptr::null_mut(), ptr::null_mut());
    // SAFETY: `value` is a typed array; what is not asked for may be null.
    check(unsafe {
        sys::napi_get_typedarray_info(
            env,
            value,
            &raw mut kind,
            &raw mut len,
            &raw mut data,
            &raw mut buffer,
            ptr::null_mut(),
        )
    })?;
    if kind != sys::TypedarrayType::uint8_array {
        return Err(Failure::wrong_type("the value must be a string or a Uint8Array"));
    }
    let mut is_own = false;
    // SAFETY: `buffer` is what the array lies in; a `SharedArrayBuffer` is no `ArrayBuffer`.
    check(unsafe { sys::napi_is_arraybuffer(env, buffer, &raw mut is_own) })?;
    let bytes = if len == 0 || data.is_null() {
        &[][..]
    } else if is_own {
        // SAFETY: Node-API gave `len` bytes at `data`; the callback runs no JavaScript while it uses them.
        unsafe { slice::from_raw_parts(data.cast::<u8>(), len) }
    } else {
        copy.clear();
        copy.try_reserve_exact(len).map_err(|_| sark_cache_core::Error::OutOfMemory)?;
        let first = data.cast::<u8>();
        copy.extend((0..len).map(|at| {
            // SAFETY: Node-API gave `len` bytes at `data`, which live as long as the array. Others may write to them
            // meanwhile, so they are only ever read as atomics.
            unsafe { AtomicU8::from_ptr(first.add(at)) }.load(Ordering::Relaxed)
        }));
        copy
    };
    Ok(Value { bytes, encoding: BYTES })
}

/// The JavaScript string of some text.
pub(crate) fn text_to_js(env: sys::napi_env, bytes: &[u8], encoding: u8) -> Result<sys::napi_value, Failure> {
    let mut out = ptr::null_mut();
    let pointer = bytes.as_ptr();
    if encoding == LATIN1 {
        // SAFETY: `bytes` are as many Latin-1 units as are announced.
        check(unsafe {
            sys::napi_create_string_latin1(env, pointer.cast(), bytes.len().cast_signed(), &raw mut out)
        })?;
        return Ok(out);
    }
    let len = bytes.len() / 2;
    #[expect(clippy::cast_ptr_alignment, reason = "checked in the next line")]
    let units = pointer.cast::<u16>();
    if units.is_aligned() {
        // SAFETY: `bytes` are `len` units of UTF-16, aligned as such.
        check(unsafe { sys::napi_create_string_utf16(env, units, len.cast_signed(), &raw mut out) })?;
    } else {
        let units: Vec<u16> =
            bytes.chunks_exact(2).map(|unit| u16::from_ne_bytes([unit[0], unit[1]])).collect();
        // SAFETY: `units` are `len` units of UTF-16.
        check(unsafe {
            sys::napi_create_string_utf16(env, units.as_ptr(), len.cast_signed(), &raw mut out)
        })?;
    }
    Ok(out)
}

/// The key of an entry as a string.
pub(crate) fn key_to_js(env: sys::napi_env, entry: &EntryRef) -> Result<sys::napi_value, Failure> {
    let key = entry.key();
    text_to_js(env, key.bytes, key.domain)
}

/// The value of an entry as a string or, where it came as one, as a `Uint8Array` of its own.
pub(crate) fn value_to_js(env: sys::napi_env, entry: &EntryRef) -> Result<sys::napi_value, Failure> {
    let bytes = entry.value();
    if entry.encoding() != BYTES {
        return text_to_js(env, bytes, entry.encoding());
    }
    let (mut data, mut buffer, mut out) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: the new buffer holds `bytes.len()` bytes, and no script has seen it yet.
    unsafe {
        check(sys::napi_create_arraybuffer(env, bytes.len(), &raw mut data, &raw mut buffer))?;
        if !bytes.is_empty() {
            ptr::copy_nonoverlapping(bytes.as_ptr(), data.cast(), bytes.len());
        }
        check(sys::napi_create_typedarray(
            env,
            sys::TypedarrayType::uint8_array,
            bytes.len(),
            buffer,
            0,
            &raw mut out,
        ))?;
    }
    Ok(out)
}
