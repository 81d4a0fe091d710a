//! `watch` shows each step of each connection, in order and without a gap.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    agent::{BINARY, farewell, finish},
    guest::share,
    load::{Ending, Family, Load},
    namespace::Namespace,
    process::Process,
    shown::lines,
    turn,
};

/// The line's transition, if it is one: cookie, from, to.
fn transition(line: &Value) -> Option<(u64, &str, &str)> {
    Some((line["cookie"].as_u64()?, line["from"].as_str()?, line["to"].as_str()?))
}

#[test]
fn the_chain_of_every_connection_is_gapless_and_judged() {
    let Some(_turn) = turn(&[]) else { return };
    let count = share(2000);
    let namespace = Namespace::new();
    let load =
        Load { connections: count, lanes: 2, family: Family::Ipv4, ending: Ending::Client, exchanges: 1 };
    let mut command = Command::new(BINARY);
    command.args(["watch", "--output", "json", "--netns", namespace.name()]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut watch = Process::start(&mut command, Signal::KILL);
    let lines = lines(watch.child().stdout.take().unwrap());

    // It watches as soon as it shows something.
    let first = (0..100)
        .find_map(|_| {
            Load { connections: 1, lanes: 1, ..load }.run(&namespace);
            lines.recv_timeout(Duration::from_millis(100)).ok()
        })
        .expect("something to see");
    thread::sleep(Duration::from_millis(500));
    let early: Vec<Value> = std::iter::once(first).chain(lines.try_iter()).collect();
    load.run(&namespace);
    let mut shown: Vec<Value> = Vec::new();
    while let Ok(line) = lines.recv_timeout(Duration::from_secs(1)) {
        shown.push(line);
    }
    watch.signal(Signal::INT);
    let status = watch.wait(farewell());
    assert_eq!(
        status.and_then(|status| status.code()),
        Some(0),
        "the end by Ctrl-C, after {} lines",
        shown.len()
    );
    shown.extend(lines.iter());

    let mut chains: BTreeMap<u64, Vec<(&str, &str)>> = BTreeMap::new();
    for line in &shown {
        for field in ["hook", "family", "local", "remote", "verdict", "rule"] {
            assert!(line[field].is_string(), "no {field}: {line}");
        }
        assert_eq!(line["family"], "ipv4");
        assert!(line["verdict"] == "conforming" || line["verdict"] == "deviation", "{line}");
        let (cookie, from, to) = transition(line).expect("a transition");
        chains.entry(cookie).or_default().push((from, to));
    }
    let opening = |from: &str, to: &str| {
        chains.values().filter(|chain| chain.first() == Some(&(from, to)) && chain.len() == 5).count()
    };
    let connections = usize::try_from(count).unwrap();
    assert_eq!(opening("close", "syn_sent"), connections, "complete stories of clients");
    assert_eq!(opening("listen", "syn_recv"), connections, "complete stories of servers");
    for (cookie, chain) in &chains {
        for pair in chain.windows(2) {
            assert_eq!(pair[0].1, pair[1].0, "a gap in the story of socket {cookie}: {chain:?}");
        }
    }
    assert!(early.iter().all(|line| line["netns"] == shown[0]["netns"]), "the filter of one namespace");
}

#[test]
fn it_ends_by_itself_when_its_time_is_over() {
    let Some(_turn) = turn(&[]) else { return };
    let mut command = Command::new(BINARY);
    let outcome = finish(command.args(["watch", "--duration", "1", "--port", "1"]));
    assert_eq!(outcome.status.code(), Some(0), "{}", outcome.stderr);
}

#[test]
fn doctor_reports_and_is_content_with_this_kernel() {
    let Some(_turn) = turn(&[]) else { return };
    let outcome = finish(Command::new(BINARY).arg("doctor"));
    assert_eq!(outcome.status.code(), Some(0), "{}", outcome.stderr);
    for hook in ["inet_sock_set_state", "tcp_destroy_sock", "timer_start"] {
        assert!(outcome.stdout.contains(hook), "nothing about {hook}:\n{}", outcome.stdout);
    }
}
