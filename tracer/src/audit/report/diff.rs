//! Two reports compared: what one kernel does and the other does not.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::model::{Answer, Family, Finding, Kernel, Matrix, Outcome, Report, RequirementVerdict};

/// What differs between two reports. Times are never compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diff {
    /// True when everything that was found is the same, whatever the kernels and settings are called.
    pub same: bool,
    /// Which audits were compared.
    pub audits: Pair<Audit>,
    /// Settings of the kernel that differ; they explain differences and are none themselves.
    pub sysctls: Vec<Sysctl>,
    /// Requirements with another verdict.
    pub requirements: Vec<Requirement>,
    /// Deviations that only one of them shows.
    pub deviations: Only<String>,
    /// Findings that only one of them has, by place; those of the matrix are among the cells.
    pub findings: Only<Finding>,
    /// Runs of scenarios that ended otherwise, or ran in one of them only.
    pub scenarios: Vec<Scenario>,
    /// Cells of the matrix with another answer.
    pub cells: Vec<Cell>,
    /// Cells of the matrix that ran in one of them only.
    pub cells_only: Pair<usize>,
}

/// One of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pair<T> {
    /// Of the first report.
    pub a: T,
    /// Of the second report.
    pub b: T,
}

/// What is in one report only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Only<T> {
    /// In the first.
    pub in_a: Vec<T>,
    /// In the second.
    pub in_b: Vec<T>,
}

impl<T> Only<T> {
    /// True when there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.in_a.is_empty() && self.in_b.is_empty()
    }
}

/// What an audit was of, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// The kernel.
    pub kernel: Kernel,
    /// When, RFC 3339.
    pub started: String,
    /// The whole in one value.
    pub outcome: Outcome,
    /// Without the long scenarios.
    pub quick: bool,
}

/// A setting that differs; none where it does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sysctl {
    /// Its name with dots.
    pub name: String,
    /// Its values.
    pub values: Pair<Option<String>>,
}

/// A requirement with another verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Requirement {
    /// For example `MUST-13`.
    pub id: String,
    /// The verdicts; none where it was not listed.
    pub verdicts: Pair<Option<RequirementVerdict>>,
    /// The reasons.
    pub reasons: Pair<Option<String>>,
}

/// A run that ended otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Scenario {
    /// The scenario's id.
    pub id: String,
    /// In which family.
    pub family: Family,
    /// How it ended; none where it did not run.
    pub outcomes: Pair<Option<Outcome>>,
    /// The deviations that only one of them showed.
    pub deviations: Only<String>,
}

/// A cell with another answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// In words: state, flags, seq, ack, text.
    pub cell: String,
    /// In which family.
    pub family: Family,
    /// What came of it.
    pub answers: Pair<Answer>,
}

/// Compares two reports.
#[must_use]
pub fn diff(a: &Report, b: &Report) -> Diff {
    let (cells, cells_only) = cells(a.matrix.as_ref(), b.matrix.as_ref());
    let mut diff = Diff {
        same: false,
        audits: Pair { a: audit(a), b: audit(b) },
        sysctls: sysctls(a, b),
        requirements: requirements(a, b),
        deviations: only(&names(a), &names(b)),
        findings: findings(a, b),
        scenarios: scenarios(a, b),
        cells,
        cells_only,
    };
    diff.same = diff.audits.a.outcome == diff.audits.b.outcome
        && diff.requirements.is_empty()
        && diff.deviations.is_empty()
        && diff.findings.is_empty()
        && diff.scenarios.is_empty()
        && diff.cells.is_empty()
        && diff.cells_only == Pair::default();
    diff
}

fn audit(report: &Report) -> Audit {
    Audit {
        kernel: report.kernel.clone(),
        started: report.started.clone(),
        outcome: report.outcome,
        quick: report.settings.quick,
    }
}

fn only<T: Ord + Clone>(a: &BTreeSet<T>, b: &BTreeSet<T>) -> Only<T> {
    Only { in_a: a.difference(b).cloned().collect(), in_b: b.difference(a).cloned().collect() }
}

fn names(report: &Report) -> BTreeSet<String> {
    report.deviations.iter().map(|deviation| deviation.name.clone()).collect()
}

