//! Named departures from a profile: what turns a violation into a deviation.

use core::fmt;

use crate::event::{Call, Event};
use crate::profile::{LINUX, Profile, RFC9293_INTENT, SynInSynReceived};
use crate::rule::{Rule, Trail};
use crate::segment::{Flags, Segment};
use crate::state::State;
use crate::tcb::Tcb;

/// One switch of a profile, and when it can make a difference.
#[derive(Clone, Copy, Debug)]
pub struct Departure {
    /// The profile's field, or the habit's name.
    pub name: &'static str,
    turn: fn(&mut Profile),
    /// Rough: where turning it makes no difference after all, nothing comes of it.
    matters: fn(&Seen<'_>) -> bool,
}

/// A step under the profile as it is.
pub(super) struct Seen<'a> {
    pub before: &'a Tcb,
    pub event: &'a Event,
    pub trail: &'a Trail,
    pub after: &'a Tcb,
}

impl Seen<'_> {
    fn segment(&self) -> Option<&Segment> {
        match self.event {
            Event::Arrives(segment) => Some(segment),
            _ => None,
        }
    }

    fn arrives(&self, flags: Flags) -> bool {
        self.segment().is_some_and(|segment| segment.has(flags))
    }

    fn took(&self, rules: &[Rule]) -> bool {
        rules.iter().any(|rule| self.trail.contains(*rule))
    }

    fn entered(&self, state: State) -> bool {
        self.after.state == state && self.before.state != state
    }
}

/// Index of the first habit that is no switch of a profile.
const HABITS: usize = 24;

