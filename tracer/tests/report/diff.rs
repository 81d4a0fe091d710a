//! `tcp-tracer audit diff`: what the command prints, and its exit code.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use tracer::audit::report::model::{Outcome, Report, RequirementVerdict};

use crate::{
    fixture::report,
    support::{folder, written},
};

fn run(a: &Path, b: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcp-tracer"));
    command.args(["audit", "diff"]).args([a, b]).args(arguments).output().unwrap()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// Compares the fixture with what `change` makes of it.
fn compared(test: &str, change: impl FnOnce(&mut Report), arguments: &[&str]) -> (Option<i32>, String) {
    let (a, b) = (folder(&format!("{test}-a")), folder(&format!("{test}-b")));
    let mut other = report();
    change(&mut other);
    written(&report(), &a);
    written(&other, &b);
    let output = run(&a, &b.join("report.json"), arguments);
    assert!(output.stderr.is_empty(), "{}", text(output.stderr));
    (output.status.code(), text(output.stdout))
}

/// What comes of a first file with this content.
fn refused(test: &str, content: &[u8]) -> String {
    let folder = folder(test);
    written(&report(), &folder);
    let bad = folder.join("bad.json");
    fs::write(&bad, content).unwrap();
    let output = run(&bad, &folder, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    text(output.stderr)
}

fn json() -> Value {
    serde_json::to_value(report()).unwrap()
}

#[test]
fn the_same_findings_on_another_kernel_and_day_are_no_difference() {
    let other = |report: &mut Report| {
        report.kernel.release = "7.0.0".into();
        report.started = "2027-01-01T00:00:00Z".into();
        report.duration_ms += 1;
        report.scenarios[0].duration += 1;
        report.scenarios[0].ladder.clear();
        report.findings[0].seen = "another number".into();
        report.sysctls.insert("net.ipv4.tcp_fin_timeout".into(), "30".into());
    };
    let (code, page) = compared("same", other, &[]);
    assert_eq!(code, Some(0), "{page}");
    assert!(
        page.contains("A Linux 6.18.0-<b> x86_64, 2026-11-21T09:30:00.123456789Z, quick: fail\n"),
        "{page}"
    );
    assert!(page.contains("B Linux 7.0.0 x86_64"), "{page}");
    assert!(page.contains("Both audits found the same."), "{page}");
    // It is said, because it may explain what is different elsewhere.
    assert!(page.contains("net.ipv4.tcp_fin_timeout  60 -> 30"), "{page}");
}

#[test]
fn a_requirement_with_another_verdict_is_a_difference() {
    let other = |report: &mut Report| {
        let changed = report.requirements.iter_mut().find(|one| one.id == "MUST-3").unwrap();
        changed.verdict = RequirementVerdict::Pass;
        changed.reason = "1 step went as the RFC asks.".into();
    };
    let (code, page) = compared("requirement", other, &[]);
    assert_eq!(code, Some(1));
    assert!(
        page.contains("Requirements (1)\n  MUST-3  fail -> pass  1 step went as the RFC asks.\n"),
        "{page}"
    );
}

#[test]
fn deviations_findings_and_scenarios_that_come_and_go_are_differences() {
    let other = |report: &mut Report| {
        report.deviations[0].name = "fin-wait-2-timeout".into();
        report.findings.clear();
        report.scenarios[0].deviations = vec!["fin-wait-2-timeout".into()];
        report.scenarios[2].outcome = Outcome::Pass;
        report.scenarios.remove(1);
    };
    let (code, page) = compared("come-and-go", other, &[]);
    assert_eq!(code, Some(1));
    for part in [
        "Deviations (2)\n  - time-wait-60s\n  + fin-wait-2-timeout\n",
        "Findings (2)\n  - open/refused/ipv4:2: expected kernel RST,ACK, seen <script>",
        "  - random 42/ipv6: expected CLOSED, seen",
        "open/client/ipv4   deviation -> deviation  -time-wait-60s +fin-wait-2-timeout\n",
        "open/client/ipv6   deviation -> absent\n",
        "open/refused/ipv4  fail -> pass\n",
    ] {
        assert!(page.contains(part), "{part:?} in\n{page}");
    }
}

#[test]
fn cells_are_compared_by_what_they_are_about() {
    let other = |report: &mut Report| {
        let matrix = report.matrix.as_mut().unwrap();
        // Another order of the states is the same matrix; another answer is another one.
        matrix.states.reverse();
        for grid in &mut matrix.grids {
            grid.cells.rotate_left(8);
        }
        matrix.grids[1].cells[0] = None;
        matrix.grids[1].cells[1] = Some(2);
    };
    let (code, page) = compared("cells", other, &[]);
    assert_eq!(code, Some(1));
    assert!(page.contains("Cells of the matrix (1)\n  ESTABLISHED SYN next una 10/ipv6\n"), "{page}");
    assert!(page.contains("    - pass: sent -, then LISTEN\n"), "{page}");
    assert!(page.contains("    + deviation: sent ACK, then LISTEN (syn-fin-dropped)\n"), "{page}");
    assert!(page.contains("  cells that ran in A only: 1; in B only: 0\n"), "{page}");
}

#[test]
fn json_says_the_same() {
    let other = |report: &mut Report| report.outcome = Outcome::Deviation;
    let (code, page) = compared("json", other, &["--output", "json"]);
    assert_eq!(code, Some(1));
    let diff: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(diff["same"], false);
    assert_eq!(diff["audits"]["a"]["outcome"], "fail");
    assert_eq!(diff["audits"]["b"]["outcome"], "deviation");
    assert_eq!(diff["requirements"], Value::Array(vec![]));
    let (code, page) = compared("json-same", |_| {}, &["--output", "json"]);
    assert_eq!(code, Some(0));
    assert_eq!(serde_json::from_str::<Value>(&page).unwrap()["same"], true);
}

#[test]
fn a_file_that_is_cut_off_is_damaged() {
    let whole = json().to_string();
    let error = refused("cut", &whole.as_bytes()[..whole.len() / 2]);
    assert!(error.contains("bad.json is damaged: EOF while parsing"), "{error}");
    assert!(error.contains("line 1 column"), "{error}");
    assert!(refused("no-text", &[0xff, 0xfe]).contains("is damaged"));
}

#[test]
fn a_file_of_something_else_is_foreign() {
    for other in ["{}", "[1, 2]", "null", r#"{"version": 1, "name": "x"}"#] {
        let error = refused("foreign", other.as_bytes());
        assert!(error.contains("bad.json is no report of `tcp-tracer audit`"), "{other}: {error}");
    }
}

#[test]
fn another_version_of_the_format_is_named() {
    let mut other = json();
    other["version"] = 99.into();
    // Whatever else may have changed by then.
    other["scenarios"] = "elsewhere".into();
    let error = refused("version", other.to_string().as_bytes());
    assert!(error.contains("has version 99 of the report's format (tcp-tracer 0.1.0)"), "{error}");
}

#[test]
fn a_report_that_contradicts_itself_is_damaged() {
    let mut short = json();
    short["matrix"]["grids"][0]["cells"].as_array_mut().unwrap().pop();
    let error = refused("short-matrix", short.to_string().as_bytes());
    assert!(error.contains("the matrix of ipv4 has 15 cells and not 16"), "{error}");
    let mut astray = json();
    astray["matrix"]["grids"][1]["cells"][3] = 77.into();
    let error = refused("astray-matrix", astray.to_string().as_bytes());
    assert!(error.contains("a cell of the matrix of ipv6 points to no answer"), "{error}");
    let mut unknown = json();
    unknown["outcome"] = "perfect".into();
    let error = refused("unknown-outcome", unknown.to_string().as_bytes());
    assert!(error.contains("is damaged: unknown variant `perfect`"), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let folder = folder("missing");
    let output = run(&folder, &folder, &[]);
    assert_eq!(output.status.code(), Some(2));
    let error = text(output.stderr);
    assert!(error.contains("cannot read") && error.contains("report.json"), "{error}");
}
