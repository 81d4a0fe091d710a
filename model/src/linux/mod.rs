//! Linux as a profile of RFC 9293: what its transitions stand for, and the judge of each one.
//!
//! The tables here describe kernels from 5.10 to 7.2; nothing depends on kernel numbers, which the caller's decoder
//! has already turned into these types.

mod cause;
mod deviation;
mod fields;
mod judge;
mod observation;
mod pair;
mod state;
mod time_wait;
mod violation;

pub use cause::CloseCause;
pub use deviation::{Deviation, DeviationId, Seen, Standing};
pub use judge::{Judgement, judge};
pub use observation::{Evidence, History, Origin, Owner, ResetReason, SocketError, TimeWaitKind, Transition};
pub use pair::{Code, CodeRule, PAIRS, Pair, pair};
pub use state::LinuxState;
pub use time_wait::{LINUX_TIME_WAIT, RFC_TIME_WAIT, TimeWaitEnd, judge_time_wait_end};
pub use violation::{ViolationId, ViolationRule};
