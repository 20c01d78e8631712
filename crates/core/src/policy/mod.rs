//! The eviction policies.

pub(crate) mod access_clock;
pub(crate) mod recency;
pub(crate) mod s3fifo;

/// Which entry leaves when there is no room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Policy {
    /// The one that was least recently used, in the whole cache and exactly.
    #[default]
    Lru,
    /// The one that S3-FIFO chooses (Yang et al., SOSP '23): what is used only once leaves early, whatever
    /// comes between. It keeps up to 64 bytes more an entry, for
    /// the hashes of keys that have left, which are not charged.
    S3Fifo,
}
