//! Which of Linux's departures from the RFC a trace shows: each switch in which the profile departs is mended, and if the
//! trace then has no explanation any more, it shows that departure.

use std::collections::BTreeSet;

use model::{
    Flags, Profile,
    linux::DeviationId,
    oracle::{DEPARTURES, Departures, Kind, Observation},
};

use super::oracle::judge;
use crate::audit::conditions::Conditions;

/// The departures of the moment that Linux may take under these conditions, besides those that its profile has in general.
#[must_use]
pub fn allowed(trace: &[Observation], conditions: &Conditions) -> Departures {
    let mut allowed = Departures::LINUX_AT_TIMES;
    let text_with_ack = trace.iter().any(|observation| {
        matches!(observation.kind, Kind::Received(segment) if segment.len > 0 && segment.has(Flags::ACK))
    });
    if !text_with_ack {
        allowed = allowed.without(Departures::FAST_PATH);
    }
    if conditions.number("tcp_invalid_ratelimit") != Some(0) {
        allowed = allowed.with(Departures::UNANSWERED);
    }
    allowed
}

/// The departures of a trace that this profile explains and the RFC alone does not, besides those in `known`. `habits`:
/// those that the oracle granted.
#[must_use]
pub fn departures(
    trace: &[Observation],
    profile: &Profile,
    habits: Departures,
    known: &BTreeSet<DeviationId>,
) -> Vec<DeviationId> {
    let mut found: Vec<DeviationId> = habits.iter().filter_map(|habit| habit.linux).collect();
    let spoke = trace.iter().any(|observation| {
        matches!(observation.kind, Kind::Sent(segment) if segment.len > 0 || segment.has(Flags::FIN))
    });
    for id in found.iter_mut().filter(|id| **id == DeviationId::TailLossProbe && !spoke) {
        *id = DeviationId::SynResentAtOnce;
    }
    for departure in &DEPARTURES {
        let Some(id) = departure.linux.map(|id| more_exactly(id, trace)) else { continue };
        let mended = departure.mended(profile);
        if mended == *profile || known.contains(&id) || found.contains(&id) {
            continue;
        }
        if judge(trace, &mended, habits).violation.is_some() {
            found.push(id);
        }
    }
    found
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::{
        Call, Config, Flags, Segment, State,
        linux::DeviationId,
        oracle::{Departures, Kind, Numbers, Observation, Transition},
        profile::LINUX_IN_DETAIL,
    };

    use super::{allowed, departures};
    use crate::audit::{conditions::Conditions, judge::judge};

    fn trace(kinds: &[Kind]) -> Vec<Observation> {
        kinds.iter().map(|kind| Observation { at: 1_000, kind: *kind }).collect()
    }

    fn moves(from: State, to: State) -> Kind {
        Kind::Transition(Transition { from, to, numbers: Numbers::default() })
    }

    #[test]
    fn a_switch_that_the_trace_needs_is_named_unless_it_is_known() {
        // The user connects, and a soft ICMP error ends that.
        let trace = trace(&[
            Kind::Call(Call::connect(Config::DEFAULT)),
            moves(State::Closed, State::SynSent),
            Kind::Sent(Segment::new(Flags::SYN, 100, 0)),
            Kind::Icmp(model::event::IcmpError::Soft),
            moves(State::SynSent, State::Closed),
        ]);
        let habits = allowed(&trace, &Conditions::default());
        let judgement = judge(&trace, &LINUX_IN_DETAIL, habits);
        assert!(judgement.conforms(), "{judgement:?}");
        let found = |known: &[DeviationId]| {
            departures(&trace, &LINUX_IN_DETAIL, judgement.departures, &known.iter().copied().collect())
        };
        let soft = DeviationId::SoftIcmpAbortsConnect;
        assert_eq!(found(&[]), [soft]);
        assert_eq!(found(&[soft]), []);
    }

    #[test]
    fn an_answer_may_be_missing_only_where_answers_are_limited() {
        let with = |limit: &str| {
            let sysctls = BTreeMap::from([("net.ipv4.tcp_invalid_ratelimit".to_owned(), limit.to_owned())]);
            !allowed(&[], &Conditions { sysctls, ..Conditions::default() })
                .both(Departures::UNANSWERED)
                .is_empty()
        };
        assert_eq!(["0", "500"].map(with), [false, true]);
    }
}
