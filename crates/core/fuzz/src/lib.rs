//! What fuzzers do to a cache: the calls that bytes stand for, and a model of what these have to return.

mod model;
mod op;

pub use model::check;
pub use op::{Case, Fence, Name, Op, Pair, Setup, Text, Ttl};
