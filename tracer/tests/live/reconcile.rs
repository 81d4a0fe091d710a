//! The books balance: our counts are the kernel's own, in every network namespace, and where they cannot be, it shows.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    agent::{self, Agent},
    counters,
    forge::{Forger, RST, SYN},
    guest::{patience, share},
    load::{Ending, Family, Held, Load},
    metrics::Metrics,
    namespace::Namespace,
    programs, seen, silence, turn,
    wait::until,
};

const COUNTERS: [&str; 8] = [
    "active_opens",
    "passive_opens",
    "attempt_fails",
    "estab_resets",
    "embryonic_resets",
    "curr_estab",
    "tw",
    "time_wait_overflow",
];

/// The differences of a comparison that began after this call.
fn differences(agent: &mut Agent) -> Vec<(&'static str, i64)> {
    let comparisons = |metrics: &Metrics| metrics.count("tcptracer_kernel_comparisons_total", &[]);
    // The next one may have begun already.
    let enough = comparisons(&agent.metrics()) + 2;
    // Where reading the kernel's books takes long, the agent does it seldom.
    let metrics = until(Duration::from_secs(120), || {
        // While nothing happens the agent is in no hurry to compare.
        drop(TcpStream::connect(agent.address));
        let metrics = agent.metrics();
        if comparisons(&metrics) >= enough { Ok(metrics) } else { Err("too few comparisons".to_owned()) }
    });
    COUNTERS
        .iter()
        .map(|name| (*name, metrics.count("tcptracer_kernel_difference", &[("counter", name)])))
        .filter(|(_, difference)| *difference != 0)
        .collect()
}

/// Connections that end in every way, and some that never begin.
fn mixed(namespace: &Namespace, family: Family) {
    for ending in [Ending::Client, Ending::Server, Ending::Reset] {
        Load { connections: share(300), lanes: 1, family, ending, exchanges: 1 }.run(namespace);
    }
    namespace.enter(|| {
        let closed = TcpListener::bind(family.loopback()).unwrap().local_addr().unwrap();
        for _ in 0..20 {
            TcpStream::connect(closed).expect_err("nobody listens");
        }
    });
    // Unread data, and connections that nobody accepts before their listener goes.
    let mut held = Held::open(namespace, family, 10);
    held.use_all();
    for server in &mut held.servers {
        std::io::Write::write_all(server, b"unread").unwrap();
    }
    let address = held.listener.local_addr().unwrap();
    let waiting: Vec<_> = (0..5).map(|_| namespace.enter(|| TcpStream::connect(address).unwrap())).collect();
    drop(held);
    drop(waiting);
}

/// Attempts that no answer, no neighbour and a forged reset put an end to.
fn failures(namespace: &Namespace) {
    silence::attach(namespace);
    let forger = Forger::new(namespace);
    let listener = namespace.enter(|| TcpListener::bind((silence::HERE, 0)).unwrap());
    let SocketAddr::V4(here) = listener.local_addr().unwrap() else { unreachable!() };
    for _ in 0..3 {
        forger.send(silence::SILENT, here, SYN, 1000);
        forger.send(silence::SILENT, here, RST, 1001);
    }
    for address in [silence::ABSENT, silence::SILENT] {
        namespace.enter(|| TcpStream::connect(SocketAddr::V4(address)).expect_err("no answer"));
    }
}

