//! The matrix: states x flag sets x sequence positions x ACK positions x text, each cell a connection of its own, played
//! against the running kernel and compared with the model.
//!
//! A row (one state, one flag set) is a generated scenario with a connection for each cell.

mod cells;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::atomic::{AtomicUsize, Ordering},
};

use model::{Flags, State, linux::DeviationId, oracle::Observation};

use cells::{ACKS, COUNT, FLAGS, ROW, SEQS, STARTS, Start, TEXTS, segment};

use super::{
    judge::{Word, traces, word},
    play::{self, PlayError, Played, Recorded},
    repeats::{Repeats, UNCONFIRMED, Verdict},
    report::model::{Answer, Family, Finding, Grid, Matrix, Outcome},
    scenario::{ParseError, Script, parse_file},
    side_by_side::side_by_side,
    stream::Stream,
};

/// What the matrix shows.
#[derive(Debug)]
pub struct Results {
    /// The matrix.
    pub matrix: Matrix,
    /// What nothing explains.
    pub findings: Vec<Finding>,
    /// The deviations that were seen.
    pub deviations: BTreeSet<DeviationId>,
}

/// What came of a cell, before it has a place in the report.
struct Judged {
    answer: Answer,
    finding: Option<Finding>,
    deviations: Vec<DeviationId>,
}

impl Judged {
    /// The same cell without a verdict, and why.
    fn unsettled(mut self, why: &str) -> Self {
        self.answer.outcome = Outcome::Inconclusive;
        self.answer.note = format!("{}: {why}", self.answer.note);
        self.finding = None;
        self
    }
}

struct Row {
    family: Family,
    state: usize,
    flags: usize,
}

/// A row and its judged cells.
type DoneRow = (Row, Vec<(usize, Judged)>);

/// How long the kernel may take to answer, nanoseconds: less than any of its timers.
const ANSWER: u64 = 150_000_000;

