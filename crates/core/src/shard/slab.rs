//! A vector in chunks: it grows without moving what it holds, and has at most one chunk to spare.

use std::ops::{Index, IndexMut};

const CHUNK: usize = 128;

pub(crate) struct Slab<T> {
    chunks: Vec<Box<[T; CHUNK]>>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<T: Default> Slab<T> {
    /// Makes room for the element at `index`; new elements have the default value.
    pub(crate) fn reach(&mut self, index: usize) {
        while index >= self.len() {
            self.chunks.push(Box::new(std::array::from_fn(|_| T::default())));
        }
    }

    /// Takes the last elements out, as many as lie together.
    pub(crate) fn pop_chunk(&mut self) -> Option<impl Sized + use<T>> {
        self.chunks.pop()
    }

    /// How many elements there is room for.
    pub(crate) fn len(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / CHUNK).map(|chunk| &chunk[index % CHUNK])
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.chunks.get_mut(index / CHUNK).map(|chunk| &mut chunk[index % CHUNK])
    }

    #[cfg(any(test, feature = "validate"))]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }
}

impl<T> Index<usize> for Slab<T> {
    type Output = T;
    fn index(&self, index: usize) -> &T {
        &self.chunks[index / CHUNK][index % CHUNK]
    }
}

impl<T> IndexMut<usize> for Slab<T> {
    fn index_mut(&mut self, index: usize) -> &mut T {
        &mut self.chunks[index / CHUNK][index % CHUNK]
    }
}
