use std::fmt;

use crate::key::{MAX_NAMESPACES, MAX_TAGS};

/// What a [`Cache`](crate::Cache) refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// An option is out of its range; the text names the option and the range.
    InvalidOption(&'static str),
    /// More than [`MAX_TAGS`](crate::MAX_TAGS) tags were given for one entry.
    TooManyTags,
    /// A cache has no more than [`MAX_NAMESPACES`](crate::MAX_NAMESPACES) namespaces.
    TooManyNamespaces,
    /// The allocator could not supply the memory of the entry. Nothing was changed.
    OutOfMemory,
    /// [`Cache::increment`](crate::Cache::increment) found a value that is not a number. Nothing was changed.
    NotANumber,
    /// [`Cache::increment`](crate::Cache::increment) would make an infinite number. Nothing was changed.
    NotFinite,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidOption(text) => f.write_str(text),
            Self::TooManyTags => write!(f, "an entry takes at most {MAX_TAGS} tags"),
            Self::TooManyNamespaces => {
                write!(f, "a cache has at most {MAX_NAMESPACES} namespaces")
            }
            Self::OutOfMemory => f.write_str("the allocator could not supply the memory of the entry"),
            Self::NotANumber => f.write_str("the value under the key is not a number"),
            Self::NotFinite => f.write_str("the sum is not finite"),
        }
    }
}

impl std::error::Error for Error {}
