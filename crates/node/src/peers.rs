//! Other copies of this addon in the process.
//!
//! Two installed copies of the package have an addon each, with statics of its own. They find each other through a
//! C symbol that each exports, so that no name is ever open in two of them.

use std::ffi::{c_char, c_void};
use std::slice;
use std::sync::OnceLock;

use crate::registry::{self, Name};

/// What an addon tells the others. The layout, the meaning of its fields and the name of the function that gives it
/// stay as they are for good; another layout comes under another name.
#[repr(C)]
pub(crate) struct Peer {
    /// The interface of the addon, as `abi()` tells it.
    abi: u32,
    /// The bytes of this structure, by which fields that come later can be told.
    size: u32,
    /// Where a name of so many UTF-16 units is open: [`NATIVE`], [`FALLBACK`], both together, or 0.
    holds: extern "C" fn(name: *const u16, length: usize) -> u32,
    /// Writes as much of the folder of the package that uses the addon as fits, in UTF-8 without a NUL, and returns
    /// its length in bytes; 0 before any does.
    folder: extern "C" fn(out: *mut u8, capacity: usize) -> usize,
}

/// The name is open on the native engine.
pub(crate) const NATIVE: u32 = 1;
/// The name is open on the fallback engine, of some thread.
pub(crate) const FALLBACK: u32 = 2;

const SYMBOL: &std::ffi::CStr = c"sark_cache_peer_v1";

#[expect(clippy::cast_possible_truncation, reason = "a few words")]
const SIZE: u32 = size_of::<Peer>() as u32;

static OWN: Peer = Peer { abi: crate::ABI, size: SIZE, holds, folder };

/// The folder of the package that used this addon first.
static FOLDER: OnceLock<String> = OnceLock::new();

/// How other addons of the process find this one.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn sark_cache_peer_v1() -> *const Peer {
    &raw const OWN
}

extern "C" fn holds(name: *const u16, length: usize) -> u32 {
    // A panic must not reach the caller, who may be of another Rust.
    std::panic::catch_unwind(|| {
        let units = if length == 0 {
            &[][..]
        } else {
            // SAFETY: the caller gives `length` units, which stay as they are during the call.
            unsafe { slice::from_raw_parts(name, length) }
        };
        registry::engines_of(&registry::name_of(units))
    })
    .unwrap_or(NATIVE)
}

extern "C" fn folder(out: *mut u8, capacity: usize) -> usize {
    let text = FOLDER.get().map_or("", String::as_str);
    let length = text.len().min(capacity);
    if length > 0 {
        // SAFETY: the caller has room for `capacity` bytes at `out`.
        unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), out, length) };
    }
    text.len()
}

/// Remembers the folder of a package that uses this addon. The first one stays.
pub(crate) fn introduce(folder: String) {
    let _ = FOLDER.set(folder);
}

/// An addon that is loaded, this one or another.
pub(crate) struct Found {
    pub(crate) path: String,
    peer: *const Peer,
}

impl Found {
    pub(crate) fn is_own(&self) -> bool {
        std::ptr::eq(self.peer, &raw const OWN)
    }

    fn peer(&self) -> &Peer {
        // SAFETY: the addon gave this pointer to its own static, whose layout the name of the symbol stands for, and
        // `all` keeps its image loaded.
        unsafe { &*self.peer }
    }

    pub(crate) fn abi(&self) -> u32 {
        self.peer().abi
    }

    /// Where a name is open in that addon.
    pub(crate) fn holds(&self, units: &[u16]) -> u32 {
        (self.peer().holds)(units.as_ptr(), units.len())
    }

    /// The folder of the package that uses it, or the path of the addon where it has not said so.
    pub(crate) fn folder(&self) -> String {
        let mut bytes = vec![0_u8; 4_096];
        let length = (self.peer().folder)(bytes.as_mut_ptr(), bytes.len());
        bytes.truncate(length);
        if bytes.is_empty() { self.path.clone() } else { String::from_utf8_lossy(&bytes).into_owned() }
    }
}

/// Where another addon has a name open, and the folder of the package that uses it.
pub(crate) fn holder(name: &Name, engines: u32) -> Option<(u32, String)> {
    let units = registry::units_of(name);
    let others = all().into_iter().filter(|found| !found.is_own());
    others
        .map(|found| (found.holds(&units) & engines, found))
        .find_map(|(held, found)| (held != 0).then(|| (held, found.folder())))
}

/// The addons of the process that export the symbol, in the order in which they were loaded, which never changes: none
/// is ever unloaded, for every thread that has loaded one may still run its code.
pub(crate) fn all() -> Vec<Found> {
    let mut all: Vec<Found> = Vec::new();
    for (path, image) in system::images() {
        let Some(symbol) = system::symbol(&image) else { continue };
        // SAFETY: a symbol of this name is a function of this type, as the name says.
        let tell: extern "C" fn() -> *const Peer = unsafe { std::mem::transmute(symbol) };
        let peer = tell();
        if !peer.is_null() && all.iter().all(|found| found.peer != peer) {
            all.push(Found { path, peer });
        }
    }
    all
}

/// Systems with `dlopen`.
#[cfg(unix)]
mod system {
    use std::ffi::{CStr, CString};

    use super::{SYMBOL, c_char, c_void};