/// Every departure that the oracle knows: switches of [`Profile`], turned the other way, and three habits.
pub const DEPARTURES: [Departure; 27] = [
    Departure { name: "rfc5961_rst", turn: |p| p.rfc5961_rst ^= true, matters: |s| s.arrives(Flags::RST) },
    Departure { name: "rfc5961_syn", turn: |p| p.rfc5961_syn ^= true, matters: |s| s.arrives(Flags::SYN) },
    Departure {
        name: "rfc5961_ack",
        turn: |p| p.rfc5961_ack ^= true,
        matters: |s| s.took(&[Rule::Ack1, Rule::Ack6]),
    },
    Departure { name: "rfc6191", turn: |p| p.rfc6191 ^= true, matters: |s| s.arrives(Flags::SYN) },
    Departure {
        name: "rfc1337",
        turn: |p| p.rfc1337 ^= true,
        matters: |s| s.took(&[Rule::Rst5, Rule::Rst6]),
    },
    Departure { name: "figure_7", turn: |p| p.figure_7 ^= true, matters: |s| s.arrives(Flags::SYN_ACK) },
    Departure {
        name: "after_reset",
        turn: |p| p.after_reset = p.after_reset.other(),
        matters: |s| s.took(&[Rule::Abort3]),
    },
    Departure {
        name: "syn_in_syn_received: return to LISTEN",
        turn: |p| p.syn_in_syn_received = SynInSynReceived::ReturnToListen,
        matters: |s| s.took(&[Rule::Syn1]),
    },
    Departure {
        name: "syn_in_syn_received: challenge",
        turn: |p| p.syn_in_syn_received = SynInSynReceived::Challenge,
        matters: |s| s.took(&[Rule::Syn1]),
    },
    Departure {
        name: "syn_in_syn_received: reset and forget",
        turn: |p| p.syn_in_syn_received = SynInSynReceived::ResetAndForget,
        matters: |s| s.took(&[Rule::Syn1]),
    },
    Departure {
        name: "duplicate_syn_draws_syn_ack",
        turn: |p| p.duplicate_syn_draws_syn_ack ^= true,
        matters: |s| s.took(&[Rule::Seq2, Rule::Seq3]),
    },
    Departure {
        name: "bad_ack",
        turn: |p| p.bad_ack = p.bad_ack.other(),
        matters: |s| s.took(&[Rule::Ack3]),
    },
    Departure {
        name: "fin_again_restarts, time_wait_ack",
        turn: |p| {
            p.fin_again_restarts ^= true;
            p.time_wait_ack = p.time_wait_ack.other();
        },
        matters: |s| s.took(&[Rule::Seq2t, Rule::Seq3, Rule::Ack14]),
    },
    Departure {
        name: "last_ack_entry",
        turn: |p| p.last_ack_entry = p.last_ack_entry.other(),
        matters: |s| s.took(&[Rule::Close9]),
    },
    Departure {
        name: "window_from_syn_ack",
        turn: |p| p.window_from_syn_ack ^= true,
        matters: |s| s.took(&[Rule::SegSs6]),
    },
    Departure {
        name: "ack_at_zero_window",
        turn: |p| p.ack_at_zero_window ^= true,
        matters: |s| s.took(&[Rule::Seq4]),
    },
    Departure {
        name: "user_timeout_resets",
        turn: |p| p.user_timeout_resets ^= true,
        matters: |s| s.took(&[Rule::TmoUser]),
    },
    Departure {
        name: "syn_extras",
        turn: |p| p.syn_extras = p.syn_extras.other(),
        matters: |s| s.arrives(Flags::SYN),
    },
    Departure {
        name: "partial_ack_in_last_ack",
        turn: |p| p.partial_ack_in_last_ack ^= true,
        matters: |s| s.took(&[Rule::Ack13]),
    },
    Departure {
        name: "reset_before_fin",
        turn: |p| p.reset_before_fin ^= true,
        matters: |s| s.arrives(Flags::RST),
    },
    Departure {
        name: "half_duplex_close",
        turn: |p| p.half_duplex_close ^= true,
        matters: |s| {
            s.took(&[Rule::Close11, Rule::Txt2])
                || (matches!(s.event, Event::Call(Call::Close { reader_gone: true }))
                    && s.before.rcv.readable > 0)
        },
    },
    Departure {
        name: "time_wait",
        turn: |p| {
            let (minute, four) = (LINUX.limits.time_wait, RFC9293_INTENT.limits.time_wait);
            p.limits.time_wait = if p.limits.time_wait == minute { four } else { minute };
        },
        matters: |s| s.entered(State::TimeWait) || s.took(&[Rule::Seq2t, Rule::Fin6, Rule::Ack14]),
    },
    Departure {
        name: "fin_wait_2",
        turn: |p| p.fin_wait_2 = if p.fin_wait_2.is_some() { None } else { LINUX.fin_wait_2 },
        matters: |s| {
            s.after.state == State::FinWait2
                && s.after.rcv.reader_gone
                && (s.before.state != State::FinWait2 || !s.before.rcv.reader_gone)
        },
    },
    Departure {
        name: "r2",
        turn: |p| {
            let (one, other) = (LINUX.limits, RFC9293_INTENT.limits);
            let from = if p.limits.r2 == one.r2 { other } else { one };
            (p.limits.r2, p.limits.r2_syn, p.limits.r2_syn_ack) = (from.r2, from.r2_syn, from.r2_syn_ack);
        },
        matters: |s| s.took(&[Rule::TmoRtx, Rule::TmoR2]),
    },
    Departure { name: "unanswered segment", turn: |_| {}, matters: |_| false },
    Departure { name: "early retransmission", turn: |_| {}, matters: |_| false },
    Departure { name: "options of a crossed SYN", turn: |_| {}, matters: |_| false },
];

/// A set of departures, by their places in [`DEPARTURES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Departures(u32);

impl Departures {
    /// None.
    pub const NONE: Self = Self(0);
    /// A segment that was dropped stayed without the ACK that check 1 gives it (`tcp_oow_rate_limited`).
    pub const UNANSWERED: Self = Self(1 << HABITS);
    /// Something was sent again before the retransmission timeout and without three duplicate ACKs (RFC 8985).
    pub const EARLY_RETRANSMISSION: Self = Self(1 << (HABITS + 1));

