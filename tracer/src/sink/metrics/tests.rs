//! What each finding moves, and what is there before the first one.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    Inconclusive, Verdict,
    linux::{
        Code, DeviationId, Evidence, History, Judgement, LinuxState, PAIRS, ResetReason, Transition,
        ViolationId,
    },
};
use prometheus::TextEncoder;
use tracer_ebpf::Hook;

use super::{KernelCounter, Metrics};
use crate::tracker::Books;
use crate::{
    decode::Kernel,
    event::{Event, Family, Flow, SocketId, What},
    kernel::{
        counts::{Fate, ProgramStats},
        load::{HookStatus, Kind},
    },
    step::{Finding, HandshakeResult, Role, Step, StepKind, TimewaitEnd, TimewaitPath, Untimed},
};

const SECOND: u64 = 1_000_000_000;

fn kernel() -> Kernel {
    let reasons = [(0, "NOT_SPECIFIED"), (1, "NO_SOCKET"), (9, "TCP_STATE"), (10, "MAX")];
    Kernel { reset_reasons: reasons.map(|(number, name)| (number, name.to_owned())).to_vec() }
}

fn event(what: What) -> Event {
    Event {
        time: 0,
        hook: Hook::State,
        copy: 0,
        cpu: 0,
        socket: SocketId { cookie: 1, address: 2, netns: 3 },
        flow: Flow {
            family: Family::Ipv4,
            local: ([127, 0, 0, 1], 80).into(),
            remote: ([127, 0, 0, 1], 40_000).into(),
        },
        task: None,
        what,
    }
}

fn text(metrics: &Metrics) -> String {
    TextEncoder::new().encode_to_string(&metrics.registry().gather()).expect("families with series")
}

/// Our series and their values. The buckets of a histogram follow its count; the process is not ours.
fn series(metrics: &Metrics) -> BTreeMap<String, f64> {
    text(metrics)
        .lines()
        .filter(|line| line.starts_with("tcptracer_") && !line.contains("_bucket"))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(name, value)| (name.replacen("tcptracer_", "", 1), value.parse().expect("a number")))
        .collect()
}

/// By how much which series move when `act` happens.
fn moved(metrics: &Metrics, act: impl FnOnce(&Metrics)) -> Vec<(String, f64)> {
    let before = series(metrics);
    act(metrics);
    series(metrics)
        .into_iter()
        .map(|(name, value)| (value - before.get(&name).copied().unwrap_or(0.0), name))
        .filter(|(change, _)| change.abs() > 1e-12)
        .map(|(change, name)| (name, change))
        .collect()
}

/// What one step moves, with a verdict if it has one.
fn recorded(kind: StepKind, what: What, verdict: Option<Verdict>) -> Vec<(String, f64)> {
    let metrics = Metrics::new(&kernel()).expect("distinct names");
    let event = event(what);
    let judgement = verdict.map(|verdict| Judgement { verdict, cause: None, noted: None, edges: &[] });
    let step = Step { event: &event, connection: None, kind };
    let finding = Finding { step: &step, judgement };
    moved(&metrics, |metrics| metrics.record(&finding))
}

fn step(kind: StepKind) -> Vec<(String, f64)> {
    recorded(kind, What::SynRetransmitted, None)
}

fn transition(from: LinuxState, to: LinuxState, spent: Option<u64>, verdict: Verdict) -> Vec<(String, f64)> {
    let (transition, evidence) = (Transition::new(from, to), Evidence::default());
    let kind = StepKind::Transition { transition, evidence, history: History::default(), hole: None, spent };
    recorded(kind, What::Transition { transition, evidence, srtt: 0 }, Some(verdict))
}

/// One each.
fn once(names: &[&str]) -> Vec<(String, f64)> {
    let names: BTreeSet<_> = names.iter().map(|name| (*name).to_owned()).collect();
    names.into_iter().map(|name| (name, 1.0)).collect()
}

