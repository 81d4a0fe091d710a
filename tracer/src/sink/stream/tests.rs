use std::{
    io::{self, Write},
    ops::ControlFlow,
};

use model::{
    Inconclusive, Verdict,
    linux::{Code, DeviationId, LinuxState, ResetReason, ViolationId},
};

use super::{Format, Selection, Shown, Stream, Table, WriteError};
use crate::{
    anchor::Anchor,
    checker,
    decode::Kernel,
    event::What,
    fixture::Seen,
    step::{HandshakeResult, Role, StepKind, TimewaitEnd, Untimed},
    tracker::{Hooks, Limits, Tracker},
};

const SECOND: u64 = 1_000_000_000;

fn epoch() -> Anchor {
    let wall: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    Anchor { monotonic_ns: 5 * SECOND, wall_ns: wall.as_nanosecond().try_into().unwrap() }
}

/// A kernel with one reason for a reset.
fn kernel() -> Kernel {
    Kernel { reset_reasons: vec![(17, "TCP_ABORT_ON_CLOSE".to_owned())] }
}

fn plain(width: usize) -> Format {
    Format::Table(Table { width, color: false })
}

fn write(format: Format, selection: Selection, findings: &[Seen]) -> String {
    let mut written = Vec::new();
    let mut stream = Stream::new(&mut written, format, selection, epoch());
    stream.start(epoch(), &kernel());
    for seen in findings {
        seen.with_finding(|finding| stream.finding(finding));
    }
    stream.finish().unwrap();
    String::from_utf8(written).unwrap()
}

/// A client's life that ends in a deviation, and what a listener sees.
fn life() -> Vec<Seen> {
    let (here, there) = ("192.0.2.7:51234", "198.51.100.10:443");
    let step = |time: u64, from, to| Seen::transition(here, there, from, to).at(5 * SECOND + time);
    vec![
        step(1_000, "close", "syn_sent").task(4242, "curl").verdict(Verdict::Conforming(Code::R12)),
        step(12_345_000, "syn_sent", "established").spent(12_344_000).verdict(Verdict::Conforming(Code::R4)),
        step(60 * SECOND, "established", "fin_wait1")
            .task(4242, "curl")
            .spent(59_987_655_000)
            .verdict(Verdict::Conforming(Code::R1)),
        step(60 * SECOND + 20_000_000, "fin_wait1", "fin_wait2")
            .spent(20_000_000)
            .verdict(Verdict::Inconclusive(Inconclusive::LostEvent)),
        step(120 * SECOND, "fin_wait2", "close").verdict(Verdict::Deviation(DeviationId::FinWait2Timeout)),
        Seen::transition(
            "[2001:db8::1]:8080",
            "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:51000",
            "listen",
            "syn_recv",
        )
        .at(12_345 * SECOND)
        .verdict(Verdict::Violation(ViolationId::SequenceOrder)),
    ]
}