/// Plays and judges every cell, `jobs` rows side by side. `progress` hears of rows that are done and of all.
///
/// # Errors
///
/// [`ParseError`], which a test excludes.
pub fn matrix(
    stream: &Stream,
    jobs: usize,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Results, ParseError> {
    let mut rows = Vec::new();
    for family in [Family::Ipv4, Family::Ipv6] {
        for state in 0..STARTS.len() {
            rows.extend((0..FLAGS.len()).map(|flags| Row { family, state, flags }));
        }
    }
    let all = rows.len();
    let played = AtomicUsize::new(0);
    let done = side_by_side(jobs, rows, |row| {
        let judged = play_row(&row, stream)?;
        progress(played.fetch_add(1, Ordering::Relaxed) + 1, all);
        Ok::<DoneRow, ParseError>((row, judged))
    })?;
    Ok(collect(done))
}

fn collect(done: Vec<DoneRow>) -> Results {
    let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut matrix = Matrix {
        states: STARTS.iter().map(|start| start.name.to_owned()).collect(),
        flags: texts(&FLAGS),
        seqs: texts(&SEQS.map(|(name, _)| name)),
        acks: texts(&ACKS.map(|(name, ..)| name)),
        texts: TEXTS.to_vec(),
        answers: Vec::new(),
        grids: [Family::Ipv4, Family::Ipv6].map(|family| Grid { family, cells: vec![None; COUNT] }).to_vec(),
    };
    let mut findings = Vec::new();
    let mut deviations = BTreeSet::new();
    for (Row { family, state, flags }, cells) in done {
        for (cell, Judged { answer, finding, deviations: shown }) in cells {
            let place = matrix.answers.iter().position(|known| *known == answer).unwrap_or_else(|| {
                matrix.answers.push(answer);
                matrix.answers.len() - 1
            });
            let at = (state * FLAGS.len() + flags) * ROW + cell;
            let grid = matrix.grids.iter_mut().find(|grid| grid.family == family);
            if let Some(slot) = grid.and_then(|grid| grid.cells.get_mut(at)) {
                *slot = u32::try_from(place).ok();
            }
            findings.extend(finding);
            deviations.extend(shown);
        }
    }
    Results { matrix, findings, deviations }
}

/// Plays and judges a row, as often as one of its cells wants it.
fn play_row(row: &Row, stream: &Stream) -> Result<Vec<(usize, Judged)>, ParseError> {
    let (Some(start), Some(flags)) = (STARTS.get(row.state), FLAGS.get(row.flags)) else {
        return Ok(Vec::new());
    };
    let (cells, script) = script(start, flags)?;
    let mut settled = BTreeMap::new();
    let mut open: BTreeMap<usize, Repeats<Judged>> =
        cells.iter().map(|cell| (*cell, Repeats::default())).collect();
    while !open.is_empty() {
        let judged = match play::play(&script, row.family, stream) {
            Ok(played) => judge_row(row, (start, flags), &cells, &played),
            Err(error) => cells.iter().map(|cell| (*cell, unplayed(&error))).collect(),
        };
        for (cell, judged) in judged {
            let Some(repeats) = open.get_mut(&cell) else { continue };
            let verdict = match repeats.after(judged.answer.outcome, judged) {
                Some(Verdict::Settled(judged)) => judged,
                Some(Verdict::Unconfirmed(judged)) => judged.unsettled(UNCONFIRMED),
                None => continue,
            };
            open.remove(&cell);
            settled.insert(cell, verdict);
        }
    }
    Ok(settled.into_iter().collect())
}

fn unplayed(error: &PlayError) -> Judged {
    let none = "-".to_owned();
    let answer =
        Answer { outcome: Outcome::Inconclusive, sent: none.clone(), state: none, note: error.to_string() };
    Judged { answer, finding: None, deviations: Vec::new() }
}

fn judge_row(
    row: &Row,
    (start, flags): (&Start, &str),
    cells: &[usize],
    played: &Played,
) -> Vec<(usize, Judged)> {
    let traces = traces(played);
    // The connection `main` makes the listener, where there is one, and is no cell.
    let judged = (1..).zip(cells).map(|(place, cell)| {
        let trace = traces.get(place).map(Vec::as_slice).unwrap_or_default();
        let observations: Vec<Observation> = trace.iter().map(|(_, observation)| *observation).collect();
        let text = segment(start, flags, *cell).unwrap_or_default();
        let place_name =
            format!("matrix {}: {}/{}", start.name, text.replacen("peer@ ", "", 1), row.family.name());
        (*cell, judge_cell(played, place, &observations, place_name))
    });
    judged.collect()
}

/// The scenario of a row, and the cells that its connections stand for.
fn script(start: &Start, flags: &str) -> Result<(Vec<usize>, Script), ParseError> {
    let mut text = format!("title: matrix\nrfc: 3.10.7\nsilence 1ms\n{}\n", start.before);
    let mut cells = Vec::new();
    for cell in 0..ROW {
        let Some(probe) = segment(start, flags, cell) else { continue };
        cells.push(cell);
        for step in start.steps.iter().copied().chain([probe.as_str()]) {
            let _ = writeln!(text, "{}", step.replacen('@', &format!("@c{cell}"), 1));
        }
    }
    // As long as an answer may take.
    text.push_str("wait 600ms\n");
    let mut scripts = parse_file("matrix", "matrix", &text)?;
    Ok((cells, scripts.remove(0)))
}

fn judge_cell(played: &Played, place: usize, observations: &[Observation], place_name: String) -> Judged {
    let probe = played.log.iter().rev().find(|logged| {
        logged.connection == place && matches!(logged.what, Recorded::Segment { from_kernel: false, .. })
    });
    let time = probe.map_or(u64::MAX, |logged| logged.time);
    let (sent, state) = answer(played, place, time);
    let of = |outcome, note: String| Answer { outcome, sent: sent.clone(), state: state.clone(), note };
    if played.failure.is_some() || probe.is_none() || played.lost > 0 {
        let seen = match &played.failure {
            Some(failure) => failure.seen.clone(),
            None => played.doubt().unwrap_or("the segment did not leave").to_owned(),
        };
        return Judged { answer: of(Outcome::Inconclusive, seen), finding: None, deviations: Vec::new() };
    }
    let word = word(observations, played, &BTreeSet::new());
    let outcome = word.outcome();
    match word {
        Word::Explained(shown) => {
            let names: Vec<&str> = shown.iter().map(|id| id.name()).collect();
            Judged { answer: of(outcome, names.join(", ")), finding: None, deviations: shown }
        }
        Word::Unexplained { expected, seen, rules } => {
            // Numbers differ from run to run; the finding has them.
            let note = format!("{expected}; {seen}").chars().filter(|c| !c.is_ascii_digit()).collect();
            let finding = Finding { place: place_name, expected, seen, rules };
            Judged { answer: of(outcome, note), finding: Some(finding), deviations: Vec::new() }
        }
        Word::Unknown(why) => {
            Judged { answer: of(outcome, why.to_owned()), finding: None, deviations: Vec::new() }
        }
    }
}

/// What the kernel sent and where it went, soon after the probe.
fn answer(played: &Played, place: usize, time: u64) -> (String, String) {
    let soon = time..=time.saturating_add(ANSWER);
    let mut forms: Vec<String> = Vec::new();
    for logged in &played.log {
        let Recorded::Segment { parsed, from_kernel: true, .. } = &logged.what else { continue };
        if logged.connection == place && soon.contains(&logged.time) {
            let bare = parsed.segment.flags.without(Flags::PSH);
            let form = bare.to_string();
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
    }
    let ports = played.connections.get(place).map(|connection| connection.ports);
    let mut changes = played.account.changes().iter().rev();
    let last = changes.find(|change| Some(change.ports) == ports && change.time <= *soon.end());
    let state = match (last, ports) {
        (Some(change), _) => change.transition.to,
        (None, Some(ports)) => {
            // A listener that the segment left alone.
            let listens = played.account.changes().iter().any(|change| change.ports == ports.listener());
            if listens { State::Listen } else { State::Closed }
        }
        (None, None) => State::Closed,
    };
    let sent = if forms.is_empty() { "-".to_owned() } else { forms.join(" ") };
    (sent, state.to_string())
}

#[cfg(test)]
mod tests {
    use super::{FLAGS, STARTS, script};

    #[test]
    fn every_row_is_a_readable_scenario() {
        for start in &STARTS {
            for flags in FLAGS {
                let (cells, script) = script(start, flags).unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(script.connections.len(), cells.len() + 1, "{} {flags}", start.name);
            }
        }
    }
}
