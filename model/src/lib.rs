//! RFC 9293 as an executable, checked reference.
//!
//! Pure by construction: no I/O, no clock, no kernel numbers, no allocation on the oracle's path.
//! Time and randomness are arguments.
#![no_std]
#![forbid(unsafe_code)]

mod state;

pub use state::State;

mod edge;
pub mod linux;
mod verdict;
pub use edge::{EDGES, Edge, EdgeRule, edge};
pub use verdict::{Inconclusive, Verdict};
