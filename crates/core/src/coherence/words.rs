//! The owner of the words that the fence and the version table consist of, and of the seed of the hashes by which they
//! are found. Who shares the words needs the seed as well.

use std::ops::Deref;

use foldhash::quality::RandomState;

/// Words in a row: values of `T`, which is made of words that are zero at first.
pub(crate) struct Run<T>(Box<[T]>);

impl<T> Deref for Run<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

/// Where the words come from: the heap.
pub(crate) struct Words {
    hasher: RandomState,
}

impl Words {
    pub(crate) fn on_heap() -> Self {
        Self { hasher: RandomState::default() }
    }

    /// The hasher of keys and tags.
    pub(crate) fn hasher(&self) -> RandomState {
        self.hasher.clone()
    }

    /// A new run of `len` values.
    #[expect(clippy::unused_self, reason = "the owner decides where they are")]
    pub(crate) fn run<T: Default>(&self, len: usize) -> Run<T> {
        Run((0..len).map(|_| T::default()).collect())
    }
}
