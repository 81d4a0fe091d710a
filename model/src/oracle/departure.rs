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
    follow: fn(&mut Profile, &Profile),
}

impl Departure {
    /// The profile when it follows the RFC's intent in this switch.
    #[must_use]
    pub fn mended(&self, profile: &Profile) -> Profile {
        let mut mended = *profile;
        (self.follow)(&mut mended, &RFC9293_INTENT);
        mended
    }
}

/// The table and, for each entry, its name in the code: [`Place`] is its place. Of two that explain the same the first is
/// named, so the particular one stands before the general one. In brackets are the profile's fields (of a
/// switch with three readings they stand at Linux's), then what turns them the other way: nothing for a habit, which no
/// step asks for.
macro_rules! departures {
    ($($place:ident $name:literal $linux:expr, [$($($field:ident).+),*], $turn:expr;)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Place {
            $($place,)*
        }

        /// Every departure that the oracle knows: switches of [`Profile`], turned the other way, and habits.
        pub const DEPARTURES: [Departure; [$(Place::$place),*].len()] =
            [$(Departure {
                name: $name,
                linux: $linux,
                turn: $turn,
                follow: |profile, other| {
                    $(profile.$($field).+ = other.$($field).+;)*
                    let _ = (profile, other);
                },
            }),*];
    };
}

