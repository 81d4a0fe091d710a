//! Where another reading of the profile could make a difference to a step.

use super::departure::{Departures, Place};
use crate::event::{Call, Event, Timer};
use crate::rule::{Rule, Trail};
use crate::segment::{Flags, Segment};
use crate::state::State;
use crate::tcb::Tcb;

/// A step under the profile as it is.
pub(super) struct Seen<'a> {
    pub before: &'a Tcb,
    pub event: &'a Event,
    pub trail: &'a Trail,
    pub after: &'a Tcb,
}

impl Seen<'_> {
    /// The departures that could make a difference to this step. Rough: where turning a switch makes none after all,
    /// nothing comes of it.
    pub(super) fn other_readings(&self) -> Departures {
        let rules = self.trail.as_slice().iter();
        let set = rules.fold(Departures::NONE, |set, rule| set.with(of_rule(*rule)));
        let set = set.with(self.of_state());
        match self.event {
            Event::Arrives(segment) => set.with(self.of_segment(segment)),
            Event::Icmp(_) => set.with(all([Place::HardIcmp, Place::SoftIcmp])),
            Event::Call(call) => set.with(self.of_call(call)).with(self.of_reset()),
            Event::Expires(Timer::Retransmit) if self.before.state == State::SynSent => {
                set.with(Departures::at(Place::R2Syn))
            }
            Event::Expires(Timer::Retransmit) => set.with(all([Place::R2])).with(self.of_reset()),
            Event::Expires(_) => set.with(self.of_reset()),
            Event::Transmit => set,
        }
    }

    fn of_call(&self, call: &Call) -> Departures {
        match call {
            // Text left unread is discarded, or resets.
            Call::Close { reader_gone: true } if self.before.rcv.is_unread() => {
                all([Place::HalfDuplexClose, Place::TimeWaitWithoutUser])
            }
            _ => Departures::NONE,
        }
    }

    /// A reset of our own, beyond a window that the peer has taken back.
    fn of_reset(&self) -> Departures {
        let snd = &self.before.snd;
        let ends = self.before.state.is_synchronized() && self.after.state == State::Closed;
        if ends && (snd.una + snd.wnd).lt(snd.nxt) { all([Place::ResetAtEdge]) } else { Departures::NONE }
    }

    fn of_segment(&self, segment: &Segment) -> Departures {
        let rcv = &self.before.rcv;
        let fin = segment.has(Flags::FIN);
        let places = [
            (segment.has(Flags::RST) && self.before.state == State::TimeWait, Place::TimeWaitUnchallenged),
            (segment.has(Flags::RST) && !rcv.held.is_empty(), Place::ResetBehindHeld),
            (self.is_open() && segment.seq == rcv.nxt + rcv.wnd, Place::EmptyAtEdge),
            (fin && self.peer_has_closed(), Place::SecondFinCounts),
            (fin && !rcv.held.is_empty(), Place::FinEndsStream),
            (self.is_orphan(), Place::OrphanMinisockets),
            (self.is_orphan() && segment.seq_len() > 0, Place::LateFinResets),
            (self.tells_a_window_out_of_turn(segment), Place::WindowByProgress),
            (self.is_open() && is_without_meaning(segment), Place::Ackless),
            (segment.has(Flags::RST), Place::Rfc5961Rst),
            (segment.has(Flags::RST), Place::ResetBeforeFin),
            (segment.has(Flags::SYN), Place::Rfc5961Syn),
            (segment.has(Flags::SYN), Place::Rfc6191),
            (segment.has(Flags::SYN), Place::SynExtras),
            (segment.has(Flags::SYN_ACK), Place::Figure7),
            (segment.has(Flags::ACK) && segment.ack.lt(self.before.snd.una), Place::AckFloor),
            (segment.has(Flags::ACK) && segment.ack.lt(self.before.snd.una), Place::OldAckRefused),
            (segment.has(Flags::RST) && self.before.state == State::SynReceived, Place::HalfOpenReset),
            (self.is_open() && segment.has(Flags::ACK) && segment.window == 0, Place::ClosedWindow),
            (self.is_open() && segment.end().gt(rcv.nxt + rcv.wnd), Place::TextAtEdge),
            (self.is_open() && fin && segment.end().gt(rcv.nxt + rcv.wnd), Place::FinBeyondEdge),
            (self.lacks_timestamps(segment), Place::TimestampsOptional),
            (segment.len > 0 && self.peer_has_closed(), Place::TextAfterFin),
        ];
        places
            .iter()
            .filter(|(matters, _)| *matters)
            .fold(Departures::NONE, |set, (_, place)| set.with(Departures::at(*place)))
    }

    fn is_orphan(&self) -> bool {
        matches!(self.before.state, State::FinWait1 | State::FinWait2) && self.before.rcv.reader_gone
    }

    const fn is_open(&self) -> bool {
        !matches!(self.before.state, State::Closed | State::Listen | State::SynSent)
    }

    /// A window that counts by the order of segments and not by what they bring, or the other way about.
    fn tells_a_window_out_of_turn(&self, segment: &Segment) -> bool {
        let snd = &self.before.snd;
        let shift = self.before.agreed.scale.map_or(0, |(theirs, _)| u32::from(theirs));
        let window = u32::from(segment.window) << shift.min(14);
        let (later, same) = (snd.wl1.lt(segment.seq), snd.wl1 == segment.seq);
        let by_order = later || same && snd.wl2.le(segment.ack);
        let new = segment.ack.gt(snd.una) && segment.ack.le(snd.nxt);
        let by_progress = new || later || same && (window > snd.wnd || window == 0);
        let known = (snd.wl1, snd.wl2, snd.wnd) == (segment.seq, segment.ack, window);
        segment.has(Flags::ACK) && by_order != by_progress && !known
    }

    fn lacks_timestamps(&self, segment: &Segment) -> bool {
        self.before.agreed.timestamps.is_some() && segment.options.timestamps.is_none()
    }

    fn peer_has_closed(&self) -> bool {
        matches!(self.before.state, State::CloseWait | State::Closing | State::LastAck)
    }

    /// What becomes of a reopened TIME-WAIT, and how long the state lasts that is entered.
    fn of_state(&self) -> Departures {
        let (before, after) = (self.before, self.after);
        let orphan = |tcb: &Tcb| tcb.state == State::FinWait2 && tcb.rcv.reader_gone;
        let gives_up = before.state == State::SynReceived && after.state != State::Established;
        if gives_up && before.former.is_some() && after.state != before.state {
            Departures::at(Place::ReopenFallsBack)
        } else if after.state == State::TimeWait && before.state != State::TimeWait {
            Departures::at(Place::TimeWait)
        } else if orphan(after) && !orphan(before) {
            Departures::at(Place::FinWait2)
        } else {
            Departures::NONE
        }
    }
}

