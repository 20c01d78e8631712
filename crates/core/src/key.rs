//! The byte strings that go in: keys and values, each with a small tag that the caller chooses.

/// The most tags one entry can carry.
pub const MAX_TAGS: usize = 128;

/// A key: bytes in a domain of a namespace.
///
/// Equal bytes in different domains are different keys. A caller with more than one way to write keys as
/// bytes (Latin-1 and UTF-16, say) gives each its own domain and so can never make two keys collide. The same bytes in
/// two namespaces are two keys as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key<'a> {
    /// The bytes of the key.
    pub bytes: &'a [u8],
    /// The domain of the key; 0 where the caller needs only one.
    pub domain: u8,
    /// The namespace of the key; [`Space::ROOT`] where it has none, and for tags.
    pub space: Space,
}

impl Key<'_> {
    /// This key in a namespace.
    #[must_use]
    pub fn of(self, space: Space) -> Self {
        Self { space, ..self }
    }
}

impl<'a> From<&'a [u8]> for Key<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self { bytes, domain: 0, space: Space::ROOT }
    }
}

impl<'a> From<&'a str> for Key<'a> {
    fn from(text: &'a str) -> Self {
        text.as_bytes().into()
    }
}

/// A value: bytes and how they are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    /// The bytes of the value.
    pub bytes: &'a [u8],
    /// A number that the cache stores beside the bytes and gives back; it means what the caller decides.
    pub encoding: u8,
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self { bytes, encoding: 0 }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        text.as_bytes().into()
    }
}

/// The most namespaces of one cache.
pub const MAX_NAMESPACES: usize = u16::MAX as usize;

/// A namespace of a cache, as [`Cache::namespace`](crate::Cache::namespace) gives it; by default the root, which has no name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Space(u16);

impl Space {
    /// Where keys are that belong to no namespace.
    pub const ROOT: Self = Self(0);

    pub(crate) fn number(self) -> u16 {
        self.0
    }

    pub(crate) fn of_number(number: u16) -> Self {
        Self(number)
    }
}
