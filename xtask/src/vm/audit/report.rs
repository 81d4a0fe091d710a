//! What is read of an audit's `report.json`.

use std::{collections::BTreeMap, fmt, fs, path::Path};

use serde::{Deserialize, Serialize};

use super::Error;
use crate::file::failed;

/// Counts by outcome, in its own words.
pub type Counts = BTreeMap<String, usize>;

/// A report, as far as it is needed here; its whole form is `tracer/src/audit/report/model.rs`.
#[derive(Debug, Deserialize)]
pub struct Report {
    pub kernel: KernelName,
    pub started: String,
    pub duration_ms: u64,
    pub settings: Settings,
    pub requirements: Vec<Requirement>,
    pub deviations: Vec<Deviation>,
    pub findings: Vec<Finding>,
    pub scenarios: Vec<Scenario>,
    pub matrix: Option<Matrix>,
    pub random: Option<Random>,
}

#[derive(Debug, Deserialize)]
pub struct KernelName {
    pub release: String,
}

#[derive(Debug, Deserialize)]
pub struct Settings {
    pub quick: bool,
}

#[derive(Debug, Deserialize)]
pub struct Requirement {
    pub verdict: String,
}

#[derive(Debug, Deserialize)]
pub struct Deviation {
    pub name: String,
}

/// What nothing explains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub place: String,
    pub expected: String,
    pub seen: String,
}

#[derive(Debug, Deserialize)]
pub struct Scenario {
    pub id: String,
    pub family: String,
    pub outcome: String,
    pub problem: Option<Problem>,
}

#[derive(Debug, Deserialize)]
pub struct Problem {
    pub expected: String,
    pub seen: String,
}

#[derive(Debug, Deserialize)]
pub struct Matrix {
    answers: Vec<Answer>,
    grids: Vec<Grid>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    outcome: String,
    note: String,
}

#[derive(Debug, Deserialize)]
struct Grid {
    cells: Vec<Option<usize>>,
}

#[derive(Debug, Deserialize)]
pub struct Random {
    pub conversations: u64,
    pub inconclusive: u64,
    pub undecided: Vec<Undecided>,
}

#[derive(Debug, Deserialize)]
pub struct Undecided {
    pub seed: u64,
    pub why: String,
}

impl Report {
    /// Reads one.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let json = fs::read(path).map_err(failed("read", path))?;
        serde_json::from_slice(&json).map_err(|source| Error::Report { path: path.to_path_buf(), source })
    }

    /// Nothing is a finding, and the audit could be done: each scenario was played.
    pub fn is_explained(&self) -> bool {
        self.findings.is_empty() && self.scenarios.iter().all(|scenario| scenario.outcome != "error")
    }

    /// Scenarios by outcome.
    pub fn scenarios(&self) -> Counts {
        count(self.scenarios.iter().map(|scenario| &scenario.outcome))
    }

    /// Cells of the matrix by outcome.
    pub fn cells(&self) -> Counts {
        count(self.answers().map(|answer| &answer.outcome))
    }

    /// Requirements by verdict.
    pub fn requirements(&self) -> Counts {
        count(self.requirements.iter().map(|requirement| &requirement.verdict))
    }

    /// What has no verdict, or could not be played, and why.
    pub fn open(&self) -> Vec<String> {
        let is_open = |outcome: &str| outcome == "inconclusive" || outcome == "error";
        let scenarios = self.scenarios.iter().filter(|scenario| is_open(&scenario.outcome));
        let mut open: Vec<String> = scenarios
            .map(|Scenario { id, family, problem, .. }| {
                let why = problem.as_ref().map_or_else(
                    || "no word of the oracle".to_owned(),
                    |problem| format!("expected {}, seen {}", problem.expected, problem.seen),
                );
                format!("{id}/{family}: {why}")
            })
            .collect();
        let cells =
            count(self.answers().filter(|answer| is_open(&answer.outcome)).map(|answer| &answer.note));
        open.extend(cells.into_iter().map(|(why, cells)| format!("{cells} cells of the matrix: {why}")));
        let undecided = self.random.iter().flat_map(|random| &random.undecided);
        open.extend(undecided.map(|Undecided { seed, why }| format!("random {seed}: {why}")));
        open
    }

    fn answers(&self) -> impl Iterator<Item = &Answer> {
        self.matrix.iter().flat_map(|matrix| {
            let cells = matrix.grids.iter().flat_map(|grid| &grid.cells).flatten();
            cells.filter_map(|cell| matrix.answers.get(*cell))
        })
    }
}

