//! How much would be noticed: a real recording in which one connection at a time misbehaves, in every place where it can.
//!
//! A violation is certain. A doubt says that something is missing: to the agent a transition that a kernel never announced
//! is a lost record, and a loss is no accusation. What is neither passes as healthy, and the table says why.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::PathBuf,
};

use model::linux::LinuxState;
use tracer_ebpf::{Hook, Record, uapi};
use uapi::{shutdown, sock_flag, tcp_state as state};

use crate::tape::{Heard, Taken, Tape, record};

/// A change of one record of a connection, or `None` where it makes no sense.
type Operator = fn(Record) -> Option<Change>;

#[derive(Clone, Copy)]
enum Change {
    /// It says something else.
    Says(Record),
    /// It never comes.
    Nothing,
    /// It comes again, this much later.
    Again(u64),
}

/// Wrong edges, by name.
const EDGES: &[(&str, Operator)] = &[
    ("enters the next state but one", |record| to(record, 1)),
    ("enters a far state", |record| to(record, 5)),
    ("enters another state", |record| to(record, 8)),
    ("leaves another state", |record| {
        let from = 1 + (record.from + 3) % 11;
        (record.hook == Hook::State as u8 && from != record.from && from != record.to)
            .then_some(Change::Says(Record { from, ..record }))
    }),
    ("announces TIME_WAIT", |record| enters(record, state::TIME_WAIT)),
    ("announces a request", |record| enters(record, state::NEW_SYN_RECV)),
    ("opens again without a close", |record| {
        (transition(&record) != Some((state::CLOSE, state::SYN_SENT))).then_some(())?;
        enters(record, state::SYN_SENT)
    }),
    ("is established again", |record| enters(record, state::ESTABLISHED)),
    ("stays where it is", |record| enters(record, record.from)),
    ("skips a step", |record| {
        // The last of a life leaves nothing behind that could be missed.
        transition(&record).filter(|(_, to)| *to != state::CLOSE).map(|_| Change::Nothing)
    }),
    ("takes a step twice", |record| {
        transition(&record).filter(|(from, to)| from != to).map(|_| Change::Again(50_000_000))
    }),
];

/// Wrong fields, by name.
const FIELDS: &[(&str, Operator)] = &[
    ("acknowledged beyond SND.NXT", |record| {
        numbered(record).map(|record| Record { una: record.nxt.wrapping_add(1), ..record }).map(Change::Says)
    }),
    ("SND.NXT before SND.UNA", |record| {
        numbered(record).map(|record| Record { nxt: record.una.wrapping_sub(1), ..record }).map(Change::Says)
    }),
    ("SND.NXT beyond the queue", |record| {
        numbered(record)
            .map(|record| Record { nxt: record.write_seq.wrapping_add(1), ..record })
            .map(Change::Says)
    }),
    ("RCV.NXT before what was read", |record| {
        let from = transition(&record)?.0;
        let meaningful = !matches!(from, state::CLOSE | state::LISTEN | state::SYN_SENT);
        // Whoever opened in vain has received nothing.
        meaningful.then_some(Change::Says(Record { rcv_nxt: record.copied_seq.wrapping_sub(1), ..record }))
    }),
    ("established, our SYN not acknowledged", |record| {
        let (_, to) = transition(&record)?;
        (to == state::ESTABLISHED)
            .then_some(Change::Says(Record { una: record.nxt.wrapping_sub(1), ..record }))
    }),
    ("FIN-WAIT-2, our FIN not acknowledged", |record| {
        let (_, to) = transition(&record)?;
        (to == state::FIN_WAIT2)
            .then_some(Change::Says(Record { una: record.write_seq.wrapping_sub(1), ..record }))
    }),
    ("FIN-WAIT-2 ends, our FIN not acknowledged", |record| {
        let (from, _) = transition(&record)?;
        (from == state::FIN_WAIT2)
            .then_some(Change::Says(Record { una: record.write_seq.wrapping_sub(1), ..record }))
    }),
    ("LAST-ACK ends, our FIN not acknowledged", |record| {
        let acknowledged = record.una == record.write_seq;
        (transition(&record)? == (state::LAST_ACK, state::CLOSE) && acknowledged)
            .then_some(Change::Says(Record { una: record.write_seq.wrapping_sub(1), ..record }))
    }),
    ("the peer's FIN never came", |record| {
        let (from, to) = transition(&record)?;
        let after = matches!(to, state::CLOSE_WAIT | state::CLOSING)
            || matches!(from, state::CLOSE_WAIT | state::CLOSING | state::LAST_ACK);
        let sock_flags = record.sock_flags & !sock_flag::DONE;
        after.then_some(Change::Says(Record { sock_flags, ..record }))
    }),
    ("the peer's FIN was passed over", |record| {
        let (from, to) = transition(&record)?;
        let before = matches!(
            (from, to),
            (state::ESTABLISHED, state::FIN_WAIT1) | (state::FIN_WAIT1, state::FIN_WAIT2)
        );
        let shutdown = record.shutdown | shutdown::RECEIVE;
        let sock_flags = record.sock_flags | sock_flag::DONE;
        before.then_some(Change::Says(Record { sock_flags, shutdown, ..record }))
    }),
    ("nobody closed", |record| {
        let (from, to) = transition(&record)?;
        let closed = matches!(to, state::FIN_WAIT1 | state::LAST_ACK)
            || matches!(from, state::FIN_WAIT1 | state::FIN_WAIT2 | state::CLOSING | state::LAST_ACK);
        let shutdown = record.shutdown & !shutdown::SEND;
        closed.then_some(Change::Says(Record { shutdown, ..record }))
    }),
    ("TIME-WAIT ends early", |record| {
        let ends =
            matches!(record.hook, hook if hook == Hook::TimerExpire as u8 || hook == Hook::TimerCancel as u8);
        (ends && record.to == state::TIME_WAIT && record.cookie != 0)
            .then_some(Change::Says(Record { time_ns: record.time_ns - 20_000_000_000, ..record }))
    }),
];

