//! Scenarios: text that says what user and peer do, what the kernel has to do, and which requirement each step decides.
//!
//! ```text
//! # Who closes first stays in TIME-WAIT.
//! title: TIME-WAIT lasts
//! rfc: 3.6.1
//! takes: 65s
//!
//! user connect
//! kernel SYN seq=0                        # numbers count from each side's own ISS
//! peer SYN,ACK mss=1460                   # seq and ack: the next ones, unless they are given
//! kernel ACK seq=1 ack=1
//! user close
//! kernel FIN,ACK
//! peer FIN,ACK
//! kernel ACK
//! state TIME-WAIT
//! mark begun
//! state CLOSED after begun+240s..290s [MUST-13]
//! or state CLOSED after begun+58s..66s [time-wait-60s]
//! ```
//!
//! | step | what it does |
//! |---|---|
//! | `establish client/server [key=value ...]` | the three-way handshake; what follows is about the peer's SYN |
//! | `user CALL [-> ERROR]` | the kernel's user calls; without `->` the call has to succeed |
//! | `peer FLAGS [key=value ...]` | a segment arrives at the kernel |
//! | `kernel FLAGS [key=value ...]` | the kernel's next segment has to look like this, within a second |
//! | `state STATE` | the kernel's socket has to get there |
//! | `silence TIME` | the kernel has to send nothing for so long |
//! | `or kernel/state/silence ... [deviation]` | or else this, and then the deviation is noted |
//! | `icmp KIND` | an ICMP error about the kernel's last segment arrives |
//! | `wait TIME`, `mark NAME`, `sysctl NAME=VALUE` | |
//!
//! `after 900ms..1100ms` at the end of what is waited for counts from the step before, `after NAME+1s..2s` from a mark.
//! `[MUST-13]` at the end of a line: that step decides the requirement. `@name` behind the verb: another connection, to
//! the same port of the kernel. Tables of calls, keys and options are in `docs/audit-scenarios.md`.

mod error;
mod library;
mod parse;
mod script;
mod words;

pub use error::{ParseError, Wrong};
pub use library::library;
pub use parse::parse_file;
pub use script::{
    Action, Alternative, Awaited, Call, Cookie, Direction, Expected, Forgery, Icmp, Number, Pattern,
    Readiness, Script, Setting, SocketKind, SocketOption, Stamp, Step, Target, Window,
};
pub use words::ERRORS;