#[test]
fn a_transition_counts_itself_the_time_before_it_and_its_verdict() {
    let fine = Verdict::Conforming(Code::R1);
    assert_eq!(
        transition(LinuxState::Established, LinuxState::FinWait1, Some(3 * SECOND), fine),
        [
            (r#"conformance_checks_total{verdict="conforming"}"#.to_owned(), 1.0),
            (r#"state_duration_seconds_count{state="established"}"#.to_owned(), 1.0),
            (r#"state_duration_seconds_sum{state="established"}"#.to_owned(), 3.0),
            (r#"transitions_total{family="ipv4",from="established",to="fin_wait1"}"#.to_owned(), 1.0),
        ]
    );
    assert_eq!(
        transition(LinuxState::Close, LinuxState::SynSent, None, fine),
        once(&[
            r#"conformance_checks_total{verdict="conforming"}"#,
            r#"transitions_total{family="ipv4",from="close",to="syn_sent"}"#,
        ])
    );
}

#[test]
fn each_verdict_counts_its_reason() {
    let because = |verdict| transition(LinuxState::Close, LinuxState::SynSent, None, verdict);
    let shown = r#"transitions_total{family="ipv4",from="close",to="syn_sent"}"#;
    assert_eq!(
        because(Verdict::Deviation(DeviationId::OrphanLimit)),
        once(&[
            shown,
            r#"conformance_checks_total{verdict="deviation"}"#,
            r#"conformance_deviations_total{rule="orphan-limit"}"#,
        ])
    );
    assert_eq!(
        because(Verdict::Violation(ViolationId::SequenceOrder)),
        once(&[
            shown,
            r#"conformance_checks_total{verdict="violation"}"#,
            &format!(r#"conformance_violations_total{{rule="{}"}}"#, ViolationId::SequenceOrder.name()),
        ])
    );
    assert_eq!(
        because(Verdict::Inconclusive(Inconclusive::MissingHook)),
        once(&[
            shown,
            r#"conformance_checks_total{verdict="inconclusive"}"#,
            r#"conformance_inconclusive_total{cause="missing_hook"}"#,
        ])
    );
}

#[test]
fn an_impossible_pair_gets_its_series_when_it_happens() {
    let illegal = Verdict::Violation(ViolationId::IllegalEdge);
    assert_eq!(
        transition(LinuxState::Listen, LinuxState::Established, None, illegal),
        once(&[
            r#"transitions_total{family="ipv4",from="listen",to="established"}"#,
            r#"conformance_checks_total{verdict="violation"}"#,
            r#"conformance_violations_total{rule="illegal-edge"}"#,
        ])
    );
}

#[test]
fn only_established_handshakes_are_timed() {
    let handshake = |role, result, duration| step(StepKind::Handshake { role, result, duration });
    assert_eq!(
        handshake(Role::Client, HandshakeResult::Established, Ok(SECOND / 4)),
        [
            (r#"handshake_duration_seconds_count{family="ipv4",role="client"}"#.to_owned(), 1.0),
            (r#"handshake_duration_seconds_sum{family="ipv4",role="client"}"#.to_owned(), 0.25),
            (r#"handshakes_total{result="established",role="client"}"#.to_owned(), 1.0),
        ]
    );
    assert_eq!(
        handshake(Role::Server, HandshakeResult::Established, Err(Untimed::SynCookie)),
        once(&[
            r#"handshakes_total{result="established",role="server"}"#,
            r#"handshakes_untimed_total{cause="syncookie",role="server"}"#,
        ])
    );
    for result in HandshakeResult::ALL.iter().filter(|result| **result != HandshakeResult::Established) {
        for duration in [Ok(SECOND), Err(Untimed::Adopted)] {
            assert_eq!(
                handshake(Role::Client, *result, duration),
                once(&[&format!(r#"handshakes_total{{result="{}",role="client"}}"#, result.name())])
            );
        }
    }
}

#[test]
fn segments_sent_again() {
    assert_eq!(step(StepKind::SynRetransmit), once(&["syn_retransmits_total"]));
    assert_eq!(step(StepKind::SynAckRetransmit), once(&["synack_retransmits_total"]));
}

#[test]
fn a_sent_reset_has_the_kernels_reason_and_a_received_one_none() {
    let sent = |number| {
        let what = What::ResetSent { reason: ResetReason::Other, number, active: false, answers_syn: false };
        recorded(StepKind::Reset { sent: true }, what, None)
    };
    assert_eq!(sent(1), once(&[r#"resets_total{direction="sent",reason="no_socket"}"#]));
    assert_eq!(sent(9), once(&[r#"resets_total{direction="sent",reason="tcp_state"}"#]));
    assert_eq!(sent(77), once(&[r#"resets_total{direction="sent",reason="other"}"#]));
    let received = What::ResetReceived { state: LinuxState::Established };
    assert_eq!(
        recorded(StepKind::Reset { sent: false }, received, None),
        once(&[r#"resets_total{direction="received",reason="none"}"#])
    );
}

#[test]
fn a_kernel_without_reasons_says_unsupported() {
    let metrics = Metrics::new(&Kernel::default()).expect("distinct names");
    let event =
        event(What::ResetSent { reason: ResetReason::Unknown, number: 0, active: true, answers_syn: false });
    let kind = StepKind::Reset { sent: true };
    let step = Step { event: &event, connection: None, kind };
    let finding = Finding { step: &step, judgement: None };
    assert_eq!(
        moved(&metrics, |metrics| metrics.record(&finding)),
        once(&[r#"resets_total{direction="sent",reason="unsupported"}"#])
    );
    let resets = series(&metrics).into_keys().filter(|name| name.starts_with("resets_total")).count();
    assert_eq!(resets, 2, "received and unsupported");
}

#[test]
fn half_open_requests() {
    assert_eq!(
        step(StepKind::RequestBegun),
        once(&[r#"transitions_total{family="ipv4",from="listen",to="new_syn_recv"}"#])
    );
    let lived = |seconds| {
        [
            (r#"state_duration_seconds_count{state="new_syn_recv"}"#.to_owned(), 1.0),
            (r#"state_duration_seconds_sum{state="new_syn_recv"}"#.to_owned(), seconds),
        ]
    };
    assert_eq!(step(StepKind::RequestEnded { completed: true, lived: Some(2 * SECOND) }), lived(2.0));
    let mut dropped = lived(63.0).to_vec();
    dropped.push((r#"transitions_total{family="ipv4",from="new_syn_recv",to="close"}"#.to_owned(), 1.0));
    assert_eq!(step(StepKind::RequestEnded { completed: false, lived: Some(63 * SECOND) }), dropped);
}

#[test]
fn time_wait_is_entered_on_four_paths() {
    for (path, from) in [
        (TimewaitPath::FinWait1, "fin_wait1"),
        (TimewaitPath::FinWait2, "fin_wait2"),
        (TimewaitPath::Closing, "closing"),
    ] {
        assert_eq!(
            step(StepKind::TimewaitBegun { path: Some(path), substate: LinuxState::TimeWait }),
            once(&[
                &format!(r#"time_wait_entered_total{{family="ipv4",path="{}"}}"#, path.name()),
                &format!(r#"transitions_total{{family="ipv4",from="{from}",to="time_wait"}}"#),
            ])
        );
    }
    assert_eq!(
        step(StepKind::TimewaitConverted),
        once(&[
            r#"time_wait_entered_total{family="ipv4",path="minisocket"}"#,
            r#"transitions_total{family="ipv4",from="fin_wait2",to="time_wait"}"#,
        ])
    );
    assert_eq!(
        step(StepKind::TimewaitBegun { path: None, substate: LinuxState::TimeWait }),
        once(&[r#"time_wait_entered_total{family="ipv4",path="unknown"}"#]),
        "nobody knows from where"
    );
}

#[test]
fn an_orphan_in_fin_wait2_is_not_in_time_wait() {
    let path = Some(TimewaitPath::FinWait2);
    assert_eq!(step(StepKind::TimewaitBegun { path, substate: LinuxState::FinWait2 }), []);
    let (substate, cause) = (LinuxState::FinWait2, TimewaitEnd::Expired);
    assert_eq!(step(StepKind::TimewaitEnded { substate, cause, lived: Some(60 * SECOND) }), []);
}

#[test]
fn time_wait_ends_with_a_cause() {
    for cause in TimewaitEnd::ALL {
        let ended =
            |lived| step(StepKind::TimewaitEnded { substate: LinuxState::TimeWait, cause: *cause, lived });
        let counted = format!(r#"time_wait_ended_total{{cause="{}"}}"#, cause.name());
        let left = r#"transitions_total{family="ipv4",from="time_wait",to="close"}"#;
        assert_eq!(ended(None), once(&[&counted, left]));
        assert_eq!(
            ended(Some(60 * SECOND)),
            [
                (r#"state_duration_seconds_count{state="time_wait"}"#.to_owned(), 1.0),
                (r#"state_duration_seconds_sum{state="time_wait"}"#.to_owned(), 60.0),
                ("time_wait_duration_seconds_count".to_owned(), 1.0),
                ("time_wait_duration_seconds_sum".to_owned(), 60.0),
                (counted, 1.0),
                (left.to_owned(), 1.0),
            ]
        );
    }
}

#[test]
fn time_wait_restarted_and_skipped() {
    assert_eq!(step(StepKind::TimewaitRestarted), once(&["time_wait_restarts_total"]));
    assert_eq!(step(StepKind::TimewaitSkipped), once(&[r#"time_wait_skipped_total{cause="overflow"}"#]));
}

#[test]
fn what_changes_nothing_moves_nothing() {
    assert_eq!(step(StepKind::Destroyed), []);
}

#[test]
fn a_doubled_record_is_told_apart_from_the_first() {
    assert_eq!(step(StepKind::Duplicate), once(&[r#"events_doubled_total{hook="inet_sock_set_state"}"#]));
}

#[test]
fn a_minisockets_end_is_checked_as_well() {
    let kind =
        StepKind::TimewaitEnded { substate: LinuxState::TimeWait, cause: TimewaitEnd::Expired, lived: None };
    let verdict = Verdict::Deviation(DeviationId::TimeWait60s);
    let moved = recorded(kind, What::SynRetransmitted, Some(verdict));
    assert!(
        moved.contains(&(r#"conformance_deviations_total{rule="time-wait-60s"}"#.to_owned(), 1.0)),
        "{moved:?}"
    );
}

#[test]
fn sockets_are_levels() {
    let metrics = Metrics::new(&kernel()).expect("distinct names");
    let mut books = Books::default();
    for (state, family, count) in [
        (LinuxState::Established, Family::Ipv4, 5),
        (LinuxState::Established, Family::Ipv6, 2),
        (LinuxState::FinWait2, Family::Ipv4, 2),
    ] {
        (0..count).for_each(|_| books.enter(state, family, 1));
    }
    (0..7).for_each(|_| books.enter_minisocket(LinuxState::TimeWait, Family::Ipv6, 1));
    books.enter_minisocket(LinuxState::FinWait2, Family::Ipv4, 1);
    let full = moved(&metrics, |metrics| metrics.sockets(&books));
    let expected = [
        (r#"fin_wait2_minisockets{family="ipv4"}"#, 1.0),
        (r#"sockets{family="ipv4",state="established"}"#, 5.0),
        (r#"sockets{family="ipv4",state="fin_wait2"}"#, 3.0),
        (r#"sockets{family="ipv6",state="established"}"#, 2.0),
        (r#"sockets{family="ipv6",state="time_wait"}"#, 7.0),
        (r#"time_wait_sockets{family="ipv6"}"#, 7.0),
    ];
    assert_eq!(full, expected.map(|(name, value)| (name.to_owned(), value)));
    let empty = moved(&metrics, |metrics| metrics.sockets(&Books::default()));
    assert_eq!(empty, expected.map(|(name, value)| (name.to_owned(), -value)));
}

#[test]
fn firings_follow_the_kernels_counts() {
    let metrics = Metrics::new(&kernel()).expect("distinct names");
    let fate = Fate { delivered: 10, filtered: 20, ring_full: 3, missed: 4, recovered: 99 };
    let events = |outcome| format!(r#"events_total{{hook="inet_sock_set_state",outcome="{outcome}"}}"#);
    assert_eq!(
        moved(&metrics, |metrics| metrics.fates(&[(Hook::State, fate)])),
        [
            (events("delivered"), 10.0),
            (events("filtered"), 20.0),
            (events("missed"), 4.0),
            (events("ring_full"), 3.0)
        ]
    );
    let later = Fate { delivered: 12, missed: 2, ..fate };
    let grown = moved(&metrics, |metrics| metrics.fates(&[(Hook::State, later)]));
    assert_eq!(grown, [(events("delivered"), 2.0)], "a counter never decreases");
}

#[test]
fn the_agents_own_health() {
    let metrics = Metrics::new(&kernel()).expect("distinct names");
    let status = |copies| HookStatus { hook: Hook::TimerStart, kind: Kind::TpBtf, copies, problem: None };
    let attached = r#"hook_attached{hook="timer_start",kind="tp_btf"}"#.to_owned();
    assert_eq!(moved(&metrics, |metrics| metrics.hooks(&[status(2)])), [(attached.clone(), 1.0)]);
    assert_eq!(moved(&metrics, |metrics| metrics.hooks(&[status(0)])), [(attached, -1.0)]);
    assert_eq!(
        moved(&metrics, |metrics| metrics.invalid(Some(Hook::Destroy))),
        once(&[r#"events_invalid_total{hook="tcp_destroy_sock"}"#])
    );
    assert_eq!(
        moved(&metrics, |metrics| metrics.invalid(None)),
        once(&[r#"events_invalid_total{hook="unknown"}"#])
    );
    assert_eq!(
        moved(&metrics, |metrics| metrics.ring(4096, 1 << 24)),
        [("ring_bytes".to_owned(), 4096.0), ("ring_capacity_bytes".to_owned(), f64::from(1 << 24))]
    );
    assert_eq!(
        moved(&metrics, |metrics| metrics.tracked(7, 100)),
        [("tracked_sockets".to_owned(), 7.0), ("tracked_sockets_limit".to_owned(), 100.0)]
    );
    assert_eq!(
        moved(&metrics, |metrics| metrics.lag(SECOND / 2)),
        [("event_lag_seconds_count".to_owned(), 1.0), ("event_lag_seconds_sum".to_owned(), 0.5)]
    );
    let stats = ProgramStats { recursion_misses: 1, run_time_ns: SECOND / 2, runs: 9 };
    assert_eq!(
        moved(&metrics, |metrics| metrics.programs([("state_0", stats)])),
        [
            (r#"bpf_run_seconds_total{program="state_0"}"#.to_owned(), 0.5),
            (r#"bpf_runs_total{program="state_0"}"#.to_owned(), 9.0),
        ]
    );
    assert_eq!(
        moved(&metrics, |metrics| metrics.kernel_difference(KernelCounter::Timewait, -2)),
        [(r#"kernel_difference{counter="tw"}"#.to_owned(), -2.0)]
    );
    assert_eq!(
        moved(&metrics, |metrics| metrics.differs(KernelCounter::Timewait)),
        once(&[r#"kernel_differences_total{counter="tw"}"#])
    );
}

#[test]
fn a_handshake_lands_between_its_edges() {
    let metrics = Metrics::new(&kernel()).expect("distinct names");
    let event = event(What::SynRetransmitted);
    let kind = StepKind::Handshake {
        role: Role::Client,
        result: HandshakeResult::Established,
        duration: Ok(SECOND + SECOND / 1000),
    };
    let step = Step { event: &event, connection: None, kind };
    metrics.record(&Finding { step: &step, judgement: None });
    let text = text(&metrics);
    let bucket = |edge| {
        let name = "tcptracer_handshake_duration_seconds_bucket";
        format!(r#"{name}{{family="ipv4",role="client",le="{edge}"}}"#)
    };
    assert!(text.contains(&format!("{} 0\n", bucket("1"))), "not without the first retransmission: {text}");
    assert!(text.contains(&format!("{} 1\n", bucket("2"))), "one retransmission: {text}");
}

#[test]
fn handshakes_are_counted_by_the_port_of_their_listener_where_it_was_asked_for() {
    let metrics = Metrics::with_ports(&kernel(), &[443, 80, 443]).expect("distinct names");
    let labels = |port| {
        let count = |name: &str, labels: &str| format!("{name}{{{labels}}}");
        [
            count("handshakes_total", &format!(r#"port="{port}",result="established",role="server""#)),
            count(
                "handshake_duration_seconds_count",
                &format!(r#"family="ipv4",port="{port}",role="server""#),
            ),
        ]
    };
    for (local, port) in [(80, "80"), (443, "443"), (8080, "other")] {
        let mut event = event(What::SynRetransmitted);
        event.flow.local.set_port(local);
        let kind = StepKind::Handshake {
            role: Role::Server,
            result: HandshakeResult::Established,
            duration: Ok(SECOND),
        };
        let step = Step { event: &event, connection: None, kind };
        let finding = Finding { step: &step, judgement: None };
        let moved = moved(&metrics, |metrics| metrics.record(&finding));
        for label in labels(port) {
            assert!(moved.iter().any(|(series, by)| *series == label && *by == 1.0), "{label}: {moved:?}");
        }
    }
    let client = {
        let mut event = event(What::SynRetransmitted);
        event.flow.remote.set_port(443);
        let kind = StepKind::Handshake {
            role: Role::Client,
            result: HandshakeResult::Refused,
            duration: Err(Untimed::LostEvent),
        };
        let step = Step { event: &event, connection: None, kind };
        let finding = Finding { step: &step, judgement: None };
        moved(&metrics, |metrics| metrics.record(&finding))
    };
    assert_eq!(client, once(&[r#"handshakes_total{port="443",result="refused",role="client"}"#]));
    // No tracepoint shows them, and the kernel's counter knows no port.
    assert_eq!(
        moved(&metrics, |metrics| metrics.cookies_failed(1)),
        once(&[r#"handshakes_total{port="other",result="cookie_failed",role="server"}"#])
    );
}

#[test]
fn a_recording_has_series_once_there_is_one() {
    let metrics = Metrics::new(&kernel()).expect("distinct names");
    assert!(!text(&metrics).contains("recording_"));
    assert_eq!(moved(&metrics, |metrics| metrics.recording(true, 0)), [("recording_up".to_owned(), 1.0)]);
    let failed = moved(&metrics, |metrics| metrics.recording(false, 7));
    assert_eq!(
        failed,
        [("recording_unwritten_records_total".to_owned(), 7.0), ("recording_up".to_owned(), -1.0)]
    );
}

/// The metrics of the specification with the labels that their series carry.
const SPECIFIED: &[(&str, &str, &[&str])] = &[
    ("transitions_total", "counter", &["from", "to", "family"]),
    ("sockets", "gauge", &["state", "family"]),
    ("state_duration_seconds", "histogram", &["state"]),
    ("time_wait_sockets", "gauge", &["family"]),
    ("fin_wait2_minisockets", "gauge", &["family"]),
    ("time_wait_entered_total", "counter", &["path", "family"]),
    ("time_wait_ended_total", "counter", &["cause"]),
    ("time_wait_restarts_total", "counter", &[]),
    ("time_wait_skipped_total", "counter", &["cause"]),
    ("time_wait_duration_seconds", "histogram", &[]),
    ("handshake_duration_seconds", "histogram", &["role", "family"]),
    ("handshakes_total", "counter", &["role", "result"]),
    ("handshakes_untimed_total", "counter", &["role", "cause"]),
    ("syn_retransmits_total", "counter", &[]),
    ("synack_retransmits_total", "counter", &[]),
    ("resets_total", "counter", &["direction", "reason"]),
    ("conformance_checks_total", "counter", &["verdict"]),
    ("conformance_deviations_total", "counter", &["rule"]),
    ("conformance_violations_total", "counter", &["rule"]),
    ("conformance_inconclusive_total", "counter", &["cause"]),
    ("events_total", "counter", &["hook", "outcome"]),
    ("events_invalid_total", "counter", &["hook"]),
    ("events_doubled_total", "counter", &["hook"]),
    ("event_lag_seconds", "histogram", &[]),
    ("ring_bytes", "gauge", &[]),
    ("ring_capacity_bytes", "gauge", &[]),
    ("tracked_sockets", "gauge", &[]),
    ("tracked_sockets_limit", "gauge", &[]),
    ("hook_attached", "gauge", &["hook", "kind"]),
    ("sweep_duration_seconds", "histogram", &[]),
    ("kernel_comparisons_total", "counter", &[]),
    ("kernel_differences_total", "counter", &["counter"]),
    ("build_info", "gauge", &["version", "revision"]),
    ("kernel_info", "gauge", &["release", "machine"]),
];

#[test]
fn the_first_scrape_has_every_family_with_its_type_and_labels() {
    let metrics = Metrics::new(&kernel()).expect("distinct names");
    let families: BTreeMap<_, _> = metrics
        .registry()
        .gather()
        .into_iter()
        .filter_map(|family| Some((family.name().strip_prefix("tcptracer_")?.to_owned(), family)))
        .collect();
    let expected: BTreeSet<_> = SPECIFIED.iter().map(|(name, _, _)| (*name).to_owned()).collect();
    assert_eq!(families.keys().cloned().collect::<BTreeSet<_>>(), expected);
    for (name, kind, labels) in SPECIFIED {
        let family = &families[*name];
        assert_eq!(format!("{:?}", family.get_field_type()).to_lowercase(), *kind, "{name}");
        assert!(family.help().ends_with('.') && !family.help().contains('\n'), "{name}: {}", family.help());
        let labels: BTreeSet<_> = labels.iter().copied().collect();
        for metric in family.get_metric() {
            assert_eq!(
                metric.get_label().iter().map(prometheus::proto::LabelPair::name).collect::<BTreeSet<_>>(),
                labels,
                "{name}"
            );
        }
    }
}

#[test]
fn the_first_scrape_has_every_label_value_with_0() {
    let metrics = Metrics::new(&kernel()).expect("distinct names");
    let all = series(&metrics);
    assert!(
        all.iter().all(|(name, value)| *value == if name.contains("_info{") { 1.0 } else { 0.0 }),
        "{all:?}"
    );
    let has = |name: String| assert!(all.contains_key(&name), "{name} is missing");
    for family in ["ipv4", "ipv6"] {
        for pair in &PAIRS {
            let Transition { from, to } = pair.transition;
            has(format!(r#"transitions_total{{family="{family}",from="{from}",to="{to}"}}"#));
        }
        for (from, to) in [
            ("listen", "new_syn_recv"),
            ("new_syn_recv", "close"),
            ("fin_wait1", "time_wait"),
            ("fin_wait2", "time_wait"),
            ("closing", "time_wait"),
            ("time_wait", "close"),
        ] {
            has(format!(r#"transitions_total{{family="{family}",from="{from}",to="{to}"}}"#));
        }
        for state in LinuxState::ALL {
            has(format!(r#"sockets{{family="{family}",state="{state}"}}"#));
            has(format!(r#"state_duration_seconds_count{{state="{state}"}}"#));
        }
        for path in ["fin_wait1", "fin_wait2", "closing", "minisocket", "unknown"] {
            has(format!(r#"time_wait_entered_total{{family="{family}",path="{path}"}}"#));
        }
        for role in ["client", "server"] {
            has(format!(r#"handshake_duration_seconds_count{{family="{family}",role="{role}"}}"#));
        }
    }
    for cause in ["expired", "reused", "reset", "destroyed", "purged", "unknown"] {
        has(format!(r#"time_wait_ended_total{{cause="{cause}"}}"#));
    }
    for role in ["client", "server"] {
        for result in [
            "established",
            "refused",
            "reset",
            "timeout",
            "unreachable",
            "aborted",
            "overflow",
            "cookie_failed",
            "other",
        ] {
            has(format!(r#"handshakes_total{{result="{result}",role="{role}"}}"#));
        }
        for cause in ["syncookie", "fastopen", "adopted", "lost_event"] {
            has(format!(r#"handshakes_untimed_total{{cause="{cause}",role="{role}"}}"#));
        }
    }
    for reason in ["not_specified", "no_socket", "tcp_state", "other"] {
        has(format!(r#"resets_total{{direction="sent",reason="{reason}"}}"#));
    }
    for verdict in ["conforming", "deviation", "violation", "inconclusive"] {
        has(format!(r#"conformance_checks_total{{verdict="{verdict}"}}"#));
    }
    for cause in ["lost_event", "adopted", "missing_hook", "table_full", "unclassified"] {
        has(format!(r#"conformance_inconclusive_total{{cause="{cause}"}}"#));
    }
    for hook in Hook::ALL.iter().filter(|hook| **hook != Hook::Snapshot).map(|hook| hook.name()) {
        for outcome in ["delivered", "filtered", "ring_full", "missed"] {
            has(format!(r#"events_total{{hook="{hook}",outcome="{outcome}"}}"#));
        }
        has(format!(r#"events_doubled_total{{hook="{hook}"}}"#));
        has(format!(r#"hook_attached{{hook="{hook}",kind="tp_btf"}}"#));
    }
}

#[test]
fn a_host_has_less_than_a_thousand_series() {
    let metrics = Metrics::new(&kernel()).expect("distinct names");
    let programs =
        ["a", "b", "c", "d"].into_iter().flat_map(|copy| (0..9).map(move |hook| format!("{hook}_{copy}")));
    let programs: Vec<_> = programs.collect();
    metrics.programs(programs.iter().map(|name| (name.as_str(), ProgramStats::default())));
    let count = text(&metrics).lines().filter(|line| !line.starts_with('#')).count();
    assert!((500..1000).contains(&count), "{count} series");
}

#[test]
fn the_process_is_there_too() {
    let text = text(&Metrics::new(&kernel()).expect("distinct names"));
    for name in ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name} is missing");
    }
}
