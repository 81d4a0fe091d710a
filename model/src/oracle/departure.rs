//! Named departures from a profile: what turns a violation into a deviation.

use core::fmt;

use crate::linux::DeviationId;
use crate::profile::{LINUX, LINUX_IN_DETAIL, Profile, RFC9293_INTENT, SynInSynReceived};

/// One switch of a profile turned the other way, or a habit.
#[derive(Clone, Copy, Debug)]
pub struct Departure {
    /// The profile's field, or the habit's name.
    pub name: &'static str,
    /// What Linux does here, where one reading is Linux's: the entry names the kernel function.
    pub linux: Option<DeviationId>,
    turn: fn(&mut Profile),
}

/// The table and, for each entry, its name in the code: [`Place`] is its place.
macro_rules! departures {
    ($($place:ident $name:literal $linux:expr, $turn:expr;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Place {
            $($place,)*
        }

        /// Every departure that the oracle knows: switches of [`Profile`], turned the other way, and habits.
        pub const DEPARTURES: [Departure; [$(Place::$place),*].len()] =
            [$(Departure { name: $name, linux: $linux, turn: $turn }),*];
    };
}

departures! {
    Rfc5961Rst "rfc5961_rst" None, |p| p.rfc5961_rst ^= true;
    Rfc5961Syn "rfc5961_syn" None, |p| p.rfc5961_syn ^= true;
    Rfc5961Ack "rfc5961_ack" Some(DeviationId::FastPathSkipsAckRange), |p| p.rfc5961_ack ^= true;
    Rfc6191 "rfc6191" None, |p| p.rfc6191 ^= true;
    Rfc1337 "rfc1337" Some(DeviationId::TimeWaitIgnoresReset), |p| p.rfc1337 ^= true;
    Figure7 "figure_7" Some(DeviationId::CrossedSynAckChallenged), |p| p.figure_7 ^= true;
    AfterReset "after_reset" None, |p| p.after_reset = p.after_reset.other();
    ReturnToListen "syn_in_syn_received: return to LISTEN" None,
        |p| p.syn_in_syn_received = SynInSynReceived::ReturnToListen;
    Challenge "syn_in_syn_received: challenge" None,
        |p| p.syn_in_syn_received = SynInSynReceived::Challenge;
    ResetAndForget "syn_in_syn_received: reset and forget" Some(DeviationId::SynResetsHalfOpen),
        |p| p.syn_in_syn_received = SynInSynReceived::ResetAndForget;
    DuplicateSyn "duplicate_syn_draws_syn_ack" Some(DeviationId::CrossedSynAgainChallenged),
        |p| p.duplicate_syn_draws_syn_ack ^= true;
    BadAck "bad_ack" None, |p| p.bad_ack = p.bad_ack.other();
    FinAgain "fin_again_restarts, time_wait_ack" None, |p| {
        p.fin_again_restarts ^= true;
        p.time_wait_ack = p.time_wait_ack.other();
    };
    LastAckEntry "last_ack_entry" Some(DeviationId::LastAckFinUnsent),
        |p| p.last_ack_entry = p.last_ack_entry.other();
    WindowFromSynAck "window_from_syn_ack" None, |p| p.window_from_syn_ack ^= true;
    AckAtZeroWindow "ack_at_zero_window" None, |p| p.ack_at_zero_window ^= true;
    UserTimeoutResets "user_timeout_resets" None, |p| p.user_timeout_resets ^= true;
    SynExtras "syn_extras" Some(DeviationId::SynAckPayloadIgnored), |p| p.syn_extras = p.syn_extras.other();
    PartialAck "partial_ack_in_last_ack" None, |p| p.partial_ack_in_last_ack ^= true;
    ResetBeforeFin "reset_before_fin" Some(DeviationId::ResetBeyondExact), |p| p.reset_before_fin ^= true;
    HalfDuplexClose "half_duplex_close" Some(DeviationId::UnreadDataReset), |p| p.half_duplex_close ^= true;
    TimeWait "time_wait" Some(DeviationId::TimeWait60s), |p| {
        let (minute, four) = (LINUX.limits.time_wait, RFC9293_INTENT.limits.time_wait);
        p.limits.time_wait = if p.limits.time_wait == minute { four } else { minute };
    };
    FinWait2 "fin_wait_2" Some(DeviationId::FinWait2Timeout),
        |p| p.fin_wait_2 = if p.fin_wait_2.is_some() { None } else { LINUX.fin_wait_2 };
    R2 "r2" Some(DeviationId::SynTimeoutTooShort), |p| {
        let (one, other) = (LINUX.limits, RFC9293_INTENT.limits);
        let from = if p.limits.r2 == one.r2 { other } else { one };
        (p.limits.r2, p.limits.r2_syn, p.limits.r2_syn_ack) = (from.r2, from.r2_syn, from.r2_syn_ack);
    };
    KeepAliveResets "keep_alive_resets" Some(DeviationId::KeepAliveReset), |p| p.keep_alive_resets ^= true;
    HalfOpenRequests "half_open_requests" Some(DeviationId::HalfOpenAckFirst), |p| p.half_open_requests ^= true;
    OldAck "handshake_by_old_ack" Some(DeviationId::HandshakeByOldAck), |p| p.handshake_by_old_ack ^= true;
    LooseEdges "loose_edges" Some(DeviationId::LooseWindowEdges), |p| p.loose_edges ^= true;
    AckFloor "ack_floor_by_acked" Some(DeviationId::AckFloorByAcked), |p| p.ack_floor_by_acked ^= true;
    TimestampsOptional "timestamps_optional" Some(DeviationId::TimestampsOptional),
        |p| p.timestamps_optional ^= true;
    TextAfterFin "text_after_fin_resets" Some(DeviationId::TextAfterFinResets),
        |p| p.text_after_fin_resets ^= true;
    SecondFin "second_fin_unanswered" Some(DeviationId::SecondFinUnanswered),
        |p| p.second_fin_unanswered ^= true;
    LinearSyns "linear_syns" Some(DeviationId::SynLinearTimeouts), |p| {
        let (some, none) = (LINUX_IN_DETAIL.limits.linear_syns, RFC9293_INTENT.limits.linear_syns);
        p.limits.linear_syns = if p.limits.linear_syns == none { some } else { none };
    };
    Unanswered "unanswered segment" Some(DeviationId::RateLimitedAnswer), |_| {};
    EarlyRetransmission "early retransmission" Some(DeviationId::TailLossProbe), |_| {};
    CrossedOptions "options of a crossed SYN" Some(DeviationId::CrossedSynScalesWindow), |_| {};
}

/// A set of departures, by their places in [`DEPARTURES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Departures(u64);

impl Departures {
    /// None.
    pub const NONE: Self = Self(0);
    /// All.
    pub const ALL: Self = Self((1 << DEPARTURES.len()) - 1);
    /// The timeout of a SYN that does not double at first (`tcp_retransmit_timer`).
    pub const LINEAR_SYNS: Self = Self::at(Place::LinearSyns);
    /// A segment that was dropped stayed without the ACK that check 1 gives it (`tcp_oow_rate_limited`).
    pub const UNANSWERED: Self = Self::at(Place::Unanswered);
    /// Something was sent again before the retransmission timeout and without three duplicate ACKs (RFC 8985).
    pub const EARLY_RETRANSMISSION: Self = Self::at(Place::EarlyRetransmission);
    /// The SYN,ACK of a simultaneous open repeats options of our own SYN that the peer's SYN did not offer (RFC 7323, 2.2).
    pub const CROSSED_OPTIONS: Self = Self::at(Place::CrossedOptions);

    pub(super) const fn at(place: Place) -> Self {
        Self(1 << place as u32)
    }

    /// The departure of this name, if there is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        DEPARTURES.iter().position(|departure| departure.name == name).map(|place| Self(1 << place))
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

    /// Each of the set by itself.
    pub(super) fn each(self) -> impl Iterator<Item = Self> {
        let mut left = self;
        (0..self.len()).map(move |_| {
            let lowest = Self(left.0 & left.0.wrapping_neg());
            left = left.without(lowest);
            lowest
        })
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
    use super::{DEPARTURES, Departures, Place};
    use crate::profile::{LINUX, LINUX_IN_DETAIL, RFC9293_INTENT, RFC9293_LITERAL};

    #[test]
    fn a_switch_changes_a_profile_and_turned_again_changes_it_back() {
        let habits = Place::Unanswered as usize;
        for (index, departure) in DEPARTURES.iter().enumerate() {
            let one = Departures(1 << index);
            // One of three readings: turned there, not back.
            let one_of_three = departure.name.starts_with("syn_in_syn_received");
            for profile in [RFC9293_LITERAL, RFC9293_INTENT, LINUX, LINUX_IN_DETAIL] {
                let turned = one.apply(&profile);
                assert_eq!(turned == profile, index >= habits || (one_of_three && turned == profile));
                // The two switches of contradiction 7 turn together.
                let both = turned.fin_again_restarts == profile.fin_again_restarts;
                assert_eq!(both, turned.time_wait_ack == profile.time_wait_ack);
                let again = one.apply(&turned);
                assert_eq!(again, if one_of_three { turned } else { profile }, "{}", departure.name);
            }
            assert_eq!(Departures::named(departure.name), Some(one));
        }
    }

    #[test]
    fn what_linux_does_in_detail_is_a_departure_each_and_says_where_the_kernel_does_it() {
        let detail = [
            ("keep_alive_resets", "tcp_keepalive_timer"),
            ("half_open_requests", "tcp_check_req"),
            ("handshake_by_old_ack", "tcp_rcv_state_process, tcp_ack"),
            ("loose_edges", "tcp_sequence"),
            ("ack_floor_by_acked", "tcp_ack"),
            ("timestamps_optional", "tcp_validate_incoming"),
            ("text_after_fin_resets", "tcp_rcv_state_process"),
            ("second_fin_unanswered", "tcp_rcv_state_process"),
            ("linear_syns", "tcp_retransmit_timer"),
        ];
        let mut all = Departures::NONE;
        for (name, function) in detail {
            let one = Departures::named(name).expect(name);
            let linux = one.iter().next().and_then(|departure| departure.linux).expect(name);
            assert_eq!(linux.deviation().function, function);
            all = all.with(one);
        }
        // What the audit's random conversations have found as well is named by the audit alone, which turns the profile's
        // switches one by one.
        let audits = crate::Profile {
            fin_occupies: LINUX.fin_occupies,
            second_fin_counts: LINUX.second_fin_counts,
            reset_at_edge: LINUX.reset_at_edge,
            time_wait_without_user: LINUX.time_wait_without_user,
            reset_behind_held: LINUX.reset_behind_held,
            orphan_minisockets: LINUX.orphan_minisockets,
            late_fin_resets: LINUX.late_fin_resets,
            window_by_progress: LINUX.window_by_progress,
            fin_ends_stream: LINUX.fin_ends_stream,
            ..LINUX_IN_DETAIL
        };
        let named = crate::Profile { name: LINUX_IN_DETAIL.name, ..LINUX };
        assert_eq!(all.apply(&named), audits);
    }

    #[test]
    fn a_set_of_departures() {
        let (one, other) = (Departures(1), Departures(8));
        let both = one.with(other);
        assert_eq!((both.len(), both.without(one), both.both(other)), (2, other, other));
        assert_eq!(both.with(one), both);
        assert_eq!(both.each().collect::<Vec<_>>(), [one, other]);
        assert!(Departures::NONE.is_empty() && !both.is_empty());
        assert_eq!((Departures::NONE.each().count(), Departures::ALL.iter().count()), (0, DEPARTURES.len()));
        assert_eq!(both.to_string(), "rfc5961_rst; rfc6191");
        assert_eq!(Departures::NONE.to_string(), "-");
        assert_eq!(Departures::named("no such departure"), None);
        let habits = Departures::UNANSWERED.with(Departures::EARLY_RETRANSMISSION);
        assert_eq!(habits.to_string(), "unanswered segment; early retransmission");
        let more = Departures::LINEAR_SYNS.with(Departures::CROSSED_OPTIONS);
        assert_eq!(more.to_string(), "linear_syns; options of a crossed SYN");
    }

    extern crate std;
    use std::string::ToString;
    use std::vec::Vec;
}
