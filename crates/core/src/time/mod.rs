//! Time: the clocks of a cache, and the coarse one for those who hold copies.

pub(crate) mod clock;
pub mod coarse_clock;
