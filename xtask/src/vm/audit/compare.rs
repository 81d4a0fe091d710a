//! `tcp-tracer audit diff` of two kernels, cut down to what a page can show.

use std::{
    io,
    path::Path,
    process::{Command, Stdio},
};

use serde::{Deserialize, Serialize};

use super::record::Record;
use crate::{command, vm::catalog::Arch};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot start `{command}`: {source}")]
    Start { command: String, source: io::Error },
    #[error("`{command}` cannot compare, {status}")]
    Refused { command: String, status: std::process::ExitStatus },
    #[error("`{command}` says something else than the JSON that is expected of it: {source}")]
    Json { command: String, source: serde_json::Error },
}

/// What the older of two kernels does and the newer one does not, and the other way round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    pub machine: Arch,
    /// Release, commit and beginning of both audits: the older kernel first.
    pub audits: [Compared; 2],
    /// Deviations that only the older one shows, and only the newer one.
    pub deviations: [Vec<String>; 2],
    pub requirements: Vec<Change>,
    pub scenarios: Vec<Change>,
    pub cells: Vec<Cells>,
    pub settings: Vec<Change>,
}

/// One side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    pub kernel: String,
    pub tree: String,
    pub started: String,
}

impl Compared {
    pub fn new(record: &Record) -> Self {
        Self { kernel: record.kernel.clone(), tree: record.tree.clone(), started: record.started.clone() }
    }
}

/// Something that has a value on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub what: String,
    pub from: String,
    pub to: String,
}

/// Cells of the matrix that differ in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cells {
    pub count: usize,
    /// One of them.
    pub example: String,
    pub from: String,
    pub to: String,
}

/// Compares the reports in two folders by the agent's own command.
pub fn compare(agent: &Path, (old, new): (&Path, &Path), records: [&Record; 2]) -> Result<Comparison, Error> {
    let mut diff = Command::new(agent);
    diff.args(["audit", "diff"]).arg(old).arg(new).args(["--output", "json"]).stderr(Stdio::inherit());
    let command = command::line(&diff);
    let output = diff.output().map_err(|source| Error::Start { command: command.clone(), source })?;
    // 0: both found the same; 1: they differ.
    if !matches!(output.status.code(), Some(0 | 1)) {
        return Err(Error::Refused { command, status: output.status });
    }
    let diff: Diff =
        serde_json::from_slice(&output.stdout).map_err(|source| Error::Json { command, source })?;
    Ok(diff.cut(records))
}

/// The agent's JSON.
#[derive(Debug, Deserialize)]
struct Diff {
    sysctls: Vec<Sysctl>,
    requirements: Vec<Requirement>,
    deviations: Only,
    scenarios: Vec<Scenario>,
    cells: Vec<Cell>,
}

#[derive(Debug, Deserialize)]
struct Pair<T> {
    a: T,
    b: T,
}

