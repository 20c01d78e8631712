//! Any calls of one thread return what the model says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sark_cache_fuzz::{Case, check};

fuzz_target!(|case: Case<'_>| check(&case));
