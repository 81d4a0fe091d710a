//! The audit on this kernel: what it finds, that it can fail, and that it leaves nothing.

mod interrupted;
mod wrong;

use std::fs;

use tracer::{
    audit::{
        report::model::Outcome,
        run::{Config, audit},
    },
    kernel::netns,
};

use crate::support::{scratch::Scratch, turn};

const QUICK: Config =
    Config { quick: true, only: Vec::new(), files: Vec::new(), jobs: 32, seed: 1, matrix: false, random: 0 };

#[test]
fn a_quick_audit_finds_nothing_unexplained_and_leaves_nothing() {
    let Some(_turn) = turn(&[]) else { return };
    let before: Vec<u64> = netns::all().into_keys().collect();
    let only = ["open/", "reset/", "close/"].map(str::to_owned).to_vec();
    let config = Config { only, ..QUICK };
    let report = audit(&config, &|_| ()).unwrap();
    assert!(report.scenarios.len() > 100, "{}", report.scenarios.len());
    assert_eq!(report.findings, []);
    assert_ne!(report.outcome, Outcome::Error);
    let names: Vec<&str> = report.deviations.iter().map(|deviation| deviation.name.as_str()).collect();
    for known in ["soft-icmp-aborts-connect", "syn-fin-dropped", "last-ack-fin-unsent", "reset-beyond-exact"]
    {
        // The first one is seen by scenarios of another group.
        assert!(names.contains(&known) || known == "soft-icmp-aborts-connect", "{known} in {names:?}");
    }
    let after: Vec<u64> = netns::all().into_keys().filter(|inode| !before.contains(inode)).collect();
    assert_eq!(after, [0_u64; 0]);
}

#[test]
fn a_scenario_that_the_kernel_does_not_keep_to_is_a_finding() {
    let Some(_turn) = turn(&[]) else { return };
    let scratch = Scratch::new("wrong-scenario");
    let file = scratch.path().join("wrong.scenarios");
    fs::write(
        &file,
        "scenario: silent\ntitle: A closed port says nothing\nrfc: 3.10.7.1\n\n\
         peer SYN mss=1460\nsilence 200ms\n",
    )
    .unwrap();
    let config = Config { files: vec![file.clone()], only: Vec::new(), ..QUICK };
    let report = audit(&config, &|_| ()).unwrap();
    assert_eq!(report.outcome, Outcome::Fail);
    assert_eq!(report.settings.files, [file.display().to_string()]);
    assert_eq!(report.findings.len(), 2, "one for each family: {:?}", report.findings);
    for finding in &report.findings {
        assert!(finding.place.ends_with(":5"), "{}", finding.place);
        assert_eq!(finding.expected, "silence 200ms");
        assert!(finding.seen.starts_with("RST,ACK"), "{}", finding.seen);
    }
}
