//! Every pair of states with a wide spread of fields and histories: the judge always answers, and its answers hold
//! together.

mod linux_common;

use std::collections::BTreeSet;

use linux_common::typical;
use model::linux::{
    CloseCause, Deviation, DeviationId, Evidence, History, Judgement, LINUX_TIME_WAIT, LinuxState, Origin,
    Owner, ResetReason, Seen, SocketError, Standing, TimeWaitEnd, TimeWaitKind, Transition, ViolationId,
    judge, judge_time_wait_end, pair,
};
use model::{Inconclusive, State, Verdict, edge};

const OWNERS: [Option<Owner>; 3] = [None, Some(Owner::User), Some(Owner::Softirq)];
const ERRORS: [SocketError; 8] = [
    SocketError::None,
    SocketError::Refused,
    SocketError::Reset,
    SocketError::BrokenPipe,
    SocketError::TimedOut,
    SocketError::Aborted,
    SocketError::Unreachable,
    SocketError::Other,
];

fn transitions() -> impl Iterator<Item = Transition> {
    let all = LinuxState::ALL;
    all.into_iter().flat_map(move |from| all.into_iter().map(move |to| Transition::new(from, to)))
}

/// Fields that a decoder could hand over, sensible or not: flags, owners, errors, numbers.
fn spread(state: LinuxState) -> impl Iterator<Item = Evidence> {
    let base = typical(state);
    (0_u32..1 << 9).flat_map(move |bits| {
        let bit = |index: u32| bits >> index & 1 == 1;
        let flags = Evidence {
            send_shutdown: bit(0),
            receive_shutdown: bit(1),
            dead: bit(2),
            done: bit(3),
            linger: bit(4),
            linger_zero: bit(4),
            linger2_negative: bit(5),
            has_user_socket: bit(6).then_some(bit(2)),
            is_mptcp: bit(7) && bit(4),
            una: if bit(8) { base.nxt.wrapping_sub(1) } else { base.nxt },
            ..base
        };
        OWNERS
            .into_iter()
            .flat_map(move |owner| ERRORS.into_iter().map(move |error| Evidence { owner, error, ..flags }))
    })
}

/// Histories that fit a transition out of `state`: nothing is missing.
fn complete(state: LinuxState) -> Vec<History> {
    let into = match state {
        LinuxState::Close => Transition::new(LinuxState::Listen, LinuxState::Close),
        LinuxState::Listen => Transition::new(LinuxState::Close, LinuxState::Listen),
        other => Transition::new(LinuxState::Established, other),
    };
    let plain = History {
        origin: Some(Origin::Active),
        previous: Some(into),
        timewait_visible: true,
        resets_visible: true,
        ..History::default()
    };
    vec![
        plain,
        History { origin: Some(Origin::Passive), request_seen: true, ..plain },
        History { reset_received: true, ..plain },
        History { reset_sent: Some(ResetReason::TcpState), listener_closed: true, ..plain },
        History { timewait_created: Some(TimeWaitKind::TimeWait), ..plain },
        History { timewait_created: Some(TimeWaitKind::FinWait2), ..plain },
        History { timewait_visible: false, resets_visible: false, origin: None, ..plain },
    ]
}

fn everything(mut see: impl FnMut(Transition, &Evidence, &History, Judgement)) {
    for transition in transitions() {
        let histories = complete(transition.from);
        // Fields decide legal pairs; the others fall without a look at most of them.
        let stride = if pair(transition).is_some() { 1 } else { 37 };
        for evidence in spread(transition.from).step_by(stride) {
            for history in &histories {
                see(transition, &evidence, history, judge(transition, &evidence, history));
            }
        }
    }
}

