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
    wait::until,
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
    let first = until(Duration::from_secs(10), || {
        Load { connections: 1, lanes: 1, ..load }.run(&namespace);
        lines.recv_timeout(Duration::from_millis(100)).map_err(|_| "nothing to see".to_owned())
    });
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

    // Lives by socket: where sockets go by their address, as before 5.12, it is used again.
    let mut sockets: BTreeMap<u64, Vec<Vec<(&str, &str)>>> = BTreeMap::new();
    for line in &shown {
        for field in ["hook", "family", "local", "remote", "verdict", "rule"] {
            assert!(line[field].is_string(), "no {field}: {line}");
        }
        assert_eq!(line["family"], "ipv4");
        assert!(line["verdict"] == "conforming" || line["verdict"] == "deviation", "{line}");
        let (cookie, from, to) = transition(line).expect("a transition");
        let lives = sockets.entry(cookie).or_default();
        let is_born = matches!((from, to), ("close", "syn_sent" | "listen") | ("listen", "syn_recv"));
        match lives.last_mut() {
            Some(life) if !is_born => life.push((from, to)),
            _ => lives.push(vec![(from, to)]),
        }
    }
    let lives = |first, steps: &[usize]| {
        let lives = sockets.values().flatten();
        lives.filter(|life| life[0] == first && steps.contains(&life.len())).count()
    };
    let connections = usize::try_from(count).unwrap();
    assert_eq!(lives(("close", "syn_sent"), &[5]), connections, "complete stories of clients");
    // Up to 6.12 a child has a name of its own only after the first step.
    assert_eq!(lives(("listen", "syn_recv"), &[1, 5]), connections, "births of servers");
    let named_later = lives(("syn_recv", "established"), &[4]);
    assert_eq!(lives(("listen", "syn_recv"), &[5]) + named_later, connections, "complete stories of servers");
    for (cookie, lives) in &sockets {
        for pair in lives.iter().flat_map(|life| life.windows(2)) {
            assert_eq!(pair[0].1, pair[1].0, "a gap in the story of socket {cookie}: {lives:?}");
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
