//! What is kept of audits: docs/kernels-audit.json, from which docs/kernels-audit.md is made.

use serde::{Deserialize, Serialize};

use super::{
    compare::Comparison,
    report::{Counts, Finding, Report},
};
use crate::vm::{
    catalog::{Arch, Kernel, numbers},
    kept,
};

/// The name of a kernel's record beside its report.
pub const NAME: &str = "record.json";

/// All that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub audits: Vec<Record>,
    /// The oldest kernel and the newest one of each machine.
    pub comparisons: Vec<Comparison>,
}

/// What one audit came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its release, such as `6.12`.
    pub kernel: String,
    pub machine: Arch,
    /// The commit that audited; see [`kept::tree`].
    pub tree: String,
    /// When it was over, seconds since 1970.
    pub time: u64,
    pub package: String,
    /// `uname -r`.
    pub release: String,
    /// When it began by the guest's clock, as the report says it: what tells two reports apart.
    pub started: String,
    /// The short scenarios alone.
    #[serde(default)]
    pub quick: bool,
    /// How long it took by the guest's clock.
    pub seconds: u64,
    pub requirements: Counts,
    pub scenarios: Counts,
    pub cells: Counts,
    /// Random conversations.
    pub conversations: u64,
    /// Those that have no verdict.
    pub undecided: u64,
    /// Names of the deviations that were seen.
    pub deviations: Vec<String>,
    pub findings: Vec<Finding>,
    /// What has no verdict, and why.
    pub open: Vec<String>,
}

impl Record {
    /// Of an audit that has just ended.
    pub fn new(kernel: &Kernel, package: &str, tree: &str, report: &Report) -> Self {
        let random = report.random.as_ref();
        Self {
            kernel: kernel.tag.clone(),
            machine: kernel.arch,
            tree: tree.to_owned(),
            time: kept::now(),
            package: package.to_owned(),
            release: report.kernel.release.clone(),
            started: report.started.clone(),
            quick: report.settings.quick,
            seconds: report.duration_ms / 1_000,
            requirements: report.requirements(),
            scenarios: report.scenarios(),
            cells: report.cells(),
            conversations: random.map_or(0, |random| random.conversations),
            undecided: random.map_or(0, |random| random.inconclusive),
            deviations: report.deviations.iter().map(|deviation| deviation.name.clone()).collect(),
            findings: report.findings.clone(),
            open: report.open(),
        }
    }

    /// Of which kernel it is.
    pub fn kernel(&self) -> Kernel {
        Kernel { tag: self.kernel.clone(), arch: self.machine }
    }

    /// The machine, and the release as numbers: the oldest comes first.
    fn key(&self) -> (Arch, Vec<u32>) {
        (self.machine, numbers(&self.kernel))
    }
}

/// The last of each kernel, a whole one before a quick one, machine by machine, the oldest kernel first.
pub fn latest(records: impl IntoIterator<Item = Record>) -> Vec<Record> {
    kept::latest(records, Record::key, |record| (!record.quick, record.time))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::vm::audit::report::tests::REPORT;

    /// Of an audit of 6.1.
    pub fn record(tree: &str) -> Record {
        let kernel = Kernel { tag: "6.1".into(), arch: Arch::X86_64 };
        Record::new(&kernel, "linux-image-6.1", tree, &serde_json::from_str(REPORT).unwrap())
    }

    #[test]
    fn an_audit_is_kept_with_its_counts() {
        let record = record("abc");
        assert_eq!((record.seconds, record.conversations, record.undecided), (90, 2, 1));
        assert_eq!(record.scenarios, Counts::from([("fail".to_owned(), 1), ("inconclusive".to_owned(), 1)]));
        assert_eq!(record.deviations, ["time-wait-60s"]);
        assert_eq!((record.findings.len(), record.open.len()), (1, 3));
    }

    #[test]
    fn the_last_of_each_kernel_stays_and_6_12_comes_behind_6_1() {
        let of = |kernel: &str, time| Record { kernel: kernel.into(), time, ..record("abc") };
        let quick = Record { quick: true, ..of("6.1", 4) };
        let left = latest([of("6.12", 1), of("6.1", 3), of("6.1", 2), quick]);
        let left: Vec<_> = left.iter().map(|record| (record.kernel.as_str(), record.time)).collect();
        assert_eq!(left, [("6.1", 3), ("6.12", 1)]);
    }
}
