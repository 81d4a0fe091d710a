//! docs/kernels-audit.md: what the kept audits say, kernel by kernel, and nothing else.

use std::collections::BTreeSet;

use super::{
    compare::{Cells, Change, Comparison},
    record::{Kept, Record},
    report::{Counts, Finding, told},
};

const HEAD: &str = "# Audits of other kernels

`cargo xtask vm --audit --document` boots stock Debian kernels in QEMU, runs `tcp-tracer audit` inside (all scenarios, the
matrix, random conversations; with `--quick` the short scenarios alone), brings each report to `target/vm`, and writes this
page from what it kept of these and earlier runs (`kernels-audit.json`). Behind each kernel stands the commit that audited
it. The guests' clock counts instructions, so that nothing is late there, however slow the emulation is.

";

/// The page.
pub fn document(Kept { audits, comparisons }: &Kept) -> String {
    [
        HEAD.to_owned(),
        table(audits),
        "\n## Findings\n\nWhat neither RFC 9293 nor a known deviation of Linux explains:\n\n".to_owned(),
        findings(audits),
        "\n## Without a verdict\n\n".to_owned(),
        open(audits),
        "\n## Deviations that not all of them show\n\n\
         `tcp-tracer explain NAME` says what each is; [departures.md](departures.md) has the kernel functions. An audit by an \
         older commit may lack scenarios, and with them deviations: the number of its runs tells.\n\n"
            .to_owned(),
        deviations(audits),
        comparisons.iter().map(comparison).collect(),
    ]
    .concat()
}

fn name(record: &Record) -> String {
    format!("{} {}", record.kernel, record.machine)
}

fn table(audits: &[Record]) -> String {
    let mut table = "| kernel | Debian's package | requirements | scenarios | cells of the matrix | random conversations \
                     | deviations | findings | commit |\n|---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for record in audits {
        let conversations = match (record.quick, record.undecided) {
            (true, _) => "not run".to_owned(),
            (false, 0) => record.conversations.to_string(),
            (false, some) => format!("{} ({some} inconclusive)", record.conversations),
        };
        let cells = if record.quick { "not run".to_owned() } else { told(&record.cells) };
        table.push_str(&format!(
            "| {} | {} | {} | {} | {cells} | {conversations} | {} | {} | {} |\n",
            name(record),
            record.package,
            verdicts(&record.requirements),
            told(&record.scenarios),
            record.deviations.len(),
            record.findings.len(),
            record.tree
        ));
    }
    table
}

/// Those that an audit can decide.
fn verdicts(requirements: &Counts) -> String {
    let decided = ["pass", "deviation", "fail", "not_run"];
    let each: Vec<_> = decided
        .iter()
        .filter_map(|word| Some(format!("{} {}", requirements.get(*word)?, word.replace('_', " "))))
        .collect();
    each.join(", ")
}

/// How many of a kind the page shows; the JSON has all.
const SHOWN: usize = 20;

fn list(audits: &[Record], what: impl Fn(&Record) -> Vec<String>) -> String {
    let mut lines = String::new();
    for record in audits {
        let all = what(record);
        for line in all.iter().take(SHOWN) {
            lines.push_str(&format!("- {}: {line}\n", name(record)));
        }
        if all.len() > SHOWN {
            lines.push_str(&format!("- {}: and {} more\n", name(record), all.len() - SHOWN));
        }
    }
    if lines.is_empty() { "Nothing.\n".to_owned() } else { lines }
}

fn findings(audits: &[Record]) -> String {
    list(audits, |record| {
        let each = record.findings.iter();
        each.map(|Finding { place, expected, seen }| format!("{place}: expected {expected}, seen {seen}"))
            .collect()
    })
}

fn open(audits: &[Record]) -> String {
    list(audits, |record| record.open.clone())
}

fn deviations(audits: &[Record]) -> String {
    let all: BTreeSet<&String> = audits.iter().flat_map(|record| &record.deviations).collect();
    let shows = |record: &&Record, name: &String| record.deviations.contains(name);
    let mut lines = String::new();
    for deviation in all {
        let having: Vec<_> = audits.iter().filter(|record| shows(record, deviation)).map(name).collect();
        if having.len() < audits.len() {
            lines.push_str(&format!("- `{deviation}`: {}\n", having.join(", ")));
        }
    }
    if lines.is_empty() { "None.\n".to_owned() } else { lines }
}