#[test]
fn every_answer_holds_together() {
    let mut judged = 0_u64;
    everything(|transition, evidence, _, judgement| {
        judged += 1;
        let Judgement { verdict, cause, noted, edges } = judgement;
        let context = || format!("{transition} {judgement:?}");
        match (verdict, pair(transition)) {
            (Verdict::Conforming(code), Some(pair)) => assert!(pair.codes.contains(&code), "{}", context()),
            (Verdict::Deviation(id), Some(_)) => {
                assert_eq!(id.deviation().standing, Standing::Departs, "{}", context());
                assert_eq!(id.deviation().seen, Seen::Transition, "{}", context());
            }
            (Verdict::Violation(_), _) | (Verdict::Inconclusive(_), Some(_)) => {}
            (_, None) => assert!(evidence.is_mptcp && transition.from == transition.to, "{}", context()),
        }
        assert!(cause.is_none() || transition.to == LinuxState::Close, "{}", context());
        if let Some(noted) = noted {
            assert_eq!(noted.deviation().standing, Standing::Permitted, "{}", context());
            assert!(matches!(verdict, Verdict::Conforming(_)), "{}", context());
        }
        let mut at = transition.from.rfc();
        for step in edges {
            assert_eq!(step.from, at, "{}", context());
            assert!(edge(step.from, step.to).is_some(), "{}", context());
            at = step.to;
        }
        let decided = matches!(verdict, Verdict::Conforming(_) | Verdict::Deviation(_));
        if decided && transition.to == LinuxState::Close {
            assert!(cause.is_some(), "{}", context());
        }
        if decided && transition.from != transition.to && cause != Some(CloseCause::FinWait2Minisocket) {
            let hidden = [State::TimeWait, State::Listen].contains(&at);
            assert!(at == transition.to.rfc() || hidden, "{}", context());
        }
    });
    assert!(judged > 2_000_000, "{judged}");
}

#[test]
fn an_illegal_pair_with_a_complete_history_is_always_a_violation() {
    everything(|transition, evidence, _, judgement| {
        if pair(transition).is_none() && !evidence.is_mptcp {
            assert!(judgement.verdict.is_violation(), "{transition} {judgement:?}");
        }
    });
}

#[test]
fn a_gap_is_never_anything_but_inconclusive() {
    for transition in transitions() {
        for evidence in spread(transition.from).step_by(211) {
            for history in complete(transition.from) {
                for previous in transitions().filter(|previous| previous.to != transition.from).step_by(5) {
                    let lost = History { previous: Some(previous), ..history };
                    let verdict = judge(transition, &evidence, &lost).verdict;
                    assert_eq!(verdict, Verdict::Inconclusive(Inconclusive::LostEvent));
                }
                let adopted = History { previous: None, adopted: true, ..history };
                let verdict = judge(transition, &evidence, &adopted).verdict;
                assert_eq!(verdict, Verdict::Inconclusive(Inconclusive::Adopted));
            }
        }
    }
}

/// The fields that each legal pair leaves behind on a healthy kernel, whatever else is true of the socket.
fn healthy(transition: Transition) -> Evidence {
    use linux_common::*;
    match (transition.from, transition.to) {
        (LinuxState::Established, LinuxState::FinWait1) => closing(established()),
        (LinuxState::Established, LinuxState::CloseWait) => close_wait(),
        (LinuxState::SynSent, LinuxState::Established) => shaken(),
        (LinuxState::SynRecv, LinuxState::FinWait1) => closing(child()),
        (LinuxState::SynRecv, LinuxState::CloseWait) => peer_fin(child()),
        (LinuxState::FinWait1, LinuxState::FinWait2) => fin_wait_2(),
        (LinuxState::FinWait1, LinuxState::Closing) => crossed_fins(),
        (LinuxState::CloseWait, LinuxState::LastAck) => closing(close_wait()),
        (LinuxState::LastAck, LinuxState::Close) => last_ack_acknowledged(),
        (from, to) if from == to => closing(typical(from)),
        (from, _) => typical(from),
    }
}