#[test]
fn a_table_for_120_columns() {
    let expected = "
    TIME     PID COMM       IP LOCAL                REMOTE               STATE                           MS VERDICT
   0.000    4242 curl       4  192.0.2.7:51234      198.51.100.10:443    close -> syn_sent                - ok
   0.012       - -          4  192.0.2.7:51234      198.51.100.10:443    syn_sent -> established     12.344 ok
  60.000    4242 curl       4  192.0.2.7:51234      198.51.100.10:443    established -> fin_wait1   59987.6 ok
  60.020       - -          4  192.0.2.7:51234      198.51.100.10:443    fin_wait1 -> fin_wait2      20.000 inconclusive lost_event
 120.000       - -          4  192.0.2.7:51234      198.51.100.10:443    fin_wait2 -> close               - deviation fin-wait-2-timeout
 12340.0       - -          6  [2001:db8::1]:8080   [2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:51000 listen -> syn_recv - violation sequence-order
";
    assert_eq!(write(plain(120), Selection::default(), &life()), expected[1..]);
}

#[test]
fn a_table_for_80_columns() {
    let expected = "
LOCAL                REMOTE               STATE                     VERDICT
192.0.2.7:51234      198.51.100.10:443    close -> syn_sent         ok
192.0.2.7:51234      198.51.100.10:443    syn_sent -> established   ok
";
    let table = write(plain(80), Selection::default(), &life()[..2]);
    assert_eq!(table, expected[1..]);
}

#[test]
fn only_wide_terminals_show_why_a_transition_conforms() {
    let expected = "
   0.000    4242 curl       4  192.0.2.7:51234      198.51.100.10:443    close -> syn_sent                - ok R12
";
    let table = write(plain(usize::MAX), Selection::default(), &life()[..1]);
    assert_eq!(table.split_once('\n').unwrap().1, &expected[1..]);
}

#[test]
fn no_line_of_ipv4_is_longer_than_the_terminal() {
    let longest =
        Seen::transition("255.255.255.255:65535", "255.255.255.255:65535", "established", "close_wait")
            .task(4_194_304, "fifteen-letters")
            .spent(86_400 * SECOND)
            .at(1_000_000 * SECOND)
            .verdict(Verdict::Conforming(Code::R3));
    for width in [80, 100, 120] {
        for line in write(plain(width), Selection::default(), std::slice::from_ref(&longest)).lines() {
            assert!(line.len() <= width, "{} > {width}: {line}", line.len());
        }
    }
}

#[test]
fn colours_stand_for_verdicts() {
    let table = write(Format::Table(Table { width: 80, color: true }), Selection::default(), &life());
    let colour = |line: usize| table.lines().nth(line).unwrap().split_once('\u{1b}').unwrap().1.to_owned();
    assert_eq!(colour(1), "[32mok\u{1b}[0m");
    assert_eq!(colour(4), "[36minconclusive lost_event\u{1b}[0m");
    assert_eq!(colour(5), "[33mdeviation fin-wait-2-timeout\u{1b}[0m");
    assert_eq!(colour(6), "[1m\u{1b}[31mviolation sequence-order\u{1b}[0m");
}

#[test]
fn a_task_cannot_command_the_terminal() {
    let table = write(plain(120), Selection::default(), &[life()[0].clone().task(1, "a\u{1b}[2Jb")]);
    assert!(table.contains(" a?[2Jb ") && !table.contains('\u{1b}'), "{table}");
}

/// One of each kind that is no transition.
fn more() -> Vec<Seen> {
    let at = |kind| life()[0].clone().into_step(kind);
    let mut reset = at(StepKind::Reset { sent: true });
    reset.event.what =
        What::ResetSent { reason: ResetReason::AbortOnClose, number: 17, active: true, answers_syn: false };
    vec![
        at(StepKind::Handshake {
            role: Role::Client,
            result: HandshakeResult::Established,
            duration: Ok(12_344_000),
        }),
        at(StepKind::Handshake {
            role: Role::Server,
            result: HandshakeResult::Established,
            duration: Err(Untimed::SynCookie),
        }),
        reset,
        at(StepKind::TimewaitEnded {
            substate: LinuxState::TimeWait,
            cause: TimewaitEnd::Expired,
            lived: Some(60_500_000_000),
        }),
    ]
}

#[test]
fn transitions_only_unless_all_is_asked_for() {
    assert_eq!(write(plain(120), Selection::default(), &more()).lines().count(), 1);
    let all = Selection { all: true, ..Selection::default() };
    let expected = "
    TIME LOCAL                REMOTE               STATE                           MS VERDICT
   0.000 192.0.2.7:51234      198.51.100.10:443    client established          12.344
   0.000 192.0.2.7:51234      198.51.100.10:443    server established               -
   0.000 192.0.2.7:51234      198.51.100.10:443    RST sent tcp_abort_on_close      -
   0.000 192.0.2.7:51234      198.51.100.10:443    time_wait expired          60500.0
";
    assert_eq!(write(plain(100), all, &more()), expected[1..]);
}

#[test]
fn nothing_is_shown_twice() {
    let all = Selection { all: true, ..Selection::default() };
    assert_eq!(write(Format::Json, all, &[life()[0].clone().into_step(StepKind::Duplicate)]), "");
}

#[test]
fn an_object_per_line() {
    let expected = concat!(
        r#"{"timestamp":"2026-01-02T03:05:04.999999000Z","time_ns":64999999000,"kind":"transition","#,
        r#""hook":"inet_sock_set_state","cookie":77,"netns":1,"family":"ipv4","local":"192.0.2.7:51234","#,
        r#""remote":"198.51.100.10:443","pid":4242,"comm":"curl","from":"established","to":"fin_wait1","#,
        r#""spent_seconds":59.987655,"retransmits":0,"una":1001,"nxt":1002,"write_seq":1003,"rcv_nxt":2001,"#,
        r#""verdict":"conforming","rule":"R1"}"#,
        "\n",
        r#"{"timestamp":"2026-01-02T03:06:05.000000000Z","time_ns":125000000000,"kind":"transition","#,
        r#""hook":"inet_sock_set_state","cookie":77,"netns":1,"family":"ipv4","local":"192.0.2.7:51234","#,
        r#""remote":"198.51.100.10:443","from":"fin_wait2","to":"close","#,
        r#""retransmits":0,"una":1001,"nxt":1002,"write_seq":1003,"rcv_nxt":2001,"#,
        r#""verdict":"deviation","rule":"fin-wait-2-timeout"}"#,
        "\n",
    );
    let findings = [life()[2].clone().at(64_999_999_000), life()[4].clone()];
    assert_eq!(write(Format::Json, Selection::default(), &findings), expected);
}

#[test]
fn objects_of_other_kinds_have_fields_of_their_own() {
    let all = Selection { all: true, ..Selection::default() };
    let json = write(Format::Json, all, &more());
    let objects: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let fields = |index: usize, names: &[&str]| {
        names.iter().map(|name| objects[index][name].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        fields(0, &["kind", "role", "result", "duration_seconds"]),
        [r#""handshake""#, r#""client""#, r#""established""#, "0.012344"]
    );
    assert_eq!(
        fields(1, &["role", "untimed", "duration_seconds"]),
        [r#""server""#, r#""syncookie""#, "null"]
    );
    assert_eq!(
        fields(2, &["kind", "direction", "reason"]),
        [r#""reset""#, r#""sent""#, r#""tcp_abort_on_close""#]
    );
    assert_eq!(
        fields(3, &["kind", "substate", "end", "lived_seconds"]),
        [r#""timewait_ended""#, r#""time_wait""#, r#""expired""#, "60.5"]
    );
    assert!(objects.iter().all(|object| object["verdict"].is_null()));
}

#[test]
fn a_limit_ends_the_stream() {
    let mut written = Vec::new();
    let selection = Selection { limit: Some(2), ..Selection::default() };
    let mut stream = Stream::new(&mut written, Format::Json, selection, epoch());
    for (index, seen) in life().iter().enumerate() {
        seen.with_finding(|finding| stream.finding(finding));
        assert_eq!(stream.flush().is_break(), index >= 1, "line {index}");
    }
    assert_eq!(stream.finish().unwrap(), Shown { shown: 2, seen: 2 });
    assert_eq!(String::from_utf8(written).unwrap().lines().count(), 2);
}

/// An output that fails in one way.
struct Broken(io::ErrorKind);

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_to_broken(kind: io::ErrorKind) -> (ControlFlow<()>, Result<Shown, WriteError>) {
    let mut stream = Stream::new(Broken(kind), Format::Json, Selection::default(), epoch());
    life()[0].with_finding(|finding| stream.finding(finding));
    (stream.flush(), stream.finish())
}

#[test]
fn a_reader_that_has_gone_ends_it_quietly() {
    let (next, end) = write_to_broken(io::ErrorKind::BrokenPipe);
    assert!(next.is_break());
    assert_eq!(end.unwrap(), Shown { shown: 1, seen: 1 });
}

#[test]
fn a_full_disk_is_an_error() {
    let (next, end) = write_to_broken(io::ErrorKind::StorageFull);
    assert!(next.is_break());
    assert!(end.unwrap_err().to_string().starts_with("cannot write to standard output: "));
}

#[test]
fn the_story_fills_in_what_the_kernel_has_forgotten() {
    let opened = life()[0].event.clone();
    let mut refused = life()[1].event.clone();
    // The port is given back before the transition to CLOSE is announced, in softirq.
    refused.flow.local.set_port(0);
    refused.task = None;
    let mut tracker = Tracker::new(Limits::default(), Hooks::all());
    let mut written = Vec::new();
    let mut stream = Stream::new(&mut written, Format::Json, Selection::default(), epoch());
    for event in [opened, refused] {
        tracker.observe(&event, &mut |step| stream.finding(&checker::check(&step)));
    }
    stream.finish().unwrap();
    let written = String::from_utf8(written).unwrap();
    let last: serde_json::Value = serde_json::from_str(written.lines().last().unwrap()).unwrap();
    assert_eq!(last["local"], "192.0.2.7:51234");
    assert_eq!((&last["owner_pid"], &last["owner_comm"]), (&4242.into(), &"curl".into()));
    assert!(last["pid"].is_null(), "softirq is nobody's: {last}");
}

#[test]
fn a_reset_of_no_socket_has_no_ends() {
    let mut reset = more()[2].clone();
    reset.event.socket.address = 0;
    let all = || Selection { all: true, ..Selection::default() };
    let json: serde_json::Value =
        serde_json::from_str(&write(Format::Json, all(), &[reset.clone()])).unwrap();
    assert!(json["local"].is_null() && json["family"].is_null(), "{json}");
    let table = write(plain(80), all(), &[reset]);
    assert_eq!(
        table.lines().nth(1),
        Some("-                    -                    RST sent tcp_abort_on_close")
    );
}

#[test]
fn a_violation_brings_all_that_it_rests_on() {
    let line = write(Format::Json, Selection::default(), &life()[5..]);
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let violation = &line["violation"];
    assert_eq!((&line["verdict"], &violation["rule"]), (&"violation".into(), &"sequence-order".into()));
    assert_eq!(violation["clause"], "3.4; 3.3.1");
    assert_eq!(
        (&violation["fields"]["snd_una"], &violation["fields"]["rcv_nxt"]),
        (&1001.into(), &2001.into())
    );
    assert!(violation["kernel"].as_str().is_some_and(|release| !release.is_empty()), "{violation}");
    assert!(violation["story"].is_array() && violation["history"].is_object(), "{violation}");
    let healthy = write(Format::Json, Selection::default(), &life()[..1]);
    assert!(!healthy.contains("violation"), "{healthy}");
}