fn comparison(comparison: &Comparison) -> String {
    let Comparison { machine, audits: [old, new], deviations, requirements, scenarios, cells, settings } =
        comparison;
    let mut text = format!(
        "\n## From {} to {} on {machine}\n\n`tcp-tracer audit diff` of the reports of {} ({}) and {} ({}):\n",
        old.kernel, new.kernel, old.kernel, old.tree, new.kernel, new.tree
    );
    let [gone, came] = deviations;
    for (what, names) in [("only the older one shows", gone), ("only the newer one shows", came)] {
        if !names.is_empty() {
            text.push_str(&format!("\nDeviations that {what}: `{}`.\n", names.join("`, `")));
        }
    }
    for (title, changes) in [("requirement", requirements), ("scenario", scenarios), ("setting", settings)] {
        text.push_str(&changed(title, &old.kernel, &new.kernel, changes));
    }
    if !cells.is_empty() {
        text.push_str(&format!(
            "\n| cells | such as | {} | {} |\n|---|---|---|---|\n",
            old.kernel, new.kernel
        ));
        let mut cells: Vec<&Cells> = cells.iter().collect();
        cells.sort_by_key(|alike| std::cmp::Reverse(alike.count));
        for Cells { count, example, from, to } in cells.iter().take(SHOWN) {
            text.push_str(&format!("| {count} | {example} | {from} | {to} |\n"));
        }
        let rest: usize = cells.iter().skip(SHOWN).map(|alike| alike.count).sum();
        if rest > 0 {
            text.push_str(&format!("| {rest} | others | | |\n"));
        }
    }
    text
}

fn changed(title: &str, old: &str, new: &str, changes: &[Change]) -> String {
    if changes.is_empty() {
        return String::new();
    }
    let rows: String =
        changes.iter().map(|Change { what, from, to }| format!("| {what} | {from} | {to} |\n")).collect();
    format!("\n| {title} | {old} | {new} |\n|---|---|---|\n{rows}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cargo,
        vm::{
            audit::{compare, record},
            kept,
        },
    };

    #[test]
    fn each_kernel_has_a_row_and_what_differs_is_told() {
        let old = record::tests::record("abc");
        let mut new = Record { kernel: "7.3".into(), ..record::tests::record("def") };
        new.deviations.clear();
        new.findings.clear();
        new.open.clear();
        new.undecided = 0;
        let kept = Kept { audits: vec![old, new], comparisons: vec![compare::tests::comparison()] };
        let page = document(&kept);
        let row = "| 6.1 x86_64 | linux-image-6.1 | 1 pass, 1 not run | 2 (1 fail, 1 inconclusive) | \
                   3 (2 inconclusive, 1 pass) | 2 (1 inconclusive) | 1 | 1 | abc |\n";
        assert!(page.contains(row), "{page}");
        assert!(page.contains("- 6.1 x86_64: open/a/ipv4:3: expected kernel ACK, seen RST\n"), "{page}");
        assert!(page.contains("- `time-wait-60s`: 6.1 x86_64\n"), "{page}");
        assert!(page.contains("Deviations that only the older one shows: `crossed-syn-ack-challenged`.\n"));
        assert!(page.contains("\n| MUST-10 | deviation | pass |\n"), "{page}");
        let cells = "| 2 | CLOSED SYN nxt nxt 0/ipv4 | pass: sent nothing, then CLOSED | \
                     deviation: sent ACK, then CLOSED (x) |\n";
        assert!(page.contains(cells), "{page}");
    }

    #[test]
    fn no_line_of_the_stored_page_is_written_by_hand() {
        let docs = cargo::workspace().join("docs");
        let page = std::fs::read_to_string(docs.join("kernels-audit.md")).unwrap();
        assert_eq!(page, document(&kept::read::<Kept>(&docs.join("kernels-audit.json")).unwrap()));
    }
}
