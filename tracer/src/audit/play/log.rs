//! What happened, as it was recorded.

use model::event::{Call, IcmpError};

use crate::audit::world::Parsed;

/// One thing that happened, other than a change of state.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    /// CLOCK_MONOTONIC, nanoseconds.
    pub time: u64,
    /// Nanoseconds since 1970; 0 where no packet shows it.
    pub wall: u64,
    /// The place of its connection.
    pub connection: usize,
    /// The line of the scenario.
    pub line: Option<u32>,
    /// What.
    pub what: Recorded,
}

/// The kinds of records.
#[derive(Clone, Debug, PartialEq)]
pub enum Recorded {
    /// A segment.
    Segment {
        /// The segment.
        parsed: Box<Parsed>,
        /// The kernel sent it.
        from_kernel: bool,
        /// What was done to it on purpose.
        mischief: Option<&'static str>,
        /// The kernel's endpoint deals with it: it is for it, and its checksum is right.
        arrives: bool,
        /// The packet.
        bytes: Vec<u8>,
    },
    /// A call.
    Call {
        /// In words.
        call: String,
        /// Its result.
        result: String,
        /// What the oracle is told, in order.
        told: Vec<Call>,
    },
    /// An ICMP error.
    Icmp {
        /// In words.
        message: &'static str,
        /// Its class.
        class: IcmpError,
        /// The packet.
        bytes: Vec<u8>,
    },
    /// A remark.
    Note(String),
}