departures! {
    Rfc5961Rst "rfc5961_rst" None, [rfc5961_rst], |p| p.rfc5961_rst ^= true;
    Rfc5961Syn "rfc5961_syn" None, [rfc5961_syn], |p| p.rfc5961_syn ^= true;
    Rfc5961Ack "rfc5961_ack" Some(DeviationId::FastPathSkipsAckRange), [rfc5961_ack],
        |p| p.rfc5961_ack ^= true;
    Rfc6191 "rfc6191" None, [rfc6191], |p| p.rfc6191 ^= true;
    Rfc1337 "rfc1337" Some(DeviationId::TimeWaitIgnoresReset), [rfc1337], |p| p.rfc1337 ^= true;
    Figure7 "figure_7" Some(DeviationId::CrossedSynAckChallenged), [figure_7], |p| p.figure_7 ^= true;
    AfterReset "after_reset" None, [after_reset], |p| p.after_reset = p.after_reset.other();
    ReturnToListen "syn_in_syn_received: return to LISTEN" None, [],
        |p| p.syn_in_syn_received = SynInSynReceived::ReturnToListen;
    Challenge "syn_in_syn_received: challenge" None, [],
        |p| p.syn_in_syn_received = SynInSynReceived::Challenge;
    ResetAndForget "syn_in_syn_received: reset and forget" Some(DeviationId::SynResetsHalfOpen),
        [syn_in_syn_received], |p| p.syn_in_syn_received = SynInSynReceived::ResetAndForget;
    DuplicateSyn "duplicate_syn_draws_syn_ack" Some(DeviationId::CrossedSynAgainChallenged),
        [duplicate_syn_draws_syn_ack], |p| p.duplicate_syn_draws_syn_ack ^= true;
    BadAck "bad_ack" None, [bad_ack], |p| p.bad_ack = p.bad_ack.other();
    FinAgain "fin_again_restarts, time_wait_ack" None, [fin_again_restarts, time_wait_ack], |p| {
        p.fin_again_restarts ^= true;
        p.time_wait_ack = p.time_wait_ack.other();
    };
    LastAckEntry "last_ack_entry" Some(DeviationId::LastAckFinUnsent), [last_ack_entry],
        |p| p.last_ack_entry = p.last_ack_entry.other();
    WindowFromSynAck "window_from_syn_ack" None, [window_from_syn_ack], |p| p.window_from_syn_ack ^= true;
    AckAtZeroWindow "ack_at_zero_window" None, [ack_at_zero_window], |p| p.ack_at_zero_window ^= true;
    UserTimeoutResets "user_timeout_resets" None, [user_timeout_resets], |p| p.user_timeout_resets ^= true;
    SynExtras "syn_extras" Some(DeviationId::SynAckPayloadIgnored), [syn_extras],
        |p| p.syn_extras = p.syn_extras.other();
    PartialAck "partial_ack_in_last_ack" None, [partial_ack_in_last_ack],
        |p| p.partial_ack_in_last_ack ^= true;
    ReopenFallsBack "reopen_falls_back" Some(DeviationId::ReopenedTimeWaitLost), [reopen_falls_back],
        |p| p.reopen_falls_back ^= true;
    ResetBeforeFin "reset_before_fin" Some(DeviationId::ResetBeyondExact), [reset_before_fin],
        |p| p.reset_before_fin ^= true;
    ResetBehindHeld "reset_behind_held" Some(DeviationId::ResetBeyondExact), [reset_behind_held],
        |p| p.reset_behind_held ^= true;
    TimeWaitWithoutUser "time_wait_without_user" Some(DeviationId::UnreadInTimeWait),
        [time_wait_without_user], |p| p.time_wait_without_user ^= true;
    HalfDuplexClose "half_duplex_close" Some(DeviationId::UnreadDataReset), [half_duplex_close],
        |p| p.half_duplex_close ^= true;
    TimeWait "time_wait" Some(DeviationId::TimeWait60s), [limits.time_wait], |p| {
        let (minute, four) = (LINUX.limits.time_wait, RFC9293_INTENT.limits.time_wait);
        p.limits.time_wait = if p.limits.time_wait == minute { four } else { minute };
    };
    FinWait2 "fin_wait_2" Some(DeviationId::FinWait2Timeout), [fin_wait_2],
        |p| p.fin_wait_2 = if p.fin_wait_2.is_some() { None } else { LINUX.fin_wait_2 };
    R2 "r2" None, [limits.r2, limits.r2_syn_ack], |p| {
        let (one, other) = (LINUX.limits, RFC9293_INTENT.limits);
        let from = if p.limits.r2 == one.r2 { other } else { one };
        (p.limits.r2, p.limits.r2_syn_ack) = (from.r2, from.r2_syn_ack);
    };
    R2Syn "r2_syn" Some(DeviationId::SynTimeoutTooShort), [limits.r2_syn], |p| {
        let (one, other) = (LINUX.limits.r2_syn, RFC9293_INTENT.limits.r2_syn);
        p.limits.r2_syn = if p.limits.r2_syn == one { other } else { one };
    };
    KeepAliveResets "keep_alive_resets" Some(DeviationId::KeepAliveReset), [keep_alive_resets],
        |p| p.keep_alive_resets ^= true;
    HalfOpenRequests "half_open_requests" Some(DeviationId::HalfOpenAckFirst), [half_open_requests],
        |p| p.half_open_requests ^= true;
    OldAck "handshake_by_old_ack" Some(DeviationId::HandshakeByOldAck), [handshake_by_old_ack],
        |p| p.handshake_by_old_ack ^= true;
    OldAckRefused "old_ack_refused" Some(DeviationId::OldAckRefused), [old_ack_refused],
        |p| p.old_ack_refused ^= true;
    UnsentAck "unsent_ack_unanswered" Some(DeviationId::UnsentAckUnanswered), [unsent_ack_unanswered],
        |p| p.unsent_ack_unanswered ^= true;
    HalfOpenReset "half_open_reset_in_window" Some(DeviationId::HalfOpenResetInWindow),
        [half_open_reset_in_window], |p| p.half_open_reset_in_window ^= true;
    ClosedWindow "closed_window_ignored" Some(DeviationId::ClosedWindowIgnored), [closed_window_ignored],
        |p| p.closed_window_ignored ^= true;
    TextAtEdge "text_at_edge_counts" Some(DeviationId::TextAtEdgeCounts), [text_at_edge_counts],
        |p| p.text_at_edge_counts ^= true;
    FinBeyondEdge "fin_beyond_edge" Some(DeviationId::FinBeyondEdge), [fin_beyond_edge],
        |p| p.fin_beyond_edge ^= true;
    EmptyAtEdge "empty_at_edge" Some(DeviationId::EmptySegmentAtEdge), [empty_at_edge],
        |p| p.empty_at_edge ^= true;
    LooseEdges "loose_edges" Some(DeviationId::LooseWindowEdges), [loose_edges],
        |p| p.loose_edges ^= true;
    AckFloor "ack_floor_by_acked" Some(DeviationId::AckFloorByAcked), [ack_floor_by_acked],
        |p| p.ack_floor_by_acked ^= true;
    TimestampsOptional "timestamps_optional" Some(DeviationId::TimestampsOptional), [timestamps_optional],
        |p| p.timestamps_optional ^= true;
    Ackless "ackless_unanswered" Some(DeviationId::AcklessUnanswered), [ackless_unanswered],
        |p| p.ackless_unanswered ^= true;
    TextAfterFin "text_after_fin_resets" Some(DeviationId::TextAfterFinResets), [text_after_fin_resets],
        |p| p.text_after_fin_resets ^= true;
    SecondFin "second_fin_unanswered" Some(DeviationId::SecondFinUnanswered), [second_fin_unanswered],
        |p| p.second_fin_unanswered ^= true;
    SecondFinCounts "second_fin_counts" Some(DeviationId::SecondFinCounts), [second_fin_counts],
        |p| p.second_fin_counts ^= true;
    FinEndsStream "fin_ends_stream" Some(DeviationId::FinEndsStream), [fin_ends_stream],
        |p| p.fin_ends_stream ^= true;
    OrphanMinisockets "orphan_minisockets" Some(DeviationId::OrphanMinisocket), [orphan_minisockets],
        |p| p.orphan_minisockets ^= true;
    LateFinResets "late_fin_resets" Some(DeviationId::LateFinResets), [late_fin_resets],
        |p| p.late_fin_resets ^= true;
    WindowByProgress "window_by_progress" Some(DeviationId::WindowByProgress), [window_by_progress],
        |p| p.window_by_progress ^= true;
    ResetAtEdge "reset_at_edge" Some(DeviationId::ResetAtEdge), [reset_at_edge], |p| p.reset_at_edge ^= true;
    TimeWaitUnchallenged "time_wait_unchallenged" Some(DeviationId::TimeWaitUnchallenged),
        [time_wait_unchallenged], |p| p.time_wait_unchallenged ^= true;
    HardIcmp "hard_icmp_aborts" Some(DeviationId::HardIcmpIgnored), [hard_icmp_aborts],
        |p| p.hard_icmp_aborts ^= true;
    SoftIcmp "soft_icmp_aborts_opening" Some(DeviationId::SoftIcmpAbortsConnect), [soft_icmp_aborts_opening],
        |p| p.soft_icmp_aborts_opening ^= true;
    LinearSyns "linear_syns" Some(DeviationId::SynLinearTimeouts), [limits.linear_syns], |p| {
        let (some, none) = (LINUX_IN_DETAIL.limits.linear_syns, RFC9293_INTENT.limits.linear_syns);
        p.limits.linear_syns = if p.limits.linear_syns == none { some } else { none };
    };
    ShortTimeout "rto_min" Some(DeviationId::ShortRetransmissionTimeout), [limits.rto_min], |_| {};
    Unanswered "unanswered segment" Some(DeviationId::RateLimitedAnswer), [], |_| {};
    EarlyRetransmission "early retransmission" Some(DeviationId::TailLossProbe), [], |_| {};
    HiddenWindow "window beyond its field" Some(DeviationId::WindowBeyondField), [], |_| {};
    CrossedOptions "options of a crossed SYN" Some(DeviationId::CrossedSynScalesWindow), [], |_| {};
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
    /// A retransmission timeout shorter than the profile's least one (`TCP_RTO_MIN`).
    pub const SHORT_TIMEOUT: Self = Self::at(Place::ShortTimeout);
    /// A segment that was dropped stayed without the ACK that check 1 gives it (`tcp_oow_rate_limited`).
    pub const UNANSWERED: Self = Self::at(Place::Unanswered);
    /// Something was sent again before the retransmission timeout and without three duplicate ACKs (RFC 8985).
    pub const EARLY_RETRANSMISSION: Self = Self::at(Place::EarlyRetransmission);
    /// The SYN,ACK of a simultaneous open repeats options of our own SYN that the peer's SYN did not offer (RFC 7323, 2.2).
    pub const CROSSED_OPTIONS: Self = Self::at(Place::CrossedOptions);

    /// Text counts whose ACK is out of range (`tcp_rcv_established`).
    pub const FAST_PATH: Self = Self::at(Place::Rfc5961Ack);
    /// A window without scaling is larger than its field can tell (`tcp_select_window`).
    pub const HIDDEN_WINDOW: Self = Self::at(Place::HiddenWindow);
    /// What Linux does at times, and not by a switch that is always on: the fast path skips the range of ACKs, a simultaneous
    /// open answers the SYN again by a challenge and repeats its options, a window is larger than its field can tell, and
    /// something is sent again early.
    pub const LINUX_AT_TIMES: Self = Self::FAST_PATH
        .with(Self::HIDDEN_WINDOW)
        .with(Self::at(Place::DuplicateSyn))
        .with(Self::EARLY_RETRANSMISSION)
        .with(Self::CROSSED_OPTIONS);

    pub(super) const fn at(place: Place) -> Self {
        Self(1 << place as u32)
    }

    /// The departure of this name, if there is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        DEPARTURES.iter().position(|departure| departure.name == name).map(|place| Self(1 << place))
    }

    /// Those by which a kernel takes this deviation.
    #[must_use]
    pub fn of(deviation: DeviationId) -> Self {
        let of_it = DEPARTURES.iter().enumerate().filter(|(_, departure)| departure.linux == Some(deviation));
        of_it.fold(Self::NONE, |set, (place, _)| set.with(Self(1 << place)))
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
        let habits = Place::ShortTimeout as usize;
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
    fn whatever_linux_does_otherwise_than_the_rfc_is_a_departure_that_says_where_the_kernel_does_it() {
        let mut profile = LINUX_IN_DETAIL;
        for departure in &DEPARTURES {
            let Some(linux) = departure.linux else { continue };
            let function = linux.deviation().function;
            assert!(
                function.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_'),
                "{linux}"
            );
            profile = departure.mended(&profile);
        }
        // What is left is within the RFC: a name, how far an ISS lies ahead, and times that it sets no bounds to or that lie
        // within them (SHLD-11: 15 retransmissions take a quarter of an hour).
        let limits = RFC9293_INTENT.limits;
        let within = crate::profile::Limits {
            rto_max: LINUX.limits.rto_max,
            r2: LINUX.limits.r2,
            r2_syn_ack: LINUX.limits.r2_syn_ack,
            delayed_ack: LINUX.limits.delayed_ack,
            challenges: LINUX.limits.challenges,
            ..limits
        };
        let rfc = crate::Profile {
            name: LINUX_IN_DETAIL.name,
            reopen_gap: LINUX.reopen_gap,
            limits: within,
            ..RFC9293_INTENT
        };
        assert_eq!(profile, rfc);
    }

    #[test]
    fn a_departure_mended_is_the_rfc_s_reading_and_no_more() {
        for departure in &DEPARTURES {
            assert_eq!(departure.mended(&RFC9293_INTENT), RFC9293_INTENT, "{}", departure.name);
        }
        let one = Departures::named("orphan_minisockets").expect("a departure");
        let departure = one.iter().next().expect("one");
        assert_eq!(departure.mended(&LINUX_IN_DETAIL), one.apply(&LINUX_IN_DETAIL));
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
