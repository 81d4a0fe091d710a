//! What is kept of a boot: docs/kernels.json, from which docs/kernels.md is made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    boot::{Boot, Set},
    catalog::{Arch, numbers},
    kept,
};

/// What one boot came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its release, such as `6.12`.
    pub kernel: String,
    pub machine: Arch,
    pub set: Set,
    /// The commit that was tested; see [`kept::tree`].
    pub tree: String,
    /// When it was over, seconds since 1970.
    pub time: u64,
    pub package: String,
    pub passed: usize,
    /// Tests that failed, and an end before its time.
    pub failed: Vec<String>,
    /// Tests that passed only when they were run once more.
    pub passed_later: Vec<String>,
    /// Why tests could not run.
    pub skipped: Vec<String>,
    /// Hooks that attach.
    pub hooks: usize,
    /// Hooks that there are.
    pub all_hooks: usize,
    /// Fields that this kernel lacks.
    pub missing_fields: Vec<String>,
    /// What else the agent names as lost on this kernel.
    pub losses: Vec<String>,
    /// What tests have seen of the kernel, by the name that they give it, and how each hook attaches.
    pub seen: BTreeMap<String, String>,
}

impl Record {
    /// Of a boot that has just ended.
    pub fn new(boot: &Boot, tree: &str) -> Self {
        let checks: Vec<&Value> =
            boot.heard.doctor.iter().filter_map(|doctor| doctor["checks"].as_array()).flatten().collect();
        let section = |name: &'static str| checks.iter().filter(move |check| check["section"] == name);
        let is_ok = |check: &&&Value| check["mark"] == "ok";
        Self {
            kernel: boot.kernel.tag.clone(),
            machine: boot.kernel.arch,
            set: boot.set,
            tree: tree.to_owned(),
            time: kept::now(),
            package: boot.package.clone(),
            passed: boot.heard.passed(),
            failed: boot.troubles(),
            passed_later: boot.heard.passed_later.clone(),
            skipped: boot.heard.tally.skipped.clone(),
            hooks: section("Hooks").filter(is_ok).count(),
            all_hooks: section("Hooks").count(),
            missing_fields: section("Fields")
                .filter(|check| !is_ok(check))
                .map(|check| text(&check["name"]).to_owned())
                .collect(),
            losses: checks.iter().filter_map(|check| loss(check)).collect(),
            seen: section("Hooks")
                .filter(is_ok)
                .map(|check| (format!("hook `{}`", text(&check["name"])), text(&check["text"]).to_owned()))
                .chain(boot.heard.seen.iter().cloned())
                .collect(),
        }
    }

    /// What makes another run of the same replace it.
    fn key(&self) -> (Arch, Vec<u32>, Set) {
        (self.machine, numbers(&self.kernel), self.set)
    }
}

/// A sentence of the agent about something that is not there.
fn loss(check: &Value) -> Option<String> {
    let is_loss = check["mark"] == "degraded" || check["mark"] == "missing";
    (check["section"] != "Fields" && is_loss).then(|| {
        let notes = check["notes"].as_array().into_iter().flatten().map(text);
        let said: Vec<_> = std::iter::once(text(&check["text"])).chain(notes).collect();
        format!("{}: {}", text(&check["name"]), said.join(". "))
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The last of each kind, machine by machine, the oldest kernel first.
pub fn latest(records: impl IntoIterator<Item = Record>) -> Vec<Record> {
    kept::latest(records, Record::key, |record| record.time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::{
        boot::tests::{CONSOLE, boot},
        guest::Ending,
    };

    #[test]
    fn a_boot_is_kept_with_what_the_agent_says_of_the_kernel() {
        let record = Record::new(&boot(CONSOLE, Ending::Finished(0)), "abc");
        assert_eq!((record.kernel.as_str(), record.tree.as_str(), record.passed), ("6.1", "abc", 2));
        assert_eq!((record.hooks, record.all_hooks), (1, 1));
        assert_eq!(record.missing_fields, ["tcp_sock.is_mptcp"]);
        assert_eq!(record.losses, ["reset reasons: none"]);
        assert_eq!(record.skipped, ["needs prometheus"]);
        assert_eq!(record.seen["repetitions of a SYN"], "6");
        let died = Record::new(&boot(CONSOLE, Ending::Died), "abc");
        assert_eq!(died.failed, ["the guest died"]);
    }

    #[test]
    fn the_last_of_each_kind_stays_and_6_12_comes_behind_6_1() {
        let record = Record::new(&boot(CONSOLE, Ending::Finished(0)), "abc");
        let of = |kernel: &str, set, time| Record { kernel: kernel.into(), set, time, ..record.clone() };
        let all = [
            of("6.12", Set::Quick, 1),
            of("6.1", Set::Quick, 5),
            of("6.1", Set::Quick, 4),
            of("6.1", Set::Complete, 3),
        ];
        let left: Vec<_> =
            latest(all).into_iter().map(|record| (record.kernel, record.set, record.time)).collect();
        let expected = [("6.1", Set::Quick, 5), ("6.1", Set::Complete, 3), ("6.12", Set::Quick, 1)];
        assert_eq!(left, expected.map(|(kernel, set, time)| (kernel.to_owned(), set, time)));
    }
}