#[test]
fn nothing_differs_in_old_and_new_namespaces() {
    let Some(_turn) = turn(&[]) else { return };
    let old = Namespace::new();
    // What was counted before the agent came, and what is still open then.
    mixed(&old, Family::Ipv4);
    let before = Held::open(&old, Family::Ipv6, 12);
    let mut agent = Agent::start();
    assert_eq!(differences(&mut agent), [], "what was there before");

    drop(before);
    mixed(&old, Family::Ipv4);
    mixed(&old, Family::Ipv6);
    assert_eq!(differences(&mut agent), [], "a namespace that was there before");

    let new = Namespace::new();
    mixed(&new, Family::Ipv6);
    failures(&new);
    let half_open = Held::open(&new, Family::Ipv4, 7);
    half_open.clients.iter().for_each(|client| client.shutdown(std::net::Shutdown::Write).unwrap());
    assert_eq!(
        differences(&mut agent),
        [],
        "a namespace that is younger than the agent, CLOSE_WAIT included"
    );
    let counts_close_wait = counters::of(&new)["Tcp.CurrEstab"] != 0;
    let states = if counts_close_wait { "ESTABLISHED and CLOSE_WAIT" } else { "ESTABLISHED alone" };
    seen("the kernel's own counter Tcp.CurrEstab counts", states);

    new.sysctl("net/ipv4/tcp_max_tw_buckets", "10");
    Load { connections: 100, lanes: 1, family: Family::Ipv4, ending: Ending::Server, exchanges: 0 }.run(&new);
    assert_eq!(differences(&mut agent), [], "TIME_WAIT skipped");

    drop(half_open);
    drop(new);
    drop(old);
    assert_eq!(differences(&mut agent), [], "both are gone");
}

#[test]
fn what_was_lost_shows_as_a_difference() {
    const CONNECTIONS: u64 = 2000;
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    let mut agent = Agent::start_with(&["--ring-bytes", "65536"]);
    assert_eq!(differences(&mut agent), []);
    let pid = Pid::from_raw(i32::try_from(agent.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    // Far more than the ring holds while nobody reads.
    Load { connections: CONNECTIONS, lanes: 1, family: Family::Ipv4, ending: Ending::Reset, exchanges: 0 }
        .run(&namespace);
    kill_process(pid, Signal::CONT).unwrap();
    let found = differences(&mut agent);
    let opens = found.iter().find(|(name, _)| *name == "active_opens").expect("lost opens").1;
    let connections = i64::try_from(CONNECTIONS).unwrap();
    assert!((-connections..-connections / 2).contains(&opens), "{found:?}");
    assert!(agent.log().contains("our active_opens and the kernel's"), "{}", agent.log());
}

#[test]
fn doctor_compares_for_a_person() {
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    let mut command = Command::new(agent::BINARY);
    let duration = patience(Duration::from_secs(4)).as_secs().to_string();
    command.args(["doctor", "--reconcile", "--duration", &duration, "--json"]);
    let outcome = thread::scope(|scope| {
        let doctor = scope.spawn(|| agent::finish(&mut command));
        until(Duration::from_secs(10), || match programs::is_loaded("state_0") {
            true => Ok(()),
            false => Err("no program is loaded".to_owned()),
        });
        // Some of it before everything is attached, some of it after.
        for _ in 0..4 {
            mixed(&namespace, Family::Ipv4);
            mixed(&namespace, Family::Ipv6);
            thread::sleep(patience(Duration::from_millis(400)));
        }
        doctor.join().unwrap()
    });
    assert!(outcome.status.success(), "{}{}", outcome.stdout, outcome.stderr);
    let report: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(report["balanced"], true);
    assert_eq!(report["lost_events"], 0);
    let ours = report["namespaces"]
        .as_array()
        .unwrap()
        .iter()
        .find(|found| found["namespace"].as_str().unwrap().contains(namespace.name()))
        .unwrap_or_else(|| panic!("{} is not in {}", namespace.name(), outcome.stdout));
    let opens = ours["counters"]
        .as_array()
        .unwrap()
        .iter()
        .find(|counter| counter["counter"] == "active_opens")
        .unwrap();
    let least = i64::try_from(3 * share(300)).unwrap();
    assert!(opens["kernel"].as_i64().unwrap() > least, "{opens}");
    assert_eq!((&opens["ours_low"], &opens["ours_high"]), (&opens["kernel"], &opens["kernel"]), "at rest");
}
