//! report.md: complete, and its tables hold together.

use model::requirement::REQUIREMENTS;

use crate::support::text;

#[test]
fn every_requirement_has_its_row() {
    let page = text("md-requirements", "report.md");
    for requirement in &REQUIREMENTS {
        let row = format!("| {} | ", requirement.id);
        assert!(page.lines().any(|line| line.starts_with(&row)), "{row}");
    }
    assert!(page.contains("| MUST-13 | deviation | "));
}

#[test]
fn the_verdict_and_the_counts_come_first() {
    let page = text("md-summary", "report.md");
    let head: Vec<_> = page.lines().take(12).collect();
    assert_eq!(head[0], "# TCP conformance of Linux 6.18.0-&lt;b>");
    assert!(head[2].starts_with("**Conformance is not shown"), "{}", head[2]);
    let counts = "| Requirements | 119: 114 pass, 1 deviation, 1 fail, 1 not run, 1 not observable, 1 not applicable |";
    assert!(head.contains(&counts), "{head:#?}");
}

#[test]
fn no_text_breaks_a_table() {
    let page = text("md-tables", "report.md");
    let bars = |line: &str| line.replace("\\|", "").matches('|').count();
    let mut table = None;
    for line in page.lines() {
        if line.starts_with('|') {
            let width = *table.get_or_insert(bars(line));
            assert_eq!(bars(line), width, "{line}");
        } else {
            table = None;
        }
    }
    assert!(!page.contains("<script"));
}
