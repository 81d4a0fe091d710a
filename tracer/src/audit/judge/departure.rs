//! Which of Linux's departures from the RFC a trace shows: each switch in which the profile `linux` differs is turned to
//! the RFC's side, and if the trace then has no explanation any more, it shows that departure.

use model::{
    Flags, Profile,
    linux::DeviationId,
    oracle::{Departures, Kind, Observation},
    profile::RFC9293_INTENT,
};

use super::oracle::judge;

type Turn = fn(&mut Profile);

/// The switches, and the deviation that each stands for.
const SWITCHES: [(Turn, DeviationId); 22] = [
    (|p| p.syn_in_syn_received = RFC9293_INTENT.syn_in_syn_received, DeviationId::SynResetsHalfOpen),
    (|p| p.last_ack_entry = RFC9293_INTENT.last_ack_entry, DeviationId::LastAckFinUnsent),
    (|p| p.syn_extras = RFC9293_INTENT.syn_extras, DeviationId::SynAckPayloadIgnored),
    (|p| p.reopen_falls_back = RFC9293_INTENT.reopen_falls_back, DeviationId::ReopenedTimeWaitLost),
    (|p| p.reset_before_fin = RFC9293_INTENT.reset_before_fin, DeviationId::ResetBeyondExact),
    (|p| p.empty_at_edge = RFC9293_INTENT.empty_at_edge, DeviationId::EmptySegmentAtEdge),
    (|p| p.fin_wait_2 = RFC9293_INTENT.fin_wait_2, DeviationId::FinWait2Timeout),
    (|p| p.hard_icmp_aborts = RFC9293_INTENT.hard_icmp_aborts, DeviationId::HardIcmpIgnored),
    (
        |p| p.soft_icmp_aborts_opening = RFC9293_INTENT.soft_icmp_aborts_opening,
        DeviationId::SoftIcmpAbortsConnect,
    ),
    (|p| p.rfc1337 = RFC9293_INTENT.rfc1337, DeviationId::TimeWaitIgnoresReset),
    (|p| p.limits.time_wait = RFC9293_INTENT.limits.time_wait, DeviationId::TimeWait60s),
    (|p| p.limits.r2_syn = RFC9293_INTENT.limits.r2_syn, DeviationId::SynTimeoutTooShort),
    (|p| p.half_open_requests = RFC9293_INTENT.half_open_requests, DeviationId::HalfOpenAckFirst),
    (|p| p.handshake_by_old_ack = RFC9293_INTENT.handshake_by_old_ack, DeviationId::HandshakeByOldAck),
    (|p| p.loose_edges = RFC9293_INTENT.loose_edges, DeviationId::LooseWindowEdges),
    (|p| p.text_after_fin_resets = RFC9293_INTENT.text_after_fin_resets, DeviationId::TextAfterFinResets),
    (|p| p.second_fin_unanswered = RFC9293_INTENT.second_fin_unanswered, DeviationId::SecondFinUnanswered),
    (|p| p.ack_floor_by_acked = RFC9293_INTENT.ack_floor_by_acked, DeviationId::AckFloorByAcked),
    (|p| p.timestamps_optional = RFC9293_INTENT.timestamps_optional, DeviationId::TimestampsOptional),
    (|p| p.keep_alive_resets = RFC9293_INTENT.keep_alive_resets, DeviationId::KeepAliveReset),
    (|p| p.limits.linear_syns = RFC9293_INTENT.limits.linear_syns, DeviationId::SynLinearTimeouts),
    (|p| p.limits.rto_min = RFC9293_INTENT.limits.rto_min, DeviationId::ShortRetransmissionTimeout),
];

/// The departures of this trace, which the profile explains. `habits`: those that the oracle granted.
#[must_use]
pub fn departures(trace: &[Observation], profile: &Profile, habits: Departures) -> Vec<DeviationId> {
    let mut found: Vec<DeviationId> = habits.iter().filter_map(|habit| named(habit.name, trace)).collect();
    let spoke = trace.iter().any(|observation| {
        matches!(observation.kind, Kind::Sent(segment) if segment.len > 0 || segment.has(Flags::FIN))
    });
    for id in found.iter_mut().filter(|id| **id == DeviationId::TailLossProbe && !spoke) {
        *id = DeviationId::SynResentAtOnce;
    }
    if judge(trace, &RFC9293_INTENT).conforms() {
        return found;
    }
    for (turn, deviation) in SWITCHES {
        let mut turned = *profile;
        turn(&mut turned);
        if turned == *profile {
            continue;
        }
        let judgement = judge(trace, &turned);
        if judgement.violation.is_some() || !judgement.departures.without(habits).is_empty() {
            found.push(more_exactly(deviation, trace));
        }
    }
    found
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
