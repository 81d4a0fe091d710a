//! A small report in which everything occurs once.

use std::collections::BTreeMap;

use model::requirement::REQUIREMENTS;
use tracer::audit::report::model::{
    Answer, Conversation, Decided, Deviation, Entry, Evidence, Family, Finding, Grid, Kernel, Matrix,
    Outcome, Problem, Random, Report, Requirement, RequirementVerdict, Scenario, Segment, Settings,
    Undecided, VERSION, Verdict, What,
};

/// Text that breaks whatever does not escape it.
pub const NASTY: &str = "<script>alert(\"1\")</script> & 'x' | ]]> --> *_`";

/// Half past nine on 21 November 2026, nanoseconds since 1970.
const WALL: u64 = 1_795_253_400_123_456_789;

/// An IPv4 SYN from 10.9.0.2:7000 to 10.9.0.1:9000, base64.
const SYN: &str = "RQAAKAABQABABia7CgkAAgoJAAEbWCMoAAAAAQAAAABQAv//XU0AAA==";

pub fn report() -> Report {
    Report {
        version: VERSION,
        tool: "0.1.0".into(),
        kernel: Kernel { release: "6.18.0-<b>".into(), version: "#1 SMP".into(), machine: "x86_64".into() },
        started: "2026-11-21T09:30:00.123456789Z".into(),
        duration_ms: 61_234,
        settings: Settings {
            quick: true,
            seed: 7,
            jobs: 8,
            only: vec!["open".into()],
            files: vec!["own.scenarios".into()],
        },
        sysctls: BTreeMap::from([("net.ipv4.tcp_fin_timeout".into(), "60".into())]),
        outcome: Outcome::Fail,
        requirements: requirements(),
        deviations: vec![deviation()],
        findings: vec![finding("open/refused/ipv4:2", "kernel RST,ACK"), finding("random 42/ipv6", "CLOSED")],
        scenarios: vec![client(Family::Ipv4), client(Family::Ipv6), refused()],
        matrix: Some(matrix()),
        random: Some(Random {
            seed: 7,
            conversations: 1_000,
            observations: 12_345,
            inconclusive: 2,
            undecided: vec![Undecided { seed: 9, why: "no room for every explanation".into() }],
            duration_ms: 4_200,
            transitions: BTreeMap::from([("ESTABLISHED>CLOSE-WAIT".into(), 321)]),
            differences: vec![Conversation {
                seed: 42,
                family: Family::Ipv6,
                source: "user connect\npeer RST".into(),
                problem: Problem { line: Some(2), expected: "CLOSED".into(), seen: "SYN-SENT".into() },
                ladder: client(Family::Ipv6).ladder,
            }],
        }),
    }
}

fn finding(place: &str, expected: &str) -> Finding {
    Finding { place: place.into(), expected: expected.into(), seen: NASTY.into(), rules: "seg-cl-2".into() }
}

/// All 119; every verdict occurs.
fn requirements() -> Vec<Requirement> {
    let verdict = |id: &str| match id {
        "MUST-13" => (RequirementVerdict::Deviation, "time-wait-60s: TIME-WAIT lasts 60 s"),
        "MUST-3" => (RequirementVerdict::Fail, NASTY),
        "MUST-9" => (RequirementVerdict::NotObservable, "A secret does not show."),
        "SHLD-13" => (RequirementVerdict::NotApplicable, "It speaks to applications."),
        "MUST-20" => (RequirementVerdict::NotRun, "Left out by --quick."),
        _ => (RequirementVerdict::Pass, "1 step went as the RFC asks."),
    };
    let evidence = |id: &str| match id {
        "MUST-14" => vec![
            step("open/client", Family::Ipv4, 2, Outcome::Pass),
            step("open/client", Family::Ipv6, 2, Outcome::Pass),
        ],
        "MUST-3" => vec![step("open/refused", Family::Ipv4, 2, Outcome::Fail)],
        "MUST-2" => vec![step("open/client", Family::Ipv4, 0, Outcome::Pass)],
        _ => Vec::new(),
    };
    let all = REQUIREMENTS.iter().map(|known| {
        let (verdict, reason) = verdict(known.id);
        Requirement {
            id: known.id.into(),
            clause: known.clause.into(),
            sentence: known.sentence.into(),
            verdict,
            reason: reason.into(),
            evidence: evidence(known.id),
        }
    });
    all.collect()
}

fn step(scenario: &str, family: Family, line: u32, outcome: Outcome) -> Evidence {
    Evidence { scenario: scenario.into(), family, line, outcome, seen: "SYN seq=0".into() }
}

