//! The eviction policies.

pub(crate) mod access_clock;
pub(crate) mod recency;
pub(crate) mod s3fifo;