#[derive(Debug, Deserialize)]
struct Only {
    in_a: Vec<String>,
    in_b: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Sysctl {
    name: String,
    values: Pair<Option<String>>,
}

#[derive(Debug, Deserialize)]
struct Requirement {
    id: String,
    verdicts: Pair<Option<String>>,
}

#[derive(Debug, Deserialize)]
struct Scenario {
    id: String,
    family: String,
    outcomes: Pair<Option<String>>,
    deviations: Only,
}

#[derive(Debug, Deserialize)]
struct Cell {
    cell: String,
    family: String,
    answers: Pair<Answer>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    outcome: String,
    sent: String,
    state: String,
    note: String,
}

impl Diff {
    fn cut(self, records: [&Record; 2]) -> Comparison {
        let Self { sysctls, requirements, deviations, scenarios, cells } = self;
        let change = |what: String, Pair { a, b }: Pair<Option<String>>| {
            let word =
                |one: Option<String>| one.map_or_else(|| "absent".to_owned(), |one| one.replace('_', " "));
            Change { what, from: word(a), to: word(b) }
        };
        let mut runs: Vec<Change> = Vec::new();
        for Scenario { id, family, outcomes, deviations } in scenarios {
            let Change { from, to, .. } = change(String::new(), outcomes);
            let [from, to] = [with(from, &deviations.in_a), with(to, &deviations.in_b)];
            match runs
                .iter_mut()
                .find(|run| run.what.starts_with(&format!("{id}/")) && run.from == from && run.to == to)
            {
                // Both families alike.
                Some(run) => run.what = id,
                None => runs.push(Change { what: format!("{id}/{family}"), from, to }),
            }
        }
        let mut alike: Vec<Cells> = Vec::new();
        for Cell { cell, family, answers } in cells {
            let [from, to] = [answers.a, answers.b].map(Answer::told);
            match alike.iter_mut().find(|known| known.from == from && known.to == to) {
                Some(known) => known.count += 1,
                None => alike.push(Cells { count: 1, example: format!("{cell}/{family}"), from, to }),
            }
        }
        let machine = records[0].machine;
        Comparison {
            machine,
            audits: records.map(Compared::new),
            deviations: [deviations.in_a, deviations.in_b],
            requirements: requirements.into_iter().map(|one| change(one.id, one.verdicts)).collect(),
            scenarios: runs,
            cells: alike,
            settings: sysctls
                .into_iter()
                .map(|Sysctl { name, values: Pair { a, b } }| {
                    let word = |one: Option<String>| one.unwrap_or_else(|| "absent".to_owned());
                    Change { what: name, from: word(a), to: word(b) }
                })
                .collect(),
        }
    }
}

/// An outcome, and the deviations that only this side showed.
fn with(outcome: String, deviations: &[String]) -> String {
    if deviations.is_empty() { outcome } else { format!("{outcome} ({})", deviations.join(", ")) }
}

impl Answer {
    fn told(self) -> String {
        let Self { outcome, sent, state, note } = self;
        let sent = if sent == "-" { "nothing".to_owned() } else { sent };
        let note = if note.is_empty() { note } else { format!(" ({note})") };
        format!("{outcome}: sent {sent}, then {state}{note}")
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::vm::audit::record::tests::record;

    /// What the agent says of two kernels.
    const DIFF: &str = r#"{"same": false, "audits": {},
        "sysctls": [{"name": "net.ipv4.tcp_pingpong_thresh", "values": {"a": null, "b": "1"}}],
        "requirements": [{"id": "MUST-10", "verdicts": {"a": "deviation", "b": "pass"}, "reasons": {"a": "", "b": ""}}],
        "deviations": {"in_a": ["crossed-syn-ack-challenged"], "in_b": []},
        "findings": {"in_a": [], "in_b": []},
        "scenarios": [
            {"id": "open/crossing", "family": "ipv4", "outcomes": {"a": "deviation", "b": "pass"},
             "deviations": {"in_a": ["crossed-syn-ack-challenged"], "in_b": []}},
            {"id": "open/crossing", "family": "ipv6", "outcomes": {"a": "deviation", "b": "pass"},
             "deviations": {"in_a": ["crossed-syn-ack-challenged"], "in_b": []}},
            {"id": "open/new", "family": "ipv4", "outcomes": {"a": null, "b": "pass"},
             "deviations": {"in_a": [], "in_b": []}}],
        "cells": [
            {"cell": "CLOSED SYN nxt nxt 0", "family": "ipv4",
             "answers": {"a": {"outcome": "pass", "sent": "-", "state": "CLOSED", "note": ""},
                         "b": {"outcome": "deviation", "sent": "ACK", "state": "CLOSED", "note": "x"}}},
            {"cell": "CLOSED SYN nxt nxt 0", "family": "ipv6",
             "answers": {"a": {"outcome": "pass", "sent": "-", "state": "CLOSED", "note": ""},
                         "b": {"outcome": "deviation", "sent": "ACK", "state": "CLOSED", "note": "x"}}}],
        "cells_only": {"a": 0, "b": 0}}"#;

    /// A comparison of two audits.
    pub fn comparison() -> Comparison {
        let diff: Diff = serde_json::from_str(DIFF).unwrap();
        diff.cut([&record("abc"), &record("def")])
    }

    #[test]
    fn what_both_families_show_alike_is_one_change_and_cells_that_differ_alike_are_counted() {
        let change = |what: &str, from: &str, to: &str| Change {
            what: what.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
        };
        let Comparison { requirements, scenarios, cells, settings, deviations, .. } = comparison();
        assert_eq!(requirements, [change("MUST-10", "deviation", "pass")]);
        let challenged = "deviation (crossed-syn-ack-challenged)";
        assert_eq!(
            scenarios,
            [change("open/crossing", challenged, "pass"), change("open/new/ipv4", "absent", "pass")]
        );
        assert_eq!(settings, [change("net.ipv4.tcp_pingpong_thresh", "absent", "1")]);
        assert_eq!(deviations, [vec!["crossed-syn-ack-challenged".to_owned()], Vec::new()]);
        let [alike] = cells.as_slice() else { panic!("{cells:?}") };
        assert_eq!((alike.count, alike.example.as_str()), (2, "CLOSED SYN nxt nxt 0/ipv4"));
        assert_eq!(alike.from, "pass: sent nothing, then CLOSED");
        assert_eq!(alike.to, "deviation: sent ACK, then CLOSED (x)");
    }

    #[test]
    fn what_is_no_comparison_is_no_difference() {
        let folder = Path::new("/nowhere");
        let records = [&record("abc"), &record("def")];
        let refused = compare(Path::new("/bin/false"), (folder, folder), records).unwrap_err();
        assert!(matches!(refused, Error::Json { .. }), "{refused}");
        let missing = compare(Path::new("/no/such/agent"), (folder, folder), records).unwrap_err();
        assert!(missing.to_string().starts_with("cannot start `/no/such/agent audit diff"), "{missing}");
    }
}
