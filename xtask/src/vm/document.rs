//! docs/kernels.md: what the kept records say, kernel by kernel, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    boot::Set,
    catalog::{self, Kernel},
    record::Record,
};

const HEAD: &str = "# Kernels

`cargo xtask vm --document` boots stock Debian kernels in QEMU, runs the live tests inside, and writes this page from what it
kept of these and earlier runs (`kernels.json`). Behind each figure stands the commit that was tested. What a kernel lacks is
what `tcp-tracer doctor` says there; nothing is derived from a version.

";

/// The sets of tests, each with its column.
const SETS: [(Set, &str); 3] = [
    (Set::Quick, "quick set"),
    (Set::Complete, "all live tests"),
    (Set::LongTimers, "long timers, on a fast clock"),
];

/// The page.
pub fn document(records: &[Record]) -> String {
    let matrix: Vec<_> = catalog::ARCHES.into_iter().flat_map(catalog::matrix).collect();
    let kernels: Vec<_> = matrix.into_iter().map(|kernel| (of(records, &kernel), kernel)).collect();
    [
        HEAD.to_owned(),
        table(&kernels),
        "\n## What kernels lack\n\nIn the words of `tcp-tracer doctor`:\n\n".to_owned(),
        losses(&kernels),
        "\n## What the tests saw differ\n\n".to_owned(),
        differences(&kernels),
        "\n## What failed\n\n".to_owned(),
        list(&kernels, |record| &record.failed, "Nothing.\n"),
        "\n## What passed only when it was run once more\n\n\
         A guest is emulated on a machine that may be busy. A test that fails is run once more in the same guest, if not more \
         than three do.\n\n"
            .to_owned(),
        list(&kernels, |record| &record.passed_later, "Nothing.\n"),
        "\n## What does not run in a guest\n\n".to_owned(),
        skipped(records),
    ]
    .concat()
}

/// The records of one kernel, by set.
type Of<'a> = BTreeMap<Set, &'a Record>;

fn of<'a>(records: &'a [Record], kernel: &Kernel) -> Of<'a> {
    let its = records.iter().filter(|record| record.kernel == kernel.tag && record.machine == kernel.arch);
    its.map(|record| (record.set, record)).collect()
}

/// What was said of the kernel itself last.
fn last<'a>(of: &Of<'a>) -> Option<&'a Record> {
    of.values().copied().max_by_key(|record| record.time)
}

