//! RFC 9293 as an executable, checked reference.
//!
//! Pure by construction: no I/O, no clock, no kernel numbers, no allocation on the oracle's path.
//! Time and randomness are arguments.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "stories")]
extern crate alloc;

// The machine.
pub mod contradiction;
pub mod effect;
pub mod event;
pub mod isn;
pub mod profile;
pub mod reassembly;
pub mod requirement;
pub mod rule;
pub mod segment;
pub mod seq;
pub mod step;
#[cfg(feature = "stories")]
pub mod story;
pub mod tcb;
pub use effect::{Effect, Effects, Signal};
pub use event::{Call, CallError, Event, Origin, Remote, Timer};
pub use profile::Profile;
pub use rule::{Rule, Trail};
pub use segment::{Flags, Segment};
pub use seq::Seq;
pub use step::{Choices, step};
pub use tcb::{Config, Tcb};

mod state;

pub use state::State;

mod edge;
pub mod linux;
mod verdict;
pub use edge::{EDGES, Edge, EdgeRule, edge};
pub use verdict::{Inconclusive, Verdict};

// The oracle.
pub mod oracle;
pub use oracle::{Observation, Oracle};