    /// The SYN,ACK of a simultaneous open repeats options of our own SYN that the peer's SYN did not offer (RFC 7323, 2.2).
    pub const CROSSED_OPTIONS: Self = Self(1 << (HABITS + 2));

    /// The departure at this place.
    #[must_use]
    pub const fn of(index: usize) -> Self {
        Self(1 << (index % DEPARTURES.len()))
    }

    /// True when there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Those in either.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those in both.
    #[must_use]
    pub const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that `other` has not.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those in the set.
    pub fn iter(self) -> impl Iterator<Item = &'static Departure> {
        DEPARTURES.iter().enumerate().filter(move |(n, _)| self.0 & (1 << n) != 0).map(|(_, d)| d)
    }

    /// The profile with all of them.
    #[must_use]
    pub fn apply(self, profile: &Profile) -> Profile {
        let mut turned = *profile;
        for departure in self.iter() {
            (departure.turn)(&mut turned);
        }
        turned
    }
}

/// The departures that could make a difference to this step.
pub(super) fn that_matter(seen: &Seen<'_>) -> Departures {
    let quiet = match seen.event {
        // Text and ACKs of an open connection, as nearly all segments are: nothing to turn.
        Event::Arrives(segment) => {
            !segment.has(Flags::RST)
                && !segment.has(Flags::SYN)
                && matches!(seen.before.state, State::Established | State::CloseWait)
                && !seen.took(&[Rule::Seq4, Rule::Ack1, Rule::Ack6, Rule::Txt2])
        }
        Event::Call(Call::Send { .. } | Call::Receive { .. } | Call::Open { .. } | Call::Status) => true,
        _ => false,
    };
    let mut set = Departures::NONE;
    if quiet {
        return set;
    }
    for (index, departure) in DEPARTURES.iter().enumerate() {
        if (departure.matters)(seen) {
            set = set.with(Departures::of(index));
        }
    }
    set
}

impl fmt::Display for Departures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for departure in self.iter() {
            write!(f, "{separator}{}", departure.name)?;
            separator = "; ";
        }
        if separator.is_empty() { f.write_str("-") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{DEPARTURES, Departures, HABITS};
    use crate::profile::{LINUX, RFC9293_INTENT, RFC9293_LITERAL};

    #[test]
    fn a_switch_changes_a_profile_and_turned_again_changes_it_back() {
        for (index, departure) in DEPARTURES.iter().enumerate() {
            // One of three readings: turned there, not back.
            let one_of_three = departure.name.starts_with("syn_in_syn_received");
            for profile in [RFC9293_LITERAL, RFC9293_INTENT, LINUX] {
                let turned = Departures::of(index).apply(&profile);
                assert_eq!(turned == profile, index >= HABITS || (one_of_three && turned == profile));
                // The two switches of contradiction 7 turn together.
                let both = turned.fin_again_restarts == profile.fin_again_restarts;
                assert_eq!(both, turned.time_wait_ack == profile.time_wait_ack);
                let again = Departures::of(index).apply(&turned);
                assert_eq!(again, if one_of_three { turned } else { profile }, "{}", departure.name);
            }
        }
    }

    #[test]
    fn a_set_of_departures() {
        let (one, other) = (Departures::of(0), Departures::of(3));
        let both = one.with(other);
        assert_eq!((both.len(), both.without(one), both.both(other)), (2, other, other));
        assert_eq!(both.with(one), both);
        assert!(Departures::NONE.is_empty() && !both.is_empty());
        assert_eq!(both.to_string(), "rfc5961_rst; rfc6191");
        assert_eq!(Departures::NONE.to_string(), "-");
        let habits = Departures::UNANSWERED.with(Departures::EARLY_RETRANSMISSION);
        assert_eq!(habits.to_string(), "unanswered segment; early retransmission");
    }

    extern crate std;
    use std::string::ToString;
}
