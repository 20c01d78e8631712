//! What is still true: the fence of keys and tags, the version table for copies, the leases of loads, and that of a second
//! tier.

pub(crate) mod fence;
pub(crate) mod follow;
pub(crate) mod leases;
pub(crate) mod tags;
pub(crate) mod version_table;
pub(crate) mod words;
