//! Which of Linux's departures from the RFC a trace shows: each switch in which the profile `linux` differs is turned to
//! the RFC's side, and if the trace then has no explanation any more, it shows that departure.

use std::collections::BTreeSet;

use model::{
    Flags, Profile,
    linux::DeviationId,
    oracle::{Departures, Kind, Observation},
    profile::RFC9293_INTENT as RFC,
};

use super::oracle::judge;

/// What has to be in a trace for a switch to make a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Anywhere,
    /// An ICMP error.
    Icmp,
    /// A pause that only the kernel's longer timers end.
    LongWaits,
}

use Where::{Anywhere, Icmp, LongWaits};

/// A switch, the deviation that it stands for, and where it matters.
type Switch = (fn(&mut Profile), DeviationId, Where);

const SWITCHES: [Switch; 28] = [
    (|p| p.syn_in_syn_received = RFC.syn_in_syn_received, DeviationId::SynResetsHalfOpen, Anywhere),
    (|p| p.last_ack_entry = RFC.last_ack_entry, DeviationId::LastAckFinUnsent, Anywhere),
    (|p| p.syn_extras = RFC.syn_extras, DeviationId::SynAckPayloadIgnored, Anywhere),
    (|p| p.reopen_falls_back = RFC.reopen_falls_back, DeviationId::ReopenedTimeWaitLost, Anywhere),
    (
        |p| (p.reset_before_fin, p.reset_behind_held) = (RFC.reset_before_fin, RFC.reset_behind_held),
        DeviationId::ResetBeyondExact,
        Anywhere,
    ),
    (|p| p.empty_at_edge = RFC.empty_at_edge, DeviationId::EmptySegmentAtEdge, Anywhere),
    (|p| p.fin_wait_2 = RFC.fin_wait_2, DeviationId::FinWait2Timeout, LongWaits),
    (|p| p.hard_icmp_aborts = RFC.hard_icmp_aborts, DeviationId::HardIcmpIgnored, Icmp),
    (|p| p.soft_icmp_aborts_opening = RFC.soft_icmp_aborts_opening, DeviationId::SoftIcmpAbortsConnect, Icmp),
    (|p| p.rfc1337 = RFC.rfc1337, DeviationId::TimeWaitIgnoresReset, Anywhere),
    (|p| p.limits.time_wait = RFC.limits.time_wait, DeviationId::TimeWait60s, LongWaits),
    (|p| p.limits.r2_syn = RFC.limits.r2_syn, DeviationId::SynTimeoutTooShort, LongWaits),
    (|p| p.half_open_requests = RFC.half_open_requests, DeviationId::HalfOpenAckFirst, Anywhere),
    (|p| p.handshake_by_old_ack = RFC.handshake_by_old_ack, DeviationId::HandshakeByOldAck, Anywhere),
    (|p| p.loose_edges = RFC.loose_edges, DeviationId::LooseWindowEdges, Anywhere),
    (|p| p.text_after_fin_resets = RFC.text_after_fin_resets, DeviationId::TextAfterFinResets, Anywhere),
    (
        |p| {
            p.second_fin_unanswered = RFC.second_fin_unanswered;
            p.second_fin_counts = RFC.second_fin_counts;
        },
        DeviationId::SecondFinUnanswered,
        Anywhere,
    ),
    (|p| p.reset_at_edge = RFC.reset_at_edge, DeviationId::ResetAtEdge, Anywhere),
    (|p| p.time_wait_without_user = RFC.time_wait_without_user, DeviationId::UnreadInTimeWait, Anywhere),
    (|p| p.ack_floor_by_acked = RFC.ack_floor_by_acked, DeviationId::AckFloorByAcked, Anywhere),
    (|p| p.timestamps_optional = RFC.timestamps_optional, DeviationId::TimestampsOptional, Anywhere),
    (|p| p.orphan_minisockets = RFC.orphan_minisockets, DeviationId::OrphanMinisocket, Anywhere),
    (|p| p.late_fin_resets = RFC.late_fin_resets, DeviationId::LateFinResets, Anywhere),
    (|p| p.window_by_progress = RFC.window_by_progress, DeviationId::WindowByProgress, Anywhere),
    (
        |p| {
            p.fin_ends_stream = RFC.fin_ends_stream;
            (p.held_fin_ends_stream, p.held_fin_merges) = (RFC.held_fin_ends_stream, RFC.held_fin_merges);
        },
        DeviationId::FinEndsStream,
        Anywhere,
    ),
    (|p| p.keep_alive_resets = RFC.keep_alive_resets, DeviationId::KeepAliveReset, LongWaits),
    (|p| p.limits.linear_syns = RFC.limits.linear_syns, DeviationId::SynLinearTimeouts, LongWaits),
    (|p| p.limits.rto_min = RFC.limits.rto_min, DeviationId::ShortRetransmissionTimeout, Anywhere),
];