    /// The paths of the images of the process, in the order in which they were loaded.
    #[cfg(not(target_vendor = "apple"))]
    pub(super) fn images() -> Vec<(String, CString)> {
        unsafe extern "C" fn add(
            info: *mut libc::dl_phdr_info,
            _size: libc::size_t,
            out: *mut c_void,
        ) -> libc::c_int {
            // SAFETY: the system gives a valid `info`, and `images` a valid vector that nobody else uses.
            let (name, out) = unsafe { ((*info).dlpi_name, &mut *out.cast::<Vec<(String, CString)>>()) };
            // SAFETY: the name of an image, if it has one, is a text that ends in NUL.
            unsafe { add_image(name, out) };
            0
        }
        let mut out = Vec::new();
        // The images are opened later: the system holds a lock while it calls.
        // SAFETY: `add` is called with `out` alone, and only during this call.
        unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut out).cast()) };
        out
    }

    #[cfg(target_vendor = "apple")]
    pub(super) fn images() -> Vec<(String, CString)> {
        unsafe extern "C" {
            fn _dyld_image_count() -> u32;
            fn _dyld_get_image_name(index: u32) -> *const c_char;
        }
        let mut out = Vec::new();
        // SAFETY: both take any number; a name is a text that ends in NUL, or null where the index is too large.
        unsafe {
            for index in 0.._dyld_image_count() {
                add_image(_dyld_get_image_name(index), &mut out);
            }
        }
        out
    }

    /// Adds the path of an image that may be an addon.
    ///
    /// # Safety
    /// `name` is null or a text that ends in NUL.
    unsafe fn add_image(name: *const c_char, out: &mut Vec<(String, CString)>) {
        if name.is_null() {
            return;
        }
        // SAFETY: as promised by the caller.
        let name = unsafe { CStr::from_ptr(name) };
        // The program itself, which has no name, would look the symbol up in everything it has loaded.
        if !name.is_empty() {
            out.push((name.to_string_lossy().into_owned(), name.to_owned()));
        }
    }

    /// The address of the symbol in an image. One that has it stays loaded from now on.
    pub(super) fn symbol(image: &CString) -> Option<*mut c_void> {
        // SAFETY: `image` ends in NUL, and nothing is loaded that is not yet, so that no code of it is run.
        let handle = unsafe { libc::dlopen(image.as_ptr(), libc::RTLD_NOLOAD | libc::RTLD_NOW) };
        if handle.is_null() {
            return None;
        }
        // SAFETY: the handle is open, and the name ends in NUL.
        let symbol = unsafe { libc::dlsym(handle, SYMBOL.as_ptr()) };
        if symbol.is_null() {
            // SAFETY: the handle is open and not used again.
            unsafe { libc::dlclose(handle) };
            return None;
        }
        Some(symbol)
    }
}

#[cfg(windows)]
mod system {
    use super::{SYMBOL, c_char, c_void};

    #[link(name = "kernel32")]
    unsafe extern "system" {
        fn GetCurrentProcess() -> *mut c_void;
        fn K32EnumProcessModules(
            process: *mut c_void,
            modules: *mut *mut c_void,
            bytes: u32,
            needed: *mut u32,
        ) -> i32;
        fn GetModuleFileNameW(module: *mut c_void, name: *mut u16, size: u32) -> u32;
        fn GetProcAddress(module: *mut c_void, name: *const c_char) -> *mut c_void;
    }

    /// The modules of the process, in the order in which they were loaded.
    pub(super) fn images() -> Vec<(String, *mut c_void)> {
        let mut modules = vec![std::ptr::null_mut(); 1_024];
        loop {
            let bytes = u32::try_from(size_of_val(&modules[..])).unwrap_or(u32::MAX);
            let mut needed = 0;
            // SAFETY: the handle is that of this process, and there is room for as many bytes as announced.
            let done = unsafe {
                K32EnumProcessModules(GetCurrentProcess(), modules.as_mut_ptr(), bytes, &raw mut needed)
            };
            if done == 0 {
                return Vec::new();
            }
            if needed <= bytes {
                modules.truncate(needed as usize / size_of::<*mut c_void>());
                break;
            }
            modules.resize(needed as usize / size_of::<*mut c_void>() + 16, std::ptr::null_mut());
        }
        modules.into_iter().map(|module| (path(module), module)).collect()
    }

    fn path(module: *mut c_void) -> String {
        let mut units = vec![0_u16; 32_768];
        // SAFETY: there is room for as many units as announced; a module that is gone has no name.
        let length = unsafe { GetModuleFileNameW(module, units.as_mut_ptr(), 32_768) };
        String::from_utf16_lossy(&units[..length as usize])
    }

    /// The address of the symbol in a module. Node never unloads an addon.
    pub(super) fn symbol(module: &*mut c_void) -> Option<*mut c_void> {
        // SAFETY: the name ends in NUL; a module that is gone has no symbols.
        let symbol = unsafe { GetProcAddress(*module, SYMBOL.as_ptr()) };
        (!symbol.is_null()).then_some(symbol)
    }
}

#[cfg(not(any(unix, windows)))]
mod system {
    use super::c_void;

    pub(super) fn images() -> Vec<(String, ())> {
        Vec::new()
    }

    pub(super) fn symbol(_image: &()) -> Option<*mut c_void> {
        None
    }
}
