//! The 119 requirements of RFC 9293, appendix B: one table.
//!
//! A prefix says how strong a requirement is; where appendix B's own column disagrees with it (MAY-5, MAY-10, MAY-11,
//! SHLD-25) the prefix wins (contradiction 10).

use Class::{Api, Fields, State, Wire};

/// Where a breach can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// S: in the state transitions alone.
    State,
    /// T: in the socket's fields at a transition.
    Fields,
    /// W: in segments only.
    Wire,
    /// A: by the application only.
    Api,
}

impl Class {
    /// The letter used in tables.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            State => 'S',
            Fields => 'T',
            Wire => 'W',
            Api => 'A',
        }
    }
}

/// One requirement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// As the RFC labels it, for example `MUST-13`.
    pub id: &'static str,
    /// The section of RFC 9293 that states it.
    pub clause: &'static str,
    /// Where a breach can be seen, the best place first; nowhere for what addresses applications or review.
    pub seen: &'static [Class],
    /// Whether that takes the time as well.
    pub timed: bool,
    /// What it asks for.
    pub sentence: &'static str,
}

impl Requirement {
    /// The requirement with this id.
    #[must_use]
    pub fn from_id(id: &str) -> Option<&'static Self> {
        REQUIREMENTS.iter().find(|requirement| requirement.id == id)
    }
}