fn transition(record: &Record) -> Option<(u8, u8)> {
    (record.hook == Hook::State as u8).then_some((record.from, record.to))
}

/// Enters the state that is `further` numbers on.
fn to(record: Record, further: u8) -> Option<Change> {
    enters(record, 1 + (record.to - 1 + further) % 11)
}

fn enters(record: Record, to: u8) -> Option<Change> {
    // Only where that is another edge.
    let (_, was) = transition(&record)?;
    (to != was).then_some(Change::Says(Record { to, ..record }))
}

/// A record whose sequence numbers mean something: not that of a socket that has not begun, and not a child's first.
fn numbered(record: Record) -> Option<Record> {
    let (from, to) = transition(&record)?;
    let meaningless =
        matches!(from, state::CLOSE | state::LISTEN) || (from, to) == (state::SYN_SENT, state::CLOSE);
    (!meaningless).then_some(record)
}

/// What became of the changes that one operator made.
#[derive(Default)]
struct Row {
    mutants: u32,
    violations: u32,
    doubts: u32,
    /// What passed, by transition.
    missed: BTreeMap<String, u32>,
}

impl Row {
    fn caught(&self) -> u32 {
        self.violations + self.doubts
    }

    fn add(&mut self, other: &Self) {
        self.mutants += other.mutants;
        self.violations += other.violations;
        self.doubts += other.doubts;
    }
}

/// Puts a change into every connection, the `round`th place of each that takes it, and judges: connections do not disturb
/// each other.
fn round(tape: &Tape, healthy: &Heard, operator: Operator, round: usize, row: &mut Row) -> bool {
    let mut seen: BTreeMap<u64, usize> = BTreeMap::new();
    let mut changed: BTreeMap<u64, String> = BTreeMap::new();
    let mut taken = Vec::with_capacity(tape.taken.len());
    for input in &tape.taken {
        // What is in doubt already proves nothing.
        let certain = |record: &&Record| record.cookie != 0 && healthy.doubts(record.cookie) == 0;
        let change = record(input).filter(certain).and_then(|record| operator(*record));
        let (Some(was), Some(change)) = (record(input), change) else {
            taken.push(input.clone());
            continue;
        };
        let place = seen.entry(was.cookie).or_default();
        // A minisocket's cancel and expire are one end.
        let is_timer = was.hook != Hook::State as u8;
        let chosen = is_timer && round == 0 || !is_timer && *place == round;
        *place += 1;
        if !chosen {
            taken.push(input.clone());
            continue;
        }
        changed.insert(was.cookie, name(was));
        match change {
            Change::Says(record) => taken.push(Taken::Record(record)),
            Change::Nothing => {}
            Change::Again(later) => {
                taken.push(input.clone());
                taken.push(Taken::Record(Record { time_ns: was.time_ns + later, ..*was }));
            }
        }
    }
    let heard = Tape { header: tape.header.clone(), taken }.judge();
    for (cookie, transition) in &changed {
        row.mutants += 1;
        if heard.worst(*cookie) == 3 {
            row.violations += 1;
        } else if heard.doubts(*cookie) > 0 {
            row.doubts += 1;
        } else {
            *row.missed.entry(transition.clone()).or_default() += 1;
        }
    }
    !changed.is_empty()
}

