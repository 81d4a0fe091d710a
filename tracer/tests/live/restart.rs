//! The agent's ends, clean and violent, and its return to a host that went on without it.

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use rustix::process::Signal;

use crate::support::{
    agent::{Agent, farewell},
    books::Moment,
    load::{Ending, Family, Held, Load},
    namespace::Namespace,
    programs::{self, Objects},
    turn,
    wait::until,
};

/// A load that goes on until it is told to stop.
const LOAD: Load =
    Load { connections: 1_000_000, lanes: 1, family: Family::Ipv4, ending: Ending::Reset, exchanges: 1 };

#[test]
fn sigint_and_sigterm_end_it_cleanly_under_load() {
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    while_loaded(&namespace, || {
        for signal in [Signal::INT, Signal::TERM] {
            let agent = Agent::start();
            let objects = held(&agent);
            thread::sleep(Duration::from_millis(300));
            let (status, took) = agent.stop(signal);
            assert_eq!(status.code(), Some(0), "{signal:?}");
            assert!(took < farewell(), "{signal:?} took {took:?}");
            assert_gone(&objects);
        }
    });
}

#[test]
fn killed_under_load_it_leaves_nothing_behind_and_the_next_one_adopts_what_lives() {
    const HELD: usize = 25;
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    let mut v4 = Held::open(&namespace, Family::Ipv4, HELD);
    let mut v6 = Held::open(&namespace, Family::Ipv6, HELD);

    let mut agent = while_loaded(&namespace, || {
        let first = Agent::start();
        thread::sleep(Duration::from_millis(500));
        let objects = held(&first);
        let (status, _) = first.stop(Signal::KILL);
        assert_eq!(status.code(), None, "killed");
        assert_gone(&objects);

        let mut second = Agent::start();
        thread::sleep(Duration::from_millis(500));
        let metrics = second.metrics();
        // Both ends of each, and two listeners.
        let living = i64::try_from(2 * 2 * HELD).unwrap();
        assert!(metrics.count("tcptracer_tracked_sockets", &[]) >= living + 2);
        assert!(metrics.count("tcptracer_sockets", &[("state", "established")]) >= living);
        second
    });

    // It began in the middle of everything, and accuses nobody.
    let now = Moment::quiet(&mut agent).metrics;
    assert_eq!(now.sum("tcptracer_conformance_violations_total", &[]), 0.0);
    for (labels, value) in now.matching("tcptracer_conformance_inconclusive_total", &[]) {
        assert!(labels["cause"] == "adopted" || value == 0.0, "inconclusive: {labels:?} {value}");
    }
    // What was adopted goes on to live.
    v4.use_all();
    v6.use_all();
    let listed = now.count("tcptracer_sockets", &[("state", "established")]);
    drop((v4, v6));
    let after = Moment::quiet(&mut agent).metrics;
    assert_eq!(after.sum("tcptracer_conformance_violations_total", &[]), 0.0);
    let left = after.count("tcptracer_sockets", &[("state", "established")]);
    assert_eq!(listed - left, i64::try_from(2 * 2 * HELD).unwrap(), "established sockets that went away");
}

/// Does something while connections come and go.
fn while_loaded<T>(namespace: &Namespace, work: impl FnOnce() -> T) -> T {
    /// Stops the load also when the work panics.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(false, Ordering::Relaxed);
        }
    }
    let go = AtomicBool::new(true);
    thread::scope(|scope| {
        let stop = Stop(&go);
        let load = scope.spawn(|| LOAD.run_while(namespace, &go));
        let result = work();
        drop(stop);
        assert!(load.join().unwrap() > 100, "a load worth the name");
        result
    })
}

/// What the agent holds in the kernel: surely something.
fn held(agent: &Agent) -> Objects {
    let objects = programs::held_by(agent.pid());
    assert!(!objects.programs.is_empty() && !objects.links.is_empty(), "{objects:?}");
    assert_eq!(programs::remaining(&objects), objects, "the kernel's list has what the agent holds");
    objects
}

#[test]
fn it_keeps_the_capabilities_that_it_needs_and_no_other() {
    let Some(_turn) = turn(&[]) else { return };
    let agent = Agent::start();
    // CAP_BPF, CAP_PERFMON, CAP_SYSLOG, CAP_SYS_ADMIN and CAP_SYS_PTRACE.
    let needed: u64 = [39, 38, 34, 21, 19].into_iter().map(|bit| 1 << bit).sum();
    let mut threads = 0;
    for thread in fs::read_dir(format!("/proc/{}/task", agent.pid())).unwrap() {
        // Those that enter a namespace end soon.
        let Ok(status) = fs::read_to_string(thread.unwrap().path().join("status")) else { continue };
        let field = |name: &str| {
            status.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
        };
        for set in ["CapEff:", "CapPrm:", "CapBnd:"] {
            let held = u64::from_str_radix(&field(set).unwrap(), 16).unwrap();
            assert_eq!(held & !needed, 0, "{set} of a thread has more: {held:x}");
            assert_ne!(held, 0, "{set} of a thread is empty");
        }
        assert_eq!(field("NoNewPrivs:").as_deref(), Some("1"));
        threads += 1;
    }
    assert!(threads > 2, "{threads} threads");
}

/// The kernel frees programs a little later than the last reference goes.
fn assert_gone(objects: &Objects) {
    until(Duration::from_secs(3), || match programs::remaining(objects) {
        left if left == Objects::default() => Ok(()),
        left => Err(format!("still in the kernel: {left:?}")),
    });
}