#[test]
fn a_legal_pair_with_healthy_fields_is_never_a_violation() {
    for transition in transitions().filter(|transition| pair(*transition).is_some()) {
        let base = healthy(transition);
        // What is true of a socket besides: who worked on it, old errors, options, its place in sequence space.
        for (owner, error) in OWNERS.into_iter().flat_map(|owner| ERRORS.map(|error| (owner, error))) {
            // close() alone repeats a state; it holds the socket, and its user is still there.
            let repeats = transition.from == transition.to && transition.from != LinuxState::Close;
            if repeats && owner == Some(Owner::Softirq) {
                continue;
            }
            for bits in 0_u32..1 << 6 {
                let bit = |index: u32| bits >> index & 1 == 1;
                let shift = bits.wrapping_mul(0x2000_0001);
                let evidence = Evidence {
                    owner,
                    error,
                    soft_error: if bit(0) { error } else { SocketError::None },
                    dead: bit(1) && !repeats,
                    has_user_socket: bit(2).then_some(!bit(1)),
                    linger: bit(3),
                    linger_zero: bit(4),
                    linger2_negative: bit(5),
                    retransmits: bits,
                    una: base.una.wrapping_add(shift),
                    nxt: base.nxt.wrapping_add(shift),
                    write_seq: base.write_seq.wrapping_add(shift),
                    rcv_nxt: base.rcv_nxt.wrapping_add(shift),
                    copied_seq: base.copied_seq.wrapping_add(shift),
                    ..base
                };
                for history in complete(transition.from) {
                    // A minisocket in TIME-WAIT needs the FINs that these fields do not show.
                    if history.timewait_created != Some(TimeWaitKind::TimeWait) {
                        let judgement = judge(transition, &evidence, &history);
                        assert!(!judgement.verdict.is_violation(), "{transition} {evidence:?} {judgement:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn every_deviation_of_a_transition_every_cause_and_every_rule_of_a_pair_is_reached() {
    let mut deviations = BTreeSet::new();
    let mut causes = BTreeSet::new();
    let mut violations = BTreeSet::new();
    let mut take = |judgement: Judgement| {
        match judgement.verdict {
            Verdict::Deviation(id) => drop(deviations.insert(id)),
            Verdict::Violation(id) => drop(violations.insert(id)),
            Verdict::Conforming(_) | Verdict::Inconclusive(_) => {}
        }
        deviations.extend(judgement.noted);
        causes.extend(judgement.cause);
    };
    everything(|transition, evidence, history, judgement| {
        take(judgement);
        // A few facts that the spread leaves out.
        if evidence.owner == Some(Owner::User) && evidence.error == SocketError::None && !evidence.is_mptcp {
            let repaired = Evidence { repair: Some(true), ..*evidence };
            take(judge(transition, &repaired, history));
            let unread = Evidence { copied_seq: evidence.rcv_nxt.wrapping_sub(9), ..*evidence };
            take(judge(transition, &unread, history));
            let ahead = Evidence { copied_seq: evidence.rcv_nxt.wrapping_add(9), ..*evidence };
            take(judge(transition, &ahead, history));
            let unsent = Evidence { write_seq: evidence.write_seq.wrapping_add(9), ..*evidence };
            take(judge(transition, &unsent, history));
            let rolled_back = History { same_call: true, ..*history };
            take(judge(transition, evidence, &rolled_back));
        }
        if evidence.error == SocketError::TimedOut && evidence.owner == Some(Owner::Softirq) {
            let keepalive = History { reset_sent: Some(ResetReason::KeepaliveTimeout), ..*history };
            take(judge(transition, evidence, &keepalive));
        }
        if history.reset_received && evidence.error == SocketError::Reset {
            let late = History { reset_bit: Some(false), ..*history };
            take(judge(transition, evidence, &late));
        }
    });
    let expected: BTreeSet<DeviationId> = Deviation::ALL
        .iter()
        .filter(|deviation| deviation.seen == Seen::Transition)
        .map(|deviation| deviation.id)
        .collect();
    assert_eq!(deviations, expected);
    assert_eq!(causes, BTreeSet::from(CloseCause::ALL));
    let pairs = [
        ViolationId::IllegalEdge,
        ViolationId::ForeignEdge,
        ViolationId::RepeatedState,
        ViolationId::TimeWaitAnnounced,
        ViolationId::RequestAnnounced,
    ];
    assert!(pairs.iter().all(|id| violations.contains(id)), "{violations:?}");
}

#[test]
fn every_deviation_of_a_minisocket_is_reached() {
    let ends = [
        TimeWaitEnd::Expired,
        TimeWaitEnd::ReusedByConnect,
        TimeWaitEnd::ReusedBySyn,
        TimeWaitEnd::Reset,
        TimeWaitEnd::LateData,
        TimeWaitEnd::Destroyed,
        TimeWaitEnd::Purged,
        TimeWaitEnd::Unknown,
    ];
    let mut reached = BTreeSet::new();
    for (end, kind) in
        ends.into_iter().flat_map(|end| [(end, TimeWaitKind::TimeWait), (end, TimeWaitKind::FinWait2)])
    {
        let judgement = judge_time_wait_end(kind, end, LINUX_TIME_WAIT);
        reached.extend(judgement.noted);
        if let Verdict::Deviation(id) = judgement.verdict {
            assert_eq!(id.deviation().standing, Standing::Departs);
            reached.insert(id);
        }
    }
    let expected = Deviation::ALL.iter().filter(|deviation| deviation.seen == Seen::TimeWait);
    assert!(expected.map(|deviation| deviation.id).all(|id| reached.contains(&id)), "{reached:?}");
}