fn name(record: &Record) -> String {
    let state = |number: u8| match number.checked_sub(1) {
        Some(place) => LinuxState::ALL[usize::from(place)].name(),
        None => "-",
    };
    format!("{}>{}", state(record.from), state(record.to))
}

fn rows(tape: &Tape, healthy: &Heard, operators: &[(&'static str, Operator)]) -> Vec<(&'static str, Row)> {
    let row = |operator| {
        let mut row = Row::default();
        let mut number = 0;
        while round(tape, healthy, operator, number, &mut row) {
            number += 1;
        }
        row
    };
    operators.iter().map(|(name, operator)| (*name, row(*operator))).collect()
}

/// Why a change passes.
fn reason(operator: &str, transition: &str) -> &'static str {
    match (operator, transition) {
        ("LAST-ACK ends, our FIN not acknowledged", _) => {
            "nobody holds the socket any more, and of such the kernel may drop one in silence (tcp_orphan limits)"
        }
        ("enters another state", "established>close") => {
            "that close sets the fields which FIN-WAIT-1 asks for, and it was the last transition: a lost end is no verdict"
        }
        ("stays where it is", "last_ack>close") => {
            "a task was at work and had not closed yet, so it looks like close() after shutdown(); a lost end is no verdict"
        }
        _ => "NOT EXPLAINED",
    }
}

fn table(title: &str, rows: &[(&'static str, Row)]) -> (String, Row) {
    let mut text =
        format!("{title}\n{:>8} {:>9} {:>6} {:>6}  change\n", "mutants", "violation", "doubt", "missed");
    let mut total = Row::default();
    let mut line = |name: &str, row: &Row| {
        let missed = row.mutants - row.caught();
        writeln!(text, "{:>8} {:>9} {:>6} {missed:>6}  {name}", row.mutants, row.violations, row.doubts)
            .unwrap();
        for (transition, count) in &row.missed {
            writeln!(text, "{:>35}  {count} {transition}: {}", "", reason(name, transition)).unwrap();
        }
    };
    for (name, row) in rows {
        line(name, row);
        total.add(row);
    }
    line("all", &total);
    (text, total)
}

#[test]
fn a_kernel_that_misbehaves_is_found_out() {
    let tape = Tape::load();
    let healthy = tape.judge();
    let (edges, all_edges) = table("edges", &rows(&tape, &healthy, EDGES));
    let (fields, all_fields) = table("fields", &rows(&tape, &healthy, FIELDS));
    let text = format!("{edges}\n{fields}");
    assert!(!text.contains("NOT EXPLAINED"), "{text}");
    snapshot(&text);
    let share = |row: &Row| f64::from(row.caught()) / f64::from(row.mutants);
    assert!(all_edges.mutants > 10_000 && all_fields.mutants > 5_000);
    assert!(share(&all_edges) >= 0.99, "{edges}");
    assert!(share(&all_fields) >= 0.95, "{fields}");
}

#[test]
fn every_name_is_given_once() {
    let names: BTreeSet<_> = EDGES.iter().chain(FIELDS).map(|(name, _)| *name).collect();
    assert_eq!(names.len(), EDGES.len() + FIELDS.len());
}

/// Compares with the stored table; `UPDATE_SNAPSHOTS=1` stores it anew.
#[track_caller]
fn snapshot(text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/replay/snapshots/detection.txt");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        return std::fs::write(&path, text).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == text,
        "{} differs; it is now:\n{text}\nIf that is meant: UPDATE_SNAPSHOTS=1 cargo test -p tracer --test replay detection",
        path.display()
    );
}
