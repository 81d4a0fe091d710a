//! Where another reading of the profile could make a difference to a step.

use super::departure::{Departures, Place};
use crate::event::{Call, Event};
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
            // Text left unread is discarded, or resets.
            Event::Call(Call::Close { reader_gone: true }) if self.before.rcv.readable > 0 => {
                set.with(Departures::at(Place::HalfDuplexClose))
            }
            _ => set,
        }
    }

    fn of_segment(&self, segment: &Segment) -> Departures {
        let places = [
            (segment.has(Flags::RST), Place::Rfc5961Rst),
            (segment.has(Flags::RST), Place::ResetBeforeFin),
            (segment.has(Flags::SYN), Place::Rfc5961Syn),
            (segment.has(Flags::SYN), Place::Rfc6191),
            (segment.has(Flags::SYN), Place::SynExtras),
            (segment.has(Flags::SYN_ACK), Place::Figure7),
            (segment.has(Flags::ACK) && segment.ack.lt(self.before.snd.una), Place::AckFloor),
            (self.lacks_timestamps(segment), Place::TimestampsOptional),
            (segment.len > 0 && self.peer_has_closed(), Place::TextAfterFin),
        ];
        places
            .iter()
            .filter(|(matters, _)| *matters)
            .fold(Departures::NONE, |set, (_, place)| set.with(Departures::at(*place)))
    }

    fn lacks_timestamps(&self, segment: &Segment) -> bool {
        self.before.agreed.timestamps.is_some() && segment.options.timestamps.is_none()
    }

    fn peer_has_closed(&self) -> bool {
        matches!(self.before.state, State::CloseWait | State::Closing | State::LastAck)
    }

    /// How long the state lasts that is entered.
    fn of_state(&self) -> Departures {
        let (before, after) = (self.before, self.after);
        let orphan = |tcb: &Tcb| tcb.state == State::FinWait2 && tcb.rcv.reader_gone;
        if after.state == State::TimeWait && before.state != State::TimeWait {
            Departures::at(Place::TimeWait)
        } else if orphan(after) && !orphan(before) {
            Departures::at(Place::FinWait2)
        } else {
            Departures::NONE
        }
    }
}

/// The departures that may take another rule, or none, in place of this one.
const fn of_rule(rule: Rule) -> Departures {
    const fn all<const N: usize>(places: [Place; N]) -> Departures {
        let mut set = Departures::NONE;
        let mut index = 0;
        while index < N {
            set = set.with(Departures::at(places[index]));
            index += 1;
        }
        set
    }
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
        Rule::Ack1 => all([Place::Rfc5961Ack, Place::AckFloor]),
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
        Rule::TmoRtx | Rule::TmoR2 => all([Place::R2]),
        _ => Departures::NONE,
    }
}
