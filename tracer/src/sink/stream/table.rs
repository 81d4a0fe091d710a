//! A row per finding, in columns that fit the terminal.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use model::Verdict;

use super::reset_reason;
use crate::{
    anchor::Anchor,
    decode::Kernel,
    event::{Family, What},
    step::{Finding, StepKind},
};

/// The look of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Columns of the terminal; `usize::MAX` when it is none.
    pub width: usize,
    /// True when colours may be used.
    pub color: bool,
}

/// A column.
struct Column {
    title: &'static str,
    width: usize,
    right: bool,
    /// Shown on terminals of at least this width.
    needs: usize,
}

const COLUMNS: [Column; 9] = [
    Column { title: "TIME", width: 8, right: true, needs: 100 },
    Column { title: "PID", width: 7, right: true, needs: 120 },
    Column { title: "COMM", width: 10, right: false, needs: 120 },
    Column { title: "IP", width: 2, right: false, needs: 120 },
    Column { title: "LOCAL", width: 20, right: false, needs: 0 },
    Column { title: "REMOTE", width: 20, right: false, needs: 0 },
    Column { title: "STATE", width: 25, right: false, needs: 0 },
    Column { title: "MS", width: 8, right: true, needs: 100 },
    Column { title: "VERDICT", width: 0, right: false, needs: 0 },
];

/// From here on a conforming transition is shown with its rule and cause; other verdicts always are.
const DETAILS_NEED: usize = 140;

const HEADER: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const DEVIATION: Style = AnsiColor::Yellow.on_default();
const UNCLEAR: Style = AnsiColor::Cyan.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

impl Table {
    /// Appends the line of titles.
    pub(super) fn header(&self, lines: &mut Vec<u8>) {
        let titles = COLUMNS.each_ref().map(|column| column.title.to_owned());
        let line = self.align(&titles);
        self.styled(lines, HEADER, &line);
        lines.push(b'\n');
    }

    /// Appends a finding.
    pub(super) fn row(&self, lines: &mut Vec<u8>, finding: &Finding<'_>, epoch: &Anchor, kernel: &Kernel) {
        let event = finding.step.event;
        let flow = finding.step.flow();
        let task = finding.step.task();
        let unknown = || "-".to_owned();
        let family = match flow.family {
            _ if !finding.step.has_socket() => "-",
            Family::Ipv4 => "4",
            Family::Ipv6 => "6",
        };
        let [local, remote] = [flow.local, flow.remote]
            .map(|end| if finding.step.has_socket() { end.to_string() } else { unknown() });
        let (what, nanoseconds) = describe(finding, kernel);
        let cells = [
            decimals(event.time.saturating_sub(epoch.monotonic_ns), 1_000_000_000),
            task.map_or_else(unknown, |task| task.pid.to_string()),
            task.map_or_else(unknown, |task| printable(&task.name())),
            family.to_owned(),
            local,
            remote,
            what,
            nanoseconds.map_or_else(unknown, |nanoseconds| decimals(nanoseconds, 1_000_000)),
            String::new(),
        ];
        let line = self.align(&cells);
        match self.verdict(finding) {
            Some((style, verdict)) => {
                lines.extend_from_slice(line.as_bytes());
                self.styled(lines, style, &verdict);
            }
            None => lines.extend_from_slice(line.trim_end().as_bytes()),
        }
        lines.push(b'\n');
    }

    fn verdict(&self, finding: &Finding<'_>) -> Option<(Style, String)> {
        let judgement = finding.judgement?;
        let style = match judgement.verdict {
            Verdict::Conforming(_) => GOOD,
            Verdict::Deviation(_) => DEVIATION,
            Verdict::Inconclusive(_) => UNCLEAR,
            Verdict::Violation(_) => BAD,
        };
        let mut text = match judgement.verdict {
            Verdict::Conforming(_) if self.width < DETAILS_NEED => return Some((style, "ok".to_owned())),
            Verdict::Conforming(code) => format!("ok {}", code.name()),
            verdict => format!("{} {}", verdict.class(), verdict.name()),
        };
        let noted = judgement.noted.map(model::linux::DeviationId::name);
        for more in noted.into_iter().chain(judgement.cause.map(model::linux::CloseCause::name)) {
            text.push(' ');
            text.push_str(more);
        }
        Some((style, text))
    }