fn deviation() -> Deviation {
    Deviation {
        name: "time-wait-60s".into(),
        clause: "3.4.2; 3.6.1".into(),
        requirement: Some("MUST-13".into()),
        permitted: false,
        why: "TIME-WAIT lasts 60 s.".into(),
        operator: "Not tunable.".into(),
        function: "tcp_time_wait".into(),
        seen_in: vec!["open/client/ipv4:3".into(), "matrix".into(), "random".into()],
    }
}

/// A SYN that leaves, an answer that is lost, and a minute of silence.
fn client(family: Family) -> Scenario {
    Scenario {
        id: "open/client".into(),
        title: "The client's handshake".into(),
        clause: "3.5".into(),
        group: "open".into(),
        family,
        source: "user connect\nkernel SYN seq=0 [MUST-14]\nstate SYN-SENT\n".into(),
        outcome: Outcome::Deviation,
        problem: None,
        deviations: vec!["time-wait-60s".into()],
        decided: vec![Decided {
            requirement: "MUST-14".into(),
            line: 2,
            outcome: Outcome::Pass,
            deviation: None,
            seen: "SYN seq=0".into(),
        }],
        duration: 60_001_000,
        ladder: vec![
            entry(10, Some(1), What::Call { call: "connect".into(), result: "ok".into() }),
            Entry {
                verdict: Some(Verdict { class: "conforming".into(), text: "open-2".into() }),
                ..entry(
                    20,
                    Some(3),
                    What::Transition {
                        from: "CLOSED".into(),
                        to: "SYN-SENT".into(),
                        source: "tracepoint".into(),
                    },
                )
            },
            Entry { wall: WALL, ..entry(30, Some(2), segment(true, None, family)) },
            Entry { wall: WALL + 1_000, ..entry(40, None, segment(false, Some("lost"), family)) },
            Entry {
                wall: WALL + 60_000_000_001,
                ..entry(60_000_040, None, segment(false, Some("bad checksum"), family))
            },
            entry(60_000_050, None, What::Note { text: NASTY.into() }),
        ],
    }
}

fn refused() -> Scenario {
    let icmp = What::Icmp { message: "port unreachable".into(), packet: SYN.into() };
    Scenario {
        id: "open/refused".into(),
        title: NASTY.into(),
        family: Family::Ipv4,
        source: "peer SYN\nkernel RST,ACK\n".into(),
        outcome: Outcome::Fail,
        problem: Some(Problem { line: Some(2), expected: "kernel RST,ACK".into(), seen: NASTY.into() }),
        deviations: Vec::new(),
        decided: Vec::new(),
        ladder: vec![Entry {
            wall: WALL + 5,
            connection: "second".into(),
            peer_state: Some("SYN-SENT".into()),
            verdict: Some(Verdict { class: "violation".into(), text: NASTY.into() }),
            ..entry(5, Some(1), icmp)
        }],
        ..client(Family::Ipv4)
    }
}

fn entry(at: u64, line: Option<u32>, what: What) -> Entry {
    Entry {
        at,
        wall: 0,
        connection: "main".into(),
        line,
        kernel_state: "SYN-SENT".into(),
        peer_state: Some("LISTEN".into()),
        what,
        verdict: None,
        departures: Vec::new(),
    }
}

fn segment(from_kernel: bool, mischief: Option<&str>, family: Family) -> What {
    let mss = if family == Family::Ipv4 { 1460 } else { 1440 };
    What::Segment(Segment {
        from_kernel,
        flags: "SYN".into(),
        seq: 0,
        ack: None,
        len: 0,
        window: 65_535,
        urgent: None,
        options: format!("mss {mss}, wscale 7"),
        mischief: mischief.map(str::to_owned),
        packet: SYN.into(),
    })
}

/// Two states, two flag sets, two positions, one acknowledgment, two lengths; IPv6 differs in one cell.
fn matrix() -> Matrix {
    let answer = |outcome, sent: &str, note: &str| Answer {
        outcome,
        sent: sent.into(),
        state: "LISTEN".into(),
        note: note.into(),
    };
    let first: Vec<_> = (0..16).map(|cell| if cell < 8 { Some(0) } else { Some(cell % 3) }).collect();
    let mut second = first.clone();
    second[15] = Some(3);
    second[0] = None;
    Matrix {
        states: vec!["LISTEN".into(), "ESTABLISHED".into()],
        flags: vec!["SYN".into(), "RST,ACK".into()],
        seqs: vec!["next".into(), "beyond".into()],
        acks: vec!["una".into()],
        texts: vec![0, 10],
        answers: vec![
            answer(Outcome::Pass, "-", ""),
            answer(Outcome::Pass, "RST", ""),
            answer(Outcome::Deviation, "ACK", "syn-fin-dropped"),
            answer(Outcome::Fail, "ACK", NASTY),
        ],
        grids: vec![
            Grid { family: Family::Ipv4, cells: first },
            Grid { family: Family::Ipv6, cells: second },
        ],
    }
}