/// None of the control bits that a socket of Linux looks for.
const fn is_without_meaning(segment: &Segment) -> bool {
    !segment.has(Flags::ACK) && !segment.has(Flags::RST) && !segment.has(Flags::SYN)
}

const fn all<const N: usize>(places: [Place; N]) -> Departures {
    let mut set = Departures::NONE;
    let mut index = 0;
    while index < N {
        set = set.with(Departures::at(places[index]));
        index += 1;
    }
    set
}

/// The departures that may take another rule, or none, in place of this one.
const fn of_rule(rule: Rule) -> Departures {
    match rule {
        Rule::Seq1 => all([Place::LooseEdges]),
        Rule::Seq5 => all([Place::HalfOpenRequests, Place::LooseEdges]),
        Rule::Seq2 => all([Place::DuplicateSyn, Place::HalfOpenRequests, Place::LooseEdges]),
        Rule::Seq2t => all([Place::FinAgain, Place::TimeWait]),
        Rule::Seq3 => all([Place::DuplicateSyn, Place::FinAgain, Place::HalfOpenRequests, Place::LooseEdges]),
        Rule::Seq4 => all([Place::AckAtZeroWindow, Place::HalfOpenRequests]),
        Rule::Syn1 => {
            all([Place::ReturnToListen, Place::Challenge, Place::ResetAndForget, Place::HalfOpenRequests])
        }
        Rule::Syn2 => all([Place::HalfOpenRequests]),
        Rule::Rst5 | Rule::Rst6 => all([Place::Rfc1337]),
        Rule::Ack1 => all([Place::Rfc5961Ack, Place::AckFloor, Place::UnsentAck]),
        Rule::Ack2 => all([Place::OldAck]),
        Rule::Ack3 => all([Place::BadAck, Place::OldAck, Place::HalfOpenRequests]),
        Rule::Ack6 => all([Place::Rfc5961Ack]),
        Rule::Ack10 => all([Place::SecondFin]),
        Rule::Ack13 => all([Place::PartialAck]),
        Rule::Ack14 => all([Place::FinAgain, Place::TimeWait]),
        Rule::Txt2 => all([Place::HalfDuplexClose]),
        Rule::Fin5 => all([Place::SecondFin]),
        Rule::Fin6 => all([Place::SecondFin, Place::TimeWait]),
        Rule::SegSs6 => all([Place::WindowFromSynAck]),
        Rule::Close9 => all([Place::LastAckEntry]),
        Rule::Abort3 => all([Place::AfterReset]),
        Rule::TmoUser => all([Place::UserTimeoutResets]),
        Rule::TmoKeep => all([Place::KeepAliveResets]),
        _ => Departures::NONE,
    }
}