    /// Puts each cell at the place of its column. A cell that is too long moves the next ones only as far as it must.
    fn align(&self, cells: &[String; COLUMNS.len()]) -> String {
        let (mut line, mut length, mut end) = (String::new(), 0, 0);
        for (column, cell) in COLUMNS.iter().zip(cells).filter(|(column, _)| column.needs <= self.width) {
            let letters = cell.chars().count();
            end += column.width;
            let padding = |used: usize| " ".repeat(end.saturating_sub(used));
            if column.right {
                line.push_str(&padding(length + letters));
                length += padding(length + letters).len();
            }
            line.push_str(cell);
            length += letters;
            // The last column is open to the right.
            if column.width > 0 {
                line.push_str(&padding(length));
                line.push(' ');
                length += padding(length).len() + 1;
                end += 1;
            }
        }
        line
    }

    fn styled(&self, lines: &mut Vec<u8>, style: Style, text: &str) {
        let style = if self.color { style } else { Style::new() };
        // Writing to memory does not fail.
        let _ = write!(lines, "{style}{text}{style:#}");
    }
}

/// What happened, and the nanoseconds that belong to it.
fn describe(finding: &Finding<'_>, kernel: &Kernel) -> (String, Option<u64>) {
    match finding.step.kind {
        StepKind::Transition { transition, spent, .. } => {
            (format!("{} -> {}", transition.from, transition.to), spent)
        }
        StepKind::Handshake { role, result, duration } => {
            (format!("{} {}", role.name(), result.name()), duration.ok())
        }
        StepKind::SynRetransmit => ("SYN again".to_owned(), None),
        StepKind::SynAckRetransmit => ("SYN,ACK again".to_owned(), None),
        StepKind::Reset { sent: true } => (
            reset_reason(finding.step.event, kernel)
                .map_or("RST sent".to_owned(), |why| format!("RST sent {why}")),
            None,
        ),
        StepKind::Reset { sent: false } => ("RST received".to_owned(), None),
        StepKind::RequestBegun => ("listen -> new_syn_recv".to_owned(), None),
        StepKind::RequestEnded { completed, lived } => {
            (format!("request {}", if completed { "completed" } else { "dropped" }), lived)
        }
        StepKind::TimewaitBegun { substate, .. } => (format!("{substate} minisocket"), None),
        StepKind::TimewaitConverted => ("fin_wait2 -> time_wait".to_owned(), None),
        StepKind::TimewaitRestarted => ("time_wait restarted".to_owned(), None),
        StepKind::TimewaitEnded { substate, cause, lived } => (format!("{substate} {}", cause.name()), lived),
        StepKind::TimewaitSkipped => ("time_wait skipped".to_owned(), None),
        StepKind::Destroyed => match finding.step.event.what {
            What::Destroyed { state } => (format!("{state} destroyed"), None),
            _ => ("destroyed".to_owned(), None),
        },
        StepKind::Duplicate => ("seen twice".to_owned(), None),
    }
}

/// `nanoseconds` in a larger unit, with as many decimals as fit eight columns.
fn decimals(nanoseconds: u64, unit: u64) -> String {
    let whole = nanoseconds / unit;
    let thousandths = nanoseconds % unit * 1000 / unit;
    match whole {
        0..10_000 => format!("{whole}.{thousandths:03}"),
        10_000..1_000_000 => format!("{whole}.{}", thousandths / 100),
        _ => whole.to_string(),
    }
}

/// A task may call itself what it likes; a terminal must not obey it.
fn printable(name: &str) -> String {
    name.chars().map(|letter| if letter.is_control() { '?' } else { letter }).collect()
}