/// The departures of a trace that this profile explains and the RFC alone does not, besides those in `known`. `habits`:
/// those that the oracle granted.
#[must_use]
pub fn departures(
    trace: &[Observation],
    profile: &Profile,
    habits: Departures,
    known: &BTreeSet<DeviationId>,
) -> Vec<DeviationId> {
    let mut found: Vec<DeviationId> = habits.iter().filter_map(|habit| named(habit.name, trace)).collect();
    let spoke = trace.iter().any(|observation| {
        matches!(observation.kind, Kind::Sent(segment) if segment.len > 0 || segment.has(Flags::FIN))
    });
    for id in found.iter_mut().filter(|id| **id == DeviationId::TailLossProbe && !spoke) {
        *id = DeviationId::SynResentAtOnce;
    }
    for (turn, deviation, place) in SWITCHES {
        let id = more_exactly(deviation, trace);
        if known.contains(&id) || !matters(place, trace) {
            continue;
        }
        let mut turned = *profile;
        turn(&mut turned);
        if turned == *profile {
            continue;
        }
        let judgement = judge(trace, &turned);
        if judgement.violation.is_some() || !judgement.departures.without(habits).is_empty() {
            found.push(id);
        }
    }
    found
}

fn matters(place: Where, trace: &[Observation]) -> bool {
    match place {
        Anywhere => true,
        Icmp => trace.iter().any(|observation| matches!(observation.kind, Kind::Icmp(_))),
        LongWaits => trace.windows(2).any(|pair| match pair {
            [before, after] => after.at.saturating_sub(before.at) > 800_000,
            _ => false,
        }),
    }
}

/// The deviation that stands for a departure from the profile `linux`; none where it has no name, which makes it a
/// finding.
#[must_use]
pub fn named(departure: &str, trace: &[Observation]) -> Option<DeviationId> {
    let text_with_ack = || {
        trace.iter().any(|observation| {
            matches!(observation.kind, Kind::Received(segment) if segment.len > 0 && segment.has(Flags::ACK))
        })
    };
    match departure {
        "rfc5961_ack" if text_with_ack() => Some(DeviationId::FastPathSkipsAckRange),
        "unanswered segment" => Some(DeviationId::RateLimitedAnswer),
        "duplicate_syn_draws_syn_ack" => Some(DeviationId::CrossedSynAgainChallenged),
        "options of a crossed SYN" => Some(DeviationId::CrossedSynScalesWindow),
        "early retransmission" => Some(DeviationId::TailLossProbe),
        _ => None,
    }
}

/// What came on the SYN tells two deviations of one switch apart.
fn more_exactly(deviation: DeviationId, trace: &[Observation]) -> DeviationId {
    let fin_on_syn = trace.iter().any(|observation| match observation.kind {
        Kind::Received(segment) => {
            segment.has(Flags::SYN) && segment.has(Flags::FIN) && !segment.has(Flags::ACK)
        }
        _ => false,
    });
    if deviation == DeviationId::SynAckPayloadIgnored && fin_on_syn {
        DeviationId::SynFinDropped
    } else {
        deviation
    }
}
