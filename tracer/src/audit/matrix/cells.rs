//! The cells: every segment that may arrive in every state.

use std::fmt::Write as _;

/// A state to start from: its name, and how a connection of the name `c` gets there.
pub struct Start {
    /// In the RFC's words.
    pub name: &'static str,
    /// What happens once, before all connections.
    pub before: &'static str,
    /// What happens on the connection, `@` standing for its name.
    pub steps: &'static [&'static str],
    /// SND.NXT less SND.UNA: a SYN or FIN of the kernel that is not acknowledged. None: the kernel has no numbers.
    pub in_flight: Option<u32>,
    /// Whether the kernel has offered a window.
    pub window: bool,
}

const CONNECTED: [&str; 4] = ["user@ connect", "kernel@ SYN", "peer@ SYN,ACK mss=1460", "kernel@ ACK"];

macro_rules! connected {
    ($($step:literal),*) => {
        &[CONNECTED[0], CONNECTED[1], CONNECTED[2], CONNECTED[3], $($step),*]
    };
}

/// The eleven states, SYN-RECEIVED once for each side that may have opened.
pub const STARTS: [Start; 12] = [
    Start { name: "CLOSED", before: "", steps: &[], in_flight: None, window: false },
    Start { name: "LISTEN", before: "user listen", steps: &[], in_flight: None, window: false },
    Start {
        name: "SYN-SENT",
        before: "",
        steps: &["user@ connect", "kernel@ SYN"],
        in_flight: Some(1),
        window: false,
    },
    Start {
        name: "SYN-RECEIVED (passive)",
        before: "user listen",
        steps: &["peer@ SYN mss=1460", "kernel@ SYN,ACK"],
        in_flight: Some(1),
        window: true,
    },
    Start {
        name: "SYN-RECEIVED (active)",
        before: "",
        steps: &["user@ connect", "kernel@ SYN", "peer@ SYN mss=1460", "kernel@ SYN,ACK"],
        in_flight: Some(1),
        window: true,
    },
    Start { name: "ESTABLISHED", before: "", steps: connected![], in_flight: Some(0), window: true },
    Start {
        name: "FIN-WAIT-1",
        before: "",
        steps: connected!["user@ shutdown wr", "kernel@ FIN,ACK"],
        in_flight: Some(1),
        window: true,
    },
    Start {
        name: "FIN-WAIT-2",
        before: "",
        steps: connected!["user@ shutdown wr", "kernel@ FIN,ACK", "peer@ ACK"],
        in_flight: Some(0),
        window: true,
    },
    Start {
        name: "CLOSE-WAIT",
        before: "",
        steps: connected!["peer@ FIN,ACK", "kernel@ ACK"],
        in_flight: Some(0),
        window: true,
    },
    Start {
        name: "CLOSING",
        before: "",
        steps: connected!["user@ shutdown wr", "kernel@ FIN,ACK", "peer@ FIN,ACK ack=1", "kernel@ ACK"],
        in_flight: Some(1),
        window: true,
    },
    Start {
        name: "LAST-ACK",
        before: "",
        steps: connected!["peer@ FIN,ACK", "kernel@ ACK", "user@ shutdown wr", "kernel@ FIN,ACK"],
        in_flight: Some(1),
        window: true,
    },
    Start {
        name: "TIME-WAIT",
        before: "",
        steps: connected!["user@ shutdown wr", "kernel@ FIN,ACK", "peer@ FIN,ACK", "kernel@ ACK"],
        in_flight: Some(0),
        window: true,
    },
];

/// The flag sets.
pub const FLAGS: [&str; 11] =
    ["none", "ACK", "SYN", "SYN,ACK", "RST", "RST,ACK", "FIN", "FIN,ACK", "URG,ACK", "SYN,FIN", "SYN,RST"];

/// Where the segment begins: a name and how a scenario says it.
pub const SEQS: [(&str, &str); 7] = [
    ("old", "-20000"),
    ("nxt-1", "-1"),
    ("nxt", "+0"),
    ("nxt+1", "+1"),
    ("edge-1", "edge-1"),
    ("edge", "edge"),
    ("far", "+1073741824"),
];

/// What it acknowledges, counted from SND.UNA or from SND.NXT.
pub const ACKS: [(&str, Base, i64); 6] = [
    ("low", Base::Una, -100_001),
    ("una-1", Base::Una, -1),
    ("una", Base::Una, 0),
    ("nxt", Base::Nxt, 0),
    ("nxt+1", Base::Nxt, 1),
    ("far", Base::Nxt, 1 << 30),
];

/// From where an ACK counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// SND.UNA.
    Una,
    /// SND.NXT.
    Nxt,
}

/// Octets of text.
pub const TEXTS: [u32; 2] = [0, 10];

/// The number of cells of one family.
pub const COUNT: usize = STARTS.len() * ROW * FLAGS.len();

/// The cells of one state and flag set.
pub const ROW: usize = SEQS.len() * ACKS.len() * TEXTS.len();

/// The segment of a cell as a scenario says it; none where the cell says nothing of its own.
pub fn segment(start: &Start, flags: &str, cell: usize) -> Option<String> {
    let (text, rest) = (TEXTS.get(cell % TEXTS.len())?, cell / TEXTS.len());
    let ((ack, base, offset), rest) = (ACKS.get(rest % ACKS.len())?, rest / ACKS.len());
    let (_, seq) = SEQS.get(rest)?;
    if seq.starts_with("edge") && !start.window {
        return None;
    }
    let mut words = format!("peer@ {flags} seq={seq} len={text}");
    if flags.contains("SYN") {
        words.push_str(" mss=1460");
    }
    if flags.contains("URG") {
        words.push_str(" urg=1");
    }
    if !flags.contains("ACK") {
        // Without ACK the field means nothing: one cell stands for all.
        return (*ack == "nxt").then_some(words);
    }
    match start.in_flight {
        // The kernel has no numbers: any one is as good.
        None if *ack == "nxt" => words.push_str(" ack=4711"),
        None => return None,
        Some(0) if *ack == "una" => return None,
        Some(in_flight) => {
            let from = if *base == Base::Una { -i64::from(in_flight) } else { 0 };
            let _ = write!(words, " ack={:+}", from + offset);
        }
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::{FLAGS, ROW, STARTS, segment};

    #[test]
    fn cells_that_say_the_same_are_left_out() {
        let count = |name: &str, flags: &str| {
            let start = STARTS.iter().find(|start| start.name == name).unwrap();
            (0..ROW).filter_map(|cell| segment(start, flags, cell)).count()
        };
        assert_eq!(count("CLOSED", "ACK"), 5 * 2);
        assert_eq!(count("LISTEN", "RST"), 5 * 2);
        assert_eq!(count("ESTABLISHED", "ACK"), 7 * 5 * 2);
        assert_eq!(count("CLOSING", "ACK"), 7 * 6 * 2);
        let all: usize = STARTS.iter().flat_map(|s| FLAGS.map(|f| count(s.name, f))).sum();
        assert_eq!(all, 4_836);
    }
}