/// Every requirement, in the order of appendix B.
pub const REQUIREMENTS: [Requirement; 119] = [
    Requirement {
        id: "MUST-1",
        clause: "3.1",
        seen: &[Fields, Wire],
        timed: false,
        sentence: "The window field is unsigned: values from 0x8000 on are large windows, not negative ones.",
    },
    Requirement {
        id: "REC-1",
        clause: "3.1",
        seen: &[Fields],
        timed: false,
        sentence: "Windows are kept in 32 bits, whatever the header field holds.",
    },
    Requirement {
        id: "MUST-2",
        clause: "3.1",
        seen: &[Wire],
        timed: false,
        sentence: "A sender computes the checksum of every segment.",
    },
    Requirement {
        id: "MUST-3",
        clause: "3.1",
        seen: &[State, Wire],
        timed: false,
        sentence: "A receiver verifies the checksum of every segment and drops what fails.",
    },
    Requirement {
        id: "MUST-4",
        clause: "3.1",
        seen: &[Wire],
        timed: false,
        sentence: "The options EOL, NOP and MSS are understood.",
    },
    Requirement {
        id: "MUST-5",
        clause: "3.1",
        seen: &[State, Wire],
        timed: false,
        sentence: "An option may come in any segment.",
    },
    Requirement {
        id: "MUST-6",
        clause: "3.1",
        seen: &[State, Wire],
        timed: false,
        sentence: "An unknown option is skipped by its length.",
    },
    Requirement {
        id: "MUST-7",
        clause: "3.1",
        seen: &[State, Wire],
        timed: false,
        sentence: "An option with an impossible length is survived.",
    },
    Requirement {
        id: "MUST-64",
        clause: "3.2",
        seen: &[Fields, Wire],
        timed: false,
        sentence: "Options may begin at any octet.",
    },
    Requirement {
        id: "MUST-65",
        clause: "3.7.1",
        seen: &[Wire],
        timed: false,
        sentence: "MSS is sent in SYN segments only.",
    },
    Requirement {
        id: "MUST-67",
        clause: "3.7.1",
        seen: &[Wire, Fields],
        timed: false,
        sentence: "The MSS announced is at most what can be received, less 20 octets.",
    },
    Requirement {
        id: "MUST-68",
        clause: "3.1",
        seen: &[Wire],
        timed: false,
        sentence: "Every option but EOL and NOP has a length octet.",
    },
    Requirement {
        id: "MUST-69",
        clause: "3.1",
        seen: &[Wire],
        timed: false,
        sentence: "What follows EOL in the header is zero.",
    },
    Requirement {
        id: "MUST-14",
        clause: "3.7.1",
        seen: &[Wire, Fields],
        timed: false,
        sentence: "MSS is sent and honoured.",
    },
    Requirement {
        id: "SHLD-5",
        clause: "3.7.1",
        seen: &[Wire],
        timed: false,
        sentence: "MSS is announced whenever it is not the default.",
    },
    Requirement {
        id: "MAY-3",
        clause: "3.7.1",
        seen: &[Wire],
        timed: false,
        sentence: "MSS may be announced always.",
    },
    Requirement {
        id: "MUST-15",
        clause: "3.7.1",
        seen: &[Fields, Wire],
        timed: false,
        sentence: "Without an MSS option 536 octets are assumed, 1220 over IPv6.",
    },
    Requirement {
        id: "MUST-16",
        clause: "3.7.1",
        seen: &[Wire, Fields],
        timed: false,
        sentence: "A segment is at most the smaller of the peer's MSS and what IP can send, less the options.",
    },
    Requirement {
        id: "SHLD-6",
        clause: "3.7.3",
        seen: &[Wire],
        timed: false,
        sentence: "Where the MTU varies, the smallest decides the MSS announced.",
    },
    Requirement {
        id: "MUST-8",
        clause: "3.4.1",
        seen: &[Fields, Wire],
        timed: false,
        sentence: "Initial sequence numbers follow a clock.",
    },
    Requirement {
        id: "SHLD-1",
        clause: "3.4.1",
        seen: &[Fields, Wire],
        timed: false,
        sentence: "The ISN is a clock plus a keyed hash of the addresses.",
    },
    Requirement {
        id: "MUST-9",
        clause: "3.4.1",
        seen: &[],
        timed: false,
        sentence: "Nobody outside can compute the hash in the ISN.",
    },
    Requirement {
        id: "MUST-10",
        clause: "3.5",
        seen: &[State, Wire],
        timed: false,
        sentence: "Simultaneous open works.",
    },
    Requirement {
        id: "MUST-11",
        clause: "3.5",
        seen: &[State, Api],
        timed: false,
        sentence: "A half-open connection remembers whether it was opened passively or actively.",
    },
    Requirement {
        id: "MUST-41",
        clause: "3.9.1.1",
        seen: &[State, Api],
        timed: false,
        sentence: "A passive OPEN disturbs no other connection.",
    },
    Requirement {
        id: "MUST-42",
        clause: "3.9.1.1",
        seen: &[Api, State],
        timed: false,
        sentence: "A port can be listened on while another connection of that port is half open.",
    },
    Requirement {
        id: "MUST-43",
        clause: "3.9.1.1",
        seen: &[Api, Wire],
        timed: false,
        sentence: "OPEN can name the local address.",
    },
    Requirement {
        id: "MUST-44",
        clause: "3.9.1.1",
        seen: &[Fields, Wire],
        timed: false,
        sentence: "Where OPEN names no local address, IP chooses one before the first SYN.",
    },
    Requirement {
        id: "MUST-45",
        clause: "3.9.1.1",
        seen: &[Fields, Wire],
        timed: false,
        sentence: "The local address stays for the life of the connection.",
    },
    Requirement {
        id: "MUST-46",
        clause: "3.9.1.1",
        seen: &[Api, Wire],
        timed: false,
        sentence: "An OPEN to a broadcast or multicast address is refused.",
    },
    Requirement {
        id: "MUST-57",
        clause: "3.9.2.3",
        seen: &[Wire, State],
        timed: false,
        sentence: "A SYN to a broadcast or multicast address is dropped without a word.",
    },
    Requirement {
        id: "MUST-63",
        clause: "3.9.2.3",
        seen: &[Wire, State],
        timed: false,
        sentence: "A SYN from an invalid address is ignored.",
    },
    Requirement {
        id: "SHLD-2",
        clause: "3.5.3",
        seen: &[State, Wire],
        timed: false,
        sentence: "A reset may carry text.",
    },
    Requirement {
        id: "MUST-12",
        clause: "3.6",
        seen: &[Api, State],
        timed: false,
        sentence: "The application can tell a close from an abort.",
    },
    Requirement {
        id: "MAY-1",
        clause: "3.6.1",
        seen: &[Api, State],
        timed: false,
        sentence: "CLOSE may end reading as well.",
    },
    Requirement {
        id: "SHLD-3",
        clause: "3.6.1",
        seen: &[Wire, Fields],
        timed: false,
        sentence: "Text that a CLOSE of both directions loses is answered by a reset.",
    },
    Requirement {
        id: "MUST-13",
        clause: "3.6.1",
        seen: &[State, Fields],
        timed: true,
        sentence: "Whoever closes first lingers in TIME-WAIT for 2 MSL.",
    },
    Requirement {
        id: "MAY-2",
        clause: "3.6.1",
        seen: &[State, Wire],
        timed: false,
        sentence: "A newer SYN may reopen TIME-WAIT, which comes back should the SYN prove old.",
    },
    Requirement {
        id: "SHLD-4",
        clause: "3.6.1",
        seen: &[State, Wire],
        timed: false,
        sentence: "Timestamps decide whether a SYN that meets TIME-WAIT is newer.",
    },
    Requirement {
        id: "MUST-18",
        clause: "3.8.1",
        seen: &[Fields, Wire],
        timed: true,
        sentence: "The retransmission timeout follows RFC 6298, with Karn's rule.",
    },
    Requirement {
        id: "MUST-19",
        clause: "3.8.2",
        seen: &[Fields, Wire],
        timed: false,
        sentence: "Slow start, congestion avoidance and timer backoff are there.",
    },
    Requirement {
        id: "MAY-4",
        clause: "3.8.1",
        seen: &[Wire],
        timed: false,
        sentence: "A retransmission may keep its IP identification.",
    },
    Requirement {
        id: "MAY-18",
        clause: "3.8.2",
        seen: &[Fields],
        timed: false,
        sentence: "Another congestion control that conforms may be used.",
    },
    Requirement {
        id: "SHLD-8",
        clause: "3.8.2",
        seen: &[Wire, Fields],
        timed: false,
        sentence: "ECN is supported.",
    },
    Requirement {
        id: "MUST-20",
        clause: "3.8.3",
        seen: &[State, Wire],
        timed: true,
        sentence: "At R1 IP is told that delivery is in trouble; at R2 the connection closes.",
    },
    Requirement {
        id: "MUST-21",
        clause: "3.8.3",
        seen: &[Api],
        timed: false,
        sentence: "The application can set R2.",
    },
    Requirement {
        id: "MUST-22",
        clause: "3.8.3",
        seen: &[State, Wire],
        timed: true,
        sentence: "R1 and R2 hold for SYN segments as well.",
    },
    Requirement {
        id: "MUST-23",
        clause: "3.8.3",
        seen: &[State, Wire],
        timed: true,
        sentence: "R2 for a SYN is at least three minutes.",
    },
    Requirement {
        id: "SHLD-9",
        clause: "3.8.3",
        seen: &[Api],
        timed: false,
        sentence: "The application learns of trouble between R1 and R2.",
    },
    Requirement {
        id: "SHLD-10",
        clause: "3.8.3",
        seen: &[Fields],
        timed: false,
        sentence: "R1 is at least three retransmissions.",
    },
    Requirement {
        id: "SHLD-11",
        clause: "3.8.3",
        seen: &[State],
        timed: true,
        sentence: "R2 is at least 100 seconds.",
    },
    Requirement {
        id: "MAY-5",
        clause: "3.8.4",
        seen: &[Api],
        timed: false,
        sentence: "Keep-alives may exist.",
    },
    Requirement {
        id: "MUST-24",
        clause: "3.8.4",
        seen: &[Api],
        timed: false,
        sentence: "Each connection can switch keep-alives.",
    },
    Requirement {
        id: "MUST-25",
        clause: "3.8.4",
        seen: &[Api, Wire],
        timed: false,
        sentence: "Keep-alives are off by default.",
    },
    Requirement {
        id: "MUST-26",
        clause: "3.8.4",
        seen: &[Wire, Fields],
        timed: true,
        sentence: "Keep-alives are sent on an idle connection with nothing outstanding only.",
    },
    Requirement {
        id: "MUST-27",
        clause: "3.8.4",
        seen: &[Api],
        timed: false,
        sentence: "The interval of keep-alives can be set.",
    },
    Requirement {
        id: "MUST-28",
        clause: "3.8.4",
        seen: &[Api, Wire],
        timed: true,
        sentence: "The interval of keep-alives is two hours or more by default.",
    },
    Requirement {
        id: "MUST-29",
        clause: "3.8.4",
        seen: &[State, Wire],
        timed: true,
        sentence: "One keep-alive without answer is not the end.",
    },
    Requirement {
        id: "SHLD-12",
        clause: "3.8.4",
        seen: &[Wire],
        timed: false,
        sentence: "A keep-alive carries no text.",
    },
    Requirement {
        id: "MAY-6",
        clause: "3.8.4",
        seen: &[Wire],
        timed: false,
        sentence: "A keep-alive may carry one octet of garbage.",
    },
    Requirement {
        id: "MUST-30",
        clause: "3.8.5",
        seen: &[Api, Wire],
        timed: false,
        sentence: "The urgent mechanism is there.",
    },
    Requirement {
        id: "MUST-31",
        clause: "3.8.5",
        seen: &[Wire, Api],
        timed: false,
        sentence: "Urgent data may have any length.",
    },
    Requirement {
        id: "MUST-32",
        clause: "3.8.5",
        seen: &[Api],
        timed: false,
        sentence: "The application is told at once when the urgent pointer advances.",
    },
    Requirement {
        id: "MUST-33",
        clause: "3.8.5",
        seen: &[Api],
        timed: false,
        sentence: "The application can learn how much urgent data is left.",
    },
    Requirement {
        id: "MUST-62",
        clause: "3.8.5",
        seen: &[Wire, Api],
        timed: false,
        sentence: "The urgent pointer names the octet after the urgent data.",
    },
    Requirement {
        id: "SHLD-13",
        clause: "3.9.1.2",
        seen: &[],
        timed: false,
        sentence: "New applications do without urgent data.",
    },
    Requirement {
        id: "SHLD-14",
        clause: "3.8.6",
        seen: &[Wire, Fields],
        timed: false,
        sentence: "The receiver does not shrink its window.",
    },
    Requirement {
        id: "SHLD-15",
        clause: "3.8.6",
        seen: &[Wire, Fields],
        timed: false,
        sentence: "After a shrink no new data is sent beyond the new edge.",
    },
    Requirement {
        id: "SHLD-16",
        clause: "3.8.6",
        seen: &[Wire],
        timed: false,
        sentence: "After a shrink what is still inside the window is retransmitted as usual.",
    },
    Requirement {
        id: "MAY-7",
        clause: "3.8.6",
        seen: &[Wire],
        timed: false,
        sentence: "After a shrink what is beyond the new edge may be retransmitted.",
    },
    Requirement {
        id: "SHLD-17",
        clause: "3.8.6",
        seen: &[State],
        timed: true,
        sentence: "Data beyond the edge of a shrunk window does not time the connection out.",
    },
    Requirement {
        id: "MUST-34",
        clause: "3.8.6",
        seen: &[Fields, State],
        timed: false,
        sentence: "A usable window below zero is survived.",
    },
    Requirement {
        id: "MUST-35",
        clause: "3.8.6",
        seen: &[Wire, Fields],
        timed: false,
        sentence: "A window shrunk to zero is probed.",
    },
    Requirement {
        id: "MUST-36",
        clause: "3.8.6.1",
        seen: &[Wire, Fields],
        timed: false,
        sentence: "A zero window is probed.",
    },
    Requirement {
        id: "SHLD-29",
        clause: "3.8.6.1",
        seen: &[Wire],
        timed: true,
        sentence: "The first probe of a zero window waits one retransmission timeout.",
    },
    Requirement {
        id: "SHLD-30",
        clause: "3.8.6.1",
        seen: &[Wire, Fields],
        timed: true,
        sentence: "The interval between probes of a zero window doubles.",
    },
    Requirement {
        id: "MAY-8",
        clause: "3.8.6.1",
        seen: &[Wire],
        timed: false,
        sentence: "A receiver may keep its window closed for ever.",
    },
    Requirement {
        id: "MUST-37",
        clause: "3.8.6.1",
        seen: &[State, Wire],
        timed: true,
        sentence: "While probes of a zero window are answered the connection stays.",
    },
    Requirement {
        id: "MUST-66",
        clause: "3.4",
        seen: &[State, Wire],
        timed: false,
        sentence: "RST and URG count at a zero window too.",
    },
    Requirement {
        id: "MUST-38",
        clause: "3.8.6.2.1",
        seen: &[Wire],
        timed: false,
        sentence: "The sender avoids silly windows.",
    },
    Requirement {
        id: "MUST-39",
        clause: "3.8.6.2.2",
        seen: &[Wire, Fields],
        timed: false,
        sentence: "The receiver avoids silly windows.",
    },
    Requirement {
        id: "SHLD-7",
        clause: "3.7.4",
        seen: &[Wire, Fields],
        timed: false,
        sentence: "Nagle's algorithm gathers small segments.",
    },
    Requirement {
        id: "MUST-17",
        clause: "3.7.4",
        seen: &[Api, Wire],
        timed: false,
        sentence: "The application can switch Nagle's algorithm off.",
    },
    Requirement {
        id: "SHLD-18",
        clause: "3.8.6.3",
        seen: &[Wire],
        timed: false,
        sentence: "ACKs are delayed.",
    },
    Requirement {
        id: "MUST-40",
        clause: "3.8.6.3",
        seen: &[Wire],
        timed: true,
        sentence: "An ACK is delayed by less than half a second.",
    },
    Requirement {
        id: "SHLD-19",
        clause: "3.8.6.3",
        seen: &[Wire],
        timed: false,
        sentence: "Every second full segment is acknowledged.",
    },
    Requirement {
        id: "MUST-58",
        clause: "3.10.7.4",
        seen: &[Wire],
        timed: false,
        sentence: "ACKs are gathered where possible.",
    },
    Requirement {
        id: "MUST-59",
        clause: "3.10.7.4",
        seen: &[Wire],
        timed: false,
        sentence: "All queued segments are processed before any ACK is sent.",
    },
    Requirement {
        id: "SHLD-31",
        clause: "3.10.7.4",
        seen: &[Fields, Wire],
        timed: false,
        sentence: "Segments out of order are held.",
    },
    Requirement {
        id: "MAY-13",
        clause: "3.10.7.4",
        seen: &[Wire],
        timed: false,
        sentence: "A segment out of order may be acknowledged at once.",
    },
    Requirement {
        id: "MAY-15",
        clause: "3.9.1.2",
        seen: &[Api],
        timed: false,
        sentence: "SEND may have a PUSH flag.",
    },
    Requirement {
        id: "MUST-60",
        clause: "3.9.1.2",
        seen: &[Wire],
        timed: true,
        sentence: "Without a PUSH flag data is not kept waiting for ever.",
    },
    Requirement {
        id: "MUST-61",
        clause: "3.9.1.2",
        seen: &[Wire],
        timed: false,
        sentence: "Without a PUSH flag the last segment of what is queued carries PSH.",
    },
    Requirement {
        id: "SHLD-27",
        clause: "3.9.1.2",
        seen: &[Wire],
        timed: false,
        sentence: "Successive PSH flags are collapsed.",
    },
    Requirement {
        id: "MAY-16",
        clause: "3.9.1.2",
        seen: &[Wire],
        timed: false,
        sentence: "Data without PUSH may be gathered.",
    },
    Requirement {
        id: "SHLD-28",
        clause: "3.9.1.2",
        seen: &[Wire],
        timed: false,
        sentence: "Segments are as large as they may be.",
    },
    Requirement {
        id: "MAY-17",
        clause: "3.9.1.3",
        seen: &[Api],
        timed: false,
        sentence: "A received PSH may be told to the application.",
    },
    Requirement {
        id: "MAY-14",
        clause: "3.9.1.7",
        seen: &[Api],
        timed: false,
        sentence: "There may be a FLUSH call.",
    },
    Requirement {
        id: "MUST-47",
        clause: "3.9.1.8",
        seen: &[Api],
        timed: false,
        sentence: "Soft errors can be reported to the application.",
    },
    Requirement {
        id: "SHLD-20",
        clause: "3.9.1.8",
        seen: &[Api],
        timed: false,
        sentence: "Reports of soft errors can be switched off.",
    },
    Requirement {
        id: "MUST-48",
        clause: "3.9.1.9",
        seen: &[Api, Wire],
        timed: false,
        sentence: "The application sets DSCP.",
    },
    Requirement {
        id: "SHLD-21",
        clause: "3.9.1.9",
        seen: &[Api, Wire],
        timed: false,
        sentence: "The application can set DSCP while connected.",
    },
    Requirement {
        id: "SHLD-22",
        clause: "3.9.1.9",
        seen: &[Wire],
        timed: false,
        sentence: "The DSCP goes down to IP unchanged.",
    },
    Requirement {
        id: "SHLD-23",
        clause: "3.9.1.9",
        seen: &[],
        timed: false,
        sentence: "Applications do not change DSCP during a connection.",
    },
    Requirement {
        id: "MAY-9",
        clause: "3.9.1.9",
        seen: &[Api],
        timed: false,
        sentence: "A received DSCP may be told to the application.",
    },
    Requirement {
        id: "MUST-49",
        clause: "3.9.2",
        seen: &[Api, Wire],
        timed: false,
        sentence: "The TTL can be configured.",
    },
    Requirement {
        id: "MUST-50",
        clause: "3.9.2",
        seen: &[Wire, State],
        timed: false,
        sentence: "IP options that are not understood are ignored.",
    },
    Requirement {
        id: "MAY-10",
        clause: "3.9.2",
        seen: &[Wire],
        timed: false,
        sentence: "The IP timestamp option may be supported.",
    },
    Requirement {
        id: "MAY-11",
        clause: "3.9.2",
        seen: &[Wire],
        timed: false,
        sentence: "The record route option may be supported.",
    },
    Requirement {
        id: "MUST-51",
        clause: "3.9.2.1",
        seen: &[Api, Wire],
        timed: false,
        sentence: "The application can give a source route.",
    },
    Requirement {
        id: "MUST-52",
        clause: "3.9.2.1",
        seen: &[Wire],
        timed: false,
        sentence: "A source route of the application wins over a received one.",
    },
    Requirement {
        id: "MUST-53",
        clause: "3.9.2.1",
        seen: &[Wire],
        timed: false,
        sentence: "A passive OPEN uses a received source route backwards.",
    },
    Requirement {
        id: "SHLD-24",
        clause: "3.9.2.1",
        seen: &[Wire],
        timed: false,
        sentence: "A later source route wins over an earlier one.",
    },
    Requirement {
        id: "MUST-54",
        clause: "3.9.2.2",
        seen: &[Fields, Api],
        timed: false,
        sentence: "ICMP errors find their connection.",
    },
    Requirement {
        id: "MUST-55",
        clause: "3.9.2.2",
        seen: &[State, Fields],
        timed: false,
        sentence: "Source quench is ignored.",
    },
    Requirement {
        id: "MUST-56",
        clause: "3.9.2.2",
        seen: &[State, Api],
        timed: false,
        sentence: "A soft ICMP error never aborts.",
    },
    Requirement {
        id: "SHLD-25",
        clause: "3.9.2.2",
        seen: &[Api],
        timed: false,
        sentence: "The application can see a soft ICMP error.",
    },
    Requirement {
        id: "SHLD-26",
        clause: "3.9.2.2",
        seen: &[State, Api],
        timed: false,
        sentence: "A hard ICMP error aborts.",
    },
    Requirement {
        id: "MAY-12",
        clause: "3.10.7.4",
        seen: &[Wire, Fields],
        timed: false,
        sentence: "The ACK field may be held to a range.",
    },
];

#[cfg(test)]
mod tests {
    use super::{Class, REQUIREMENTS, Requirement};

    #[test]
    fn a_class_has_its_letter() {
        let classes = [Class::State, Class::Fields, Class::Wire, Class::Api];
        assert_eq!(classes.map(Class::letter), ['S', 'T', 'W', 'A']);
    }

    #[test]
    fn there_are_69_must_31_shld_18_may_and_1_rec_each_once() {
        let count = |prefix: &str| REQUIREMENTS.iter().filter(|r| r.id.starts_with(prefix)).count();
        assert_eq!(["MUST-", "SHLD-", "MAY-", "REC-"].map(count), [69, 31, 18, 1]);
        for requirement in &REQUIREMENTS {
            assert_eq!(Requirement::from_id(requirement.id), Some(requirement), "{}", requirement.id);
            assert!(requirement.clause.starts_with("3.") && requirement.sentence.ends_with('.'));
        }
    }
}
