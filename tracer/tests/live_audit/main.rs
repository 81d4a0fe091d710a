//! The audit on this kernel: what it finds, that it can fail, and that it leaves nothing.
//!
//! A program of its own, which runs behind the other live tests: for a minute or two after an audit the kernel still tries
//! to get rid of connections whose peer has gone with its namespace, and those tests count every socket of the host.

#[cfg(test)]
mod interrupted;
#[cfg(test)]
#[allow(dead_code, unused_imports, clippy::allow_attributes, reason = "the other live tests use the rest")]
#[path = "../live/support/mod.rs"]
mod support;
#[cfg(test)]
mod wrong;

use std::fs;

use tracer::{
    audit::{
        report::model::{Finding, Outcome},
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
    // A kernel that challenges once a second, instead of every time, and one that resets where silence is expected.
    let scenarios = "scenario: throttled\n\
                     title: Every SYN on a connection is challenged\n\
                     rfc: RFC 5961, 4.2\n\
                     sysctl: net.ipv4.tcp_challenge_ack_limit=1\n\
                     \n\
                     establish server\n\
                     peer SYN\n\
                     kernel ACK\n\
                     peer SYN\n\
                     kernel ACK\n\
                     scenario: silent\n\
                     title: A closed port says nothing\n\
                     rfc: 3.10.7.1\n\
                     \n\
                     peer SYN mss=1460\n\
                     silence 200ms\n";
    fs::write(&file, scenarios).unwrap();
    let config = Config { files: vec![file.clone()], only: Vec::new(), ..QUICK };
    let report = audit(&config, &|_| ()).unwrap();
    assert_eq!(report.outcome, Outcome::Fail);
    assert_eq!(report.settings.files, [file.display().to_string()]);
    let found = |id: &str| {
        let of = |finding: &&Finding| finding.place.starts_with(id);
        report
            .findings
            .iter()
            .filter(of)
            .map(|one| (one.expected.as_str(), one.seen.as_str()))
            .collect::<Vec<_>>()
    };
    // One for each family.
    let [challenges, silence] = ["wrong/throttled", "wrong/silent"].map(found);
    assert_eq!([challenges.len(), silence.len()], [2, 2], "{:?}", report.findings);
    for (expected, seen) in challenges {
        assert!(expected == "kernel ACK" && seen.starts_with("nothing was sent"), "{expected}: {seen}");
    }
    for (expected, seen) in silence {
        assert!(expected == "silence 200ms" && seen.starts_with("RST,ACK"), "{expected}: {seen}");
    }
}
