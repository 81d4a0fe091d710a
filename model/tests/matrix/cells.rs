//! The cells: what arrives, where it lies, and what comes of it.

use std::fmt;

use model::{
    Choices, Effect, Effects, Event, Flags, Origin, Profile, Segment, Seq, Signal, State, Tcb, Trail, step,
};

use crate::support;

/// A state to start from. SYN-RECEIVED counts once among the eleven, passively opened; `CROSSED` is the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start(State, Origin);

impl Start {
    pub const CROSSED: Self = Self(State::SynReceived, Origin::Active);
    pub const ALL: [Self; 12] = [
        Self(State::Closed, Origin::Passive),
        Self(State::Listen, Origin::Passive),
        Self(State::SynSent, Origin::Active),
        Self(State::SynReceived, Origin::Passive),
        Self::CROSSED,
        Self(State::Established, Origin::Active),
        Self(State::FinWait1, Origin::Active),
        Self(State::FinWait2, Origin::Active),
        Self(State::CloseWait, Origin::Active),
        Self(State::Closing, Origin::Active),
        Self(State::LastAck, Origin::Active),
        Self(State::TimeWait, Origin::Active),
    ];

    pub fn state(self) -> State {
        self.0
    }

    /// With 100 octets in flight where there can be any, so that an ACK has a middle to point at.
    fn tcb(self) -> Tcb {
        let mut tcb = match self.0 {
            State::Established | State::FinWait1 | State::CloseWait | State::Closing | State::LastAck => {
                support::in_flight(self.0, 100)
            }
            state => support::tcb(state),
        };
        tcb.origin = self.1;
        tcb
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        match self {
            Self(State::SynReceived, Origin::Passive) => f.write_str(", opened passively"),
            Self(State::SynReceived, Origin::Active) => {
                f.write_str(", opened actively (not among the eleven)")
            }
            _ => Ok(()),
        }
    }
}

/// The five bits of a flag set.
pub const BITS: [(Flags, &str); 5] =
    [(Flags::RST, "RST"), (Flags::SYN, "SYN"), (Flags::ACK, "ACK"), (Flags::FIN, "FIN"), (Flags::URG, "URG")];
pub const SEQS: [&str; 7] = ["old", "nxt-1", "nxt", "nxt+1", "edge-1", "edge", "far"];
pub const ACKS: [&str; 7] = ["low", "una-1", "una", "mid", "nxt", "nxt+1", "far"];
pub const TEXTS: [u32; 3] = [0, 1, 10_000];

/// Coordinates: five bits, then places in `SEQS`, `ACKS` and `TEXTS`.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    start: Start,
    pub at: [usize; 8],
}

pub const SIZES: [usize; 8] = [2, 2, 2, 2, 2, SEQS.len(), ACKS.len(), TEXTS.len()];

pub fn all(start: Start) -> impl Iterator<Item = Cell> {
    (0..SIZES.iter().product()).map(move |mut number: usize| {
        let mut at = [0; 8];
        for (place, size) in at.iter_mut().zip(SIZES).rev() {
            *place = number % size;
            number /= size;
        }
        Cell { start, at }
    })
}

impl Cell {
    fn segment(&self, tcb: &Tcb) -> Segment {
        let [.., seq, ack, text] = self.at;
        let (rcv, snd) = (&tcb.rcv, &tcb.snd);
        let left = if self.start.0.is_synchronized() || self.start.0 == State::SynReceived {
            rcv.nxt
        } else {
            Seq(5001)
        };
        let seq = match SEQS[seq] {
            "old" => left - 20_000,
            "nxt-1" => left - 1,
            "nxt" => left,
            "nxt+1" => left + 1,
            "edge-1" => left + 9_999,
            "edge" => left + 10_000,
            _ => left + (1 << 30),
        };
        let ack = match ACKS[ack] {
            "low" => snd.una - 10_001,
            "una-1" => snd.una - 1,
            "una" => snd.una,
            "mid" => snd.una + (snd.nxt - snd.una) / 2,
            "nxt" => snd.nxt,
            "nxt+1" => snd.nxt + 1,
            _ => snd.nxt + (1 << 30),
        };
        let mut flags = Flags::NONE;
        for (bit, place) in BITS.iter().zip(self.at) {
            if place == 1 {
                flags = flags | bit.0;
            }
        }
        Segment { seq, ack, flags, window: 10_000, urgent: 1, len: TEXTS[text], ..Segment::default() }
    }
}

fn take(cell: &Cell, profile: &Profile) -> (Trail, Tcb, Tcb, Effects) {
    let before = cell.start.tcb();
    let mut after = before;
    let mut out = Effects::new();
    let choices = Choices { iss: Seq(1000), ..Choices::default() };
    let event = Event::Arrives(cell.segment(&before));
    let trail = step(&mut after, 0, &event, profile, &choices, &mut out);
    assert!(!out.overflowed(), "{cell:?}");
    (trail, before, after, out)
}

pub fn run(cell: &Cell, profile: &Profile) -> (Trail, State) {
    let (trail, _, after, _) = take(cell, profile);
    (trail, after.state)
}

/// The outcome with and without URG in one, when URG only adds its rule.
pub fn outcome(cell: &Cell, profile: &Profile) -> String {
    let [bare, urgent] = [0, 1].map(|urg| {
        let mut cell = *cell;
        cell.at[4] = urg;
        full_outcome(&cell, profile)
    });
    for (rule, note) in [(" urg-1", " (urg-1 if URG)"), (" urg-2", " (urg-2 if URG)")] {
        if urgent.replace(rule, "").replace("; urgent", "") == bare && urgent.contains(rule) {
            return bare.replacen(" ->", &format!("{note} ->"), 1);
        }
    }
    if cell.at[4] == 1 { urgent } else { bare }
}

fn full_outcome(cell: &Cell, profile: &Profile) -> String {
    let (trail, before, after, out) = take(cell, profile);
    let mut text = format!("{trail} -> {}", after.state);
    for effect in out.iter() {
        match effect {
            Effect::Send(segment) => text += &format!("; {}", form(segment, &cell.segment(&before))),
            Effect::Signal(signal) => text += &format!("; {}", name(*signal)),
            _ => {}
        }
    }
    text
}

/// The forms of the RFC: RST1 = at the number acknowledged, RST0 = at 0 and acknowledging, RSTN = at SND.NXT.
fn form(segment: &Segment, arrived: &Segment) -> &'static str {
    let flags = segment.flags;
    if flags == Flags::RST_ACK {
        "RST0"
    } else if flags == Flags::RST && arrived.has(Flags::ACK) && segment.seq == arrived.ack {
        "RST1"
    } else if flags == Flags::RST {
        "RSTN"
    } else if flags == Flags::SYN_ACK {
        "SYN+ACK"
    } else if flags.has(Flags::FIN) {
        "FIN"
    } else if segment.len > 0 {
        "text"
    } else {
        "ACK"
    }
}

fn name(signal: Signal) -> String {
    match signal {
        Signal::Sent(_) => "sent".to_owned(),
        Signal::Urgent(_) => "urgent".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}