fn count<'a>(words: impl Iterator<Item = &'a String>) -> Counts {
    let mut counts = Counts::new();
    for word in words {
        *counts.entry(word.clone()).or_default() += 1;
    }
    counts
}

/// `318 (259 pass, 59 deviation)`.
pub fn told(counts: &Counts) -> String {
    let each: Vec<_> =
        counts.iter().map(|(word, count)| format!("{count} {}", word.replace('_', " "))).collect();
    format!("{} ({})", counts.values().sum::<usize>(), each.join(", "))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scenarios {}", told(&self.scenarios()))?;
        if self.matrix.is_some() {
            write!(f, ", cells {}", told(&self.cells()))?;
        }
        if let Some(random) = &self.random {
            write!(f, ", conversations {} ({} inconclusive)", random.conversations, random.inconclusive)?;
        }
        write!(f, ", {} deviations, {} findings", self.deviations.len(), self.findings.len())?;
        for Finding { place, expected, seen } in &self.findings {
            write!(f, "\n  FINDING {place}: expected {expected}, seen {seen}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub mod tests {
    use super::Report;

    /// A report of two scenarios, three cells and two conversations.
    pub const REPORT: &str = r#"{
        "kernel": {"release": "6.1.0-56-cloud-amd64"}, "started": "2026-11-21T00:00:00Z", "duration_ms": 90000,
        "settings": {"quick": false},
        "requirements": [{"verdict": "pass"}, {"verdict": "not_run"}],
        "deviations": [{"name": "time-wait-60s"}],
        "findings": [{"place": "open/a/ipv4:3", "expected": "kernel ACK", "seen": "RST", "rules": "-"}],
        "scenarios": [
            {"id": "open/a", "family": "ipv4", "outcome": "fail", "problem": {"expected": "kernel ACK", "seen": "RST"}},
            {"id": "open/b", "family": "ipv6", "outcome": "inconclusive", "problem": null}],
        "matrix": {"answers": [{"outcome": "pass", "note": ""}, {"outcome": "inconclusive", "note": "events were lost"}],
            "grids": [{"cells": [0, null, 1]}, {"cells": [1, null, null]}]},
        "random": {"conversations": 2, "inconclusive": 1, "undecided": [{"seed": 7, "why": "late"}]}}"#;

    #[test]
    fn what_came_of_an_audit_is_told_in_a_line_and_each_finding_in_one() {
        let mut report: Report = serde_json::from_str(REPORT).unwrap();
        assert!(!report.is_explained());
        let line = "scenarios 2 (1 fail, 1 inconclusive), cells 3 (2 inconclusive, 1 pass), \
                    conversations 2 (1 inconclusive), 1 deviations, 1 findings\n  \
                    FINDING open/a/ipv4:3: expected kernel ACK, seen RST";
        assert_eq!(report.to_string(), line);
        let open = [
            "open/b/ipv6: no word of the oracle",
            "2 cells of the matrix: events were lost",
            "random 7: late",
        ];
        assert_eq!(report.open(), open);
        report.findings.clear();
        assert!(report.is_explained(), "no verdict is no finding");
        report.scenarios[0].outcome = "error".to_owned();
        assert!(!report.is_explained(), "what was not played proves nothing");
    }
}