/// Every key of either, in order, with what is under it in both.
fn joined<'a, K: Ord + Clone, V>(
    a: &'a BTreeMap<K, V>,
    b: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (K, Pair<Option<&'a V>>)> {
    let keys: BTreeSet<K> = a.keys().chain(b.keys()).cloned().collect();
    keys.into_iter().map(|key| {
        let pair = Pair { a: a.get(&key), b: b.get(&key) };
        (key, pair)
    })
}

fn sysctls(a: &Report, b: &Report) -> Vec<Sysctl> {
    joined(&a.sysctls, &b.sysctls)
        .filter(|(_, values)| values.a != values.b)
        .map(|(name, values)| Sysctl { name, values: Pair { a: values.a.cloned(), b: values.b.cloned() } })
        .collect()
}

fn requirements(a: &Report, b: &Report) -> Vec<Requirement> {
    // By place in the RFC, as the reports have them.
    let mut ids: Vec<&str> = Vec::new();
    for requirement in a.requirements.iter().chain(&b.requirements) {
        if !ids.contains(&requirement.id.as_str()) {
            ids.push(&requirement.id);
        }
    }
    let find = |report: &Report, id: &str| report.requirements.iter().find(|one| one.id == id).cloned();
    let changed = ids.into_iter().filter_map(|id| {
        let (a, b) = (find(a, id), find(b, id));
        let verdicts = Pair { a: a.as_ref().map(|one| one.verdict), b: b.as_ref().map(|one| one.verdict) };
        let reasons = Pair { a: a.map(|one| one.reason), b: b.map(|one| one.reason) };
        (verdicts.a != verdicts.b).then(|| Requirement { id: id.to_owned(), verdicts, reasons })
    });
    changed.collect()
}

fn findings(a: &Report, b: &Report) -> Only<Finding> {
    let without = |these: &Report, those: &Report| {
        let known = |one: &&Finding| those.findings.iter().any(|other| one.place == other.place);
        let told = |one: &&Finding| one.place.starts_with("matrix") || known(one);
        these.findings.iter().filter(|one| !told(one)).cloned().collect()
    };
    Only { in_a: without(a, b), in_b: without(b, a) }
}

fn scenarios(a: &Report, b: &Report) -> Vec<Scenario> {
    let runs = |report: &Report| -> BTreeMap<(String, Family), (Outcome, BTreeSet<String>)> {
        let each = report.scenarios.iter().map(|one| {
            let shown = one.deviations.iter().cloned().collect();
            ((one.id.clone(), one.family), (one.outcome, shown))
        });
        each.collect()
    };
    let nothing = BTreeSet::new();
    joined(&runs(a), &runs(b))
        .filter(|(_, run)| run.a != run.b)
        .map(|((id, family), run)| {
            let shown = |one: Option<&(Outcome, BTreeSet<String>)>| {
                one.map_or_else(|| nothing.clone(), |(_, shown)| shown.clone())
            };
            let both = run.a.is_some() && run.b.is_some();
            let deviations = if both { only(&shown(run.a), &shown(run.b)) } else { Only::default() };
            let outcomes =
                Pair { a: run.a.map(|(outcome, _)| *outcome), b: run.b.map(|(outcome, _)| *outcome) };
            Scenario { id, family, outcomes, deviations }
        })
        .collect()
}

/// The cells that differ, and how many ran in one report only. Cells are compared by name, so that a matrix that has
/// grown is compared as far as it was there before.
fn cells(a: Option<&Matrix>, b: Option<&Matrix>) -> (Vec<Cell>, Pair<usize>) {
    let named = |matrix: Option<&Matrix>| -> BTreeMap<(String, Family), Answer> {
        let Some(matrix) = matrix else { return BTreeMap::new() };
        let grids = matrix.grids.iter().flat_map(|grid| {
            grid.cells.iter().enumerate().filter_map(move |(index, cell)| {
                let answer = matrix.answer(*cell)?.clone();
                Some(((matrix.name(matrix.place(index)), grid.family), answer))
            })
        });
        grids.collect()
    };
    let mut changed = Vec::new();
    let mut alone = Pair::default();
    for ((cell, family), answers) in joined(&named(a), &named(b)) {
        match (answers.a, answers.b) {
            (Some(a), Some(b)) if a != b => {
                changed.push(Cell { cell, family, answers: Pair { a: a.clone(), b: b.clone() } });
            }
            (Some(_), None) => alone.a += 1,
            (None, Some(_)) => alone.b += 1,
            _ => {}
        }
    }
    (changed, alone)
}
