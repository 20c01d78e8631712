//! What is still true: the fence of keys and tags, the version table for copies, and the leases of loads.

pub(crate) mod fence;
pub(crate) mod leases;
pub(crate) mod tags;
pub(crate) mod version_table;
pub(crate) mod words;