fn table(kernels: &[(Of<'_>, Kernel)]) -> String {
    let columns: String = SETS.iter().map(|(_, title)| format!(" {title} |")).collect();
    let mut table = format!(
        "| kernel | machine | Debian's package | hooks | fields missing |{columns}\n|---|---|---|---|---|{}\n",
        "---|".repeat(SETS.len())
    );
    for (of, Kernel { tag, arch }) in kernels {
        let about = last(of).map_or_else(
            || "not run | | |".to_owned(),
            |record| {
                let missing = match record.missing_fields.as_slice() {
                    [] => "none".to_owned(),
                    fields => format!("`{}`", fields.join("`, `")),
                };
                format!("{} | {} of {} | {missing} |", record.package, record.hooks, record.all_hooks)
            },
        );
        let figures: String = SETS.iter().map(|(set, _)| format!(" {} |", figures(of.get(set)))).collect();
        table.push_str(&format!("| {tag} | {arch} | {about}{figures}\n"));
    }
    table
}

fn figures(record: Option<&&Record>) -> String {
    let Some(Record { passed, failed, skipped, tree, .. }) = record else { return "not run".to_owned() };
    let skipped = match skipped.len() {
        0 => String::new(),
        count => format!(", {count} skipped"),
    };
    format!("{passed} of {}{skipped} ({tree})", passed + failed.len())
}

/// Each loss once, with the kernels that have it.
fn losses(kernels: &[(Of<'_>, Kernel)]) -> String {
    let mut having: Vec<(&str, Vec<String>)> = Vec::new();
    let mut whole = Vec::new();
    for (of, kernel) in kernels {
        let Some(record) = last(of) else { continue };
        if record.losses.is_empty() {
            whole.push(kernel.to_string());
        }
        for loss in &record.losses {
            match having.iter_mut().find(|(known, _)| known == loss) {
                Some((_, kernels)) => kernels.push(kernel.to_string()),
                None => having.push((loss, vec![kernel.to_string()])),
            }
        }
    }
    let mut text: String =
        having.iter().map(|(loss, kernels)| format!("- {}: {loss}\n", kernels.join(", "))).collect();
    if !whole.is_empty() {
        text.push_str(&format!("- {}: nothing is missing.\n", whole.join(", ")));
    }
    text
}

/// Questions to which each kernel gives the same answer.
struct Split<'a> {
    names: Vec<&'a str>,
    /// The answers, with the kernel that gives it.
    seen: Vec<(&'a str, String)>,
}

/// What tests have seen, where not all kernels show the same.
fn differences(kernels: &[(Of<'_>, Kernel)]) -> String {
    let mut facts: BTreeMap<&str, Vec<(&str, String)>> = BTreeMap::new();
    for (of, kernel) in kernels {
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for record in of.values() {
            seen.extend(record.seen.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        }
        for (name, value) in seen {
            facts.entry(name).or_default().push((value, kernel.to_string()));
        }
    }
    facts.retain(|_, seen| seen.iter().map(|(value, _)| value).collect::<BTreeSet<_>>().len() > 1);
    if facts.is_empty() {
        return "Nothing.\n".to_owned();
    }
    // What splits the kernels in the same way, with the same words, is told once.
    let mut told: Vec<Split<'_>> = Vec::new();
    for (name, seen) in facts {
        match told.iter_mut().find(|known| known.seen == seen) {
            Some(known) => known.names.push(name),
            None => told.push(Split { names: vec![name], seen }),
        }
    }
    let mut text = String::new();
    for Split { names, seen } in told {
        let mut values: Vec<(&str, Vec<&str>)> = Vec::new();
        for (value, kernel) in &seen {
            match values.iter_mut().find(|(known, _)| known == value) {
                Some((_, kernels)) => kernels.push(kernel),
                None => values.push((value, vec![kernel])),
            }
        }
        text.push_str(&format!("- {}\n", names.join(", ")));
        for (value, kernels) in values {
            text.push_str(&format!("  - {value}: {}\n", kernels.join(", ")));
        }
    }
    text
}

fn list(kernels: &[(Of<'_>, Kernel)], what: impl Fn(&Record) -> &Vec<String>, nothing: &str) -> String {
    let mut lines = String::new();
    for (of, kernel) in kernels {
        for (set, title) in SETS {
            for line in of.get(&set).into_iter().flat_map(|record| what(record)) {
                lines.push_str(&format!("- {kernel}, {title}: {line}\n"));
            }
        }
    }
    if lines.is_empty() { nothing.to_owned() } else { lines }
}

fn skipped(records: &[Record]) -> String {
    let reasons: BTreeSet<_> = records.iter().flat_map(|record| &record.skipped).collect();
    if reasons.is_empty() {
        return "Of these tests none was skipped.\n".to_owned();
    }
    reasons.into_iter().map(|reason| format!("- {reason}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cargo,
        vm::{
            boot::tests::{CONSOLE, boot},
            guest::Ending,
            kept,
            record::Record,
        },
    };

    fn record(kernel: &str, set: Set) -> Record {
        let boot = boot(CONSOLE, Ending::Finished(0));
        Record { kernel: kernel.into(), set, ..Record::new(&boot, "abc123") }
    }

    #[test]
    fn each_kernel_has_a_row_with_the_tree_of_each_run() {
        let mut whole = record("6.12", Set::Complete);
        whole.losses.clear();
        whole.skipped.clear();
        whole.failed.push("a::b".to_owned());
        let page = document(&[record("6.1", Set::Quick), record("6.1", Set::LongTimers), whole]);
        let package = "linux-image-6.1.0-1-cloud-amd64_6.1.1-1_amd64";
        let ran = "2 of 2, 1 skipped (abc123)";
        let row =
            format!("| 6.1 | x86_64 | {package} | 1 of 1 | `tcp_sock.is_mptcp` | {ran} | not run | {ran} |");
        assert!(page.contains(&row), "{page}");
        assert!(page.contains("| not run | 2 of 3 (abc123) | not run |\n"), "{page}");
        assert!(page.contains("| 6.1 | aarch64 | not run | | | not run | not run | not run |\n"), "{page}");
        let lack = "- 6.1 x86_64: reset reasons: none\n- 6.12 x86_64: nothing is missing.\n";
        assert!(page.contains(lack), "{page}");
        assert!(page.contains("- 6.12 x86_64, all live tests: a::b\n"), "{page}");
        assert!(
            page.contains("once more in the same guest, if not more than three do.\n\nNothing.\n"),
            "{page}"
        );
        assert!(page.contains("- needs prometheus\n"), "{page}");
    }

    #[test]
    fn what_the_tests_saw_is_told_where_kernels_differ() {
        let seen = |kernel: &str, repeated: &str| {
            let mut record = record(kernel, Set::LongTimers);
            let seen = [("SYNs", repeated), ("SYNs again", repeated), ("equal", "1")];
            record.seen = seen.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
            record
        };
        let page = document(&[seen("5.10", "6"), seen("6.1", "6"), seen("6.12", "10")]);
        assert!(
            page.contains("- SYNs, SYNs again\n  - 6: 5.10 x86_64, 6.1 x86_64\n  - 10: 6.12 x86_64\n"),
            "{page}"
        );
        assert!(!page.contains("equal"), "{page}");
        assert!(document(&[]).contains("## What the tests saw differ\n\nNothing.\n"));
    }

    #[test]
    fn no_line_of_the_stored_page_is_written_by_hand() {
        let docs = cargo::workspace().join("docs");
        let page = std::fs::read_to_string(docs.join("kernels.md")).unwrap();
        assert_eq!(page, document(&kept::read::<Vec<Record>>(&docs.join("kernels.json")).unwrap()));
    }
}
