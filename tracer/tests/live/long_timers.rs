//! The kernel's long timers to their last second. They take minutes, or, in a guest whose clock runs ahead when there is
//! nothing to do, seconds: `cargo xtask vm` runs them there.

use std::{
    io::ErrorKind,
    net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::support::{
    agent::Agent,
    books::{Difference, Moment},
    counters,
    forge::{Forger, SYN},
    load::{Ending, Family, Held, Load},
    namespace::Namespace,
    seen, silence, turn,
    wait::until,
};

/// TCP_TIMEWAIT_LEN, and the default of tcp_fin_timeout.
const MINUTE: f64 = 60.0;

/// How late the timer wheel may be for a minute: 512 ticks, at the 250 ticks a second of Debian's kernels (kernel/time/timer.c).
const LATE: f64 = 2.2;

/// Waits until the namespace has no minisocket any more. Meanwhile the agent is asked now and then: else it would close our
/// connection to it, which leaves a minisocket as well.
fn until_none_waits(namespace: &Namespace, agent: &mut Agent) {
    until(Duration::from_secs(90), || match counters::of(namespace)["sockstat.tw"] {
        0 => Ok(()),
        left => {
            sleep(Duration::from_secs(1));
            drop(agent.metrics());
            Err(format!("{left} minisockets"))
        }
    });
}

#[test]
#[ignore = "takes a minute; `cargo xtask vm` runs it on a fast clock"]
fn time_wait_lasts_a_minute_and_expires() {
    const EACH: u64 = 10;
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    let mut agent = Agent::start();
    let start = Moment::quiet(&mut agent);
    for (family, ending) in [(Family::Ipv4, Ending::Client), (Family::Ipv6, Ending::Server)] {
        Load { connections: EACH, lanes: 1, family, ending, exchanges: 1 }.run(&namespace);
    }
    until_none_waits(&namespace, &mut agent);
    let end = Moment::quiet(&mut agent);
    let change = end.since(&start);
    change.assert_healthy();
    let count = i64::try_from(2 * EACH).unwrap();
    assert_eq!(change.ours("tcptracer_time_wait_entered_total", &[]), count);
    assert_eq!(change.ours("tcptracer_time_wait_ended_total", &[("cause", "expired")]), count);
    assert_eq!(change.ours("tcptracer_time_wait_sockets", &[]), 0);
    let name = "tcptracer_time_wait_duration_seconds";
    assert_eq!(change.ours(&format!("{name}_count"), &[]), count);
    let sum = format!("{name}_sum");
    let mean = (end.metrics.sum(&sum, &[]) - start.metrics.sum(&sum, &[])) / 20.0;
    assert!((MINUTE - 0.1..MINUTE + LATE).contains(&mean), "TIME_WAIT lasted {mean} s");
}

#[test]
#[ignore = "takes a minute; `cargo xtask vm` runs it on a fast clock"]
fn an_orphan_in_fin_wait2_is_given_up_after_a_minute() {
    const COUNT: i64 = 10;
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    let mut agent = Agent::start();
    let start = Moment::quiet(&mut agent);
    let mut held = Held::open(&namespace, Family::Ipv4, usize::try_from(COUNT).unwrap());
    held.clients.clear();
    until(Duration::from_secs(5), || match counters::of(&namespace)["sockstat.tw"] {
        COUNT => Ok(()),
        found => Err(format!("{found} minisockets")),
    });
    until_none_waits(&namespace, &mut agent);
    let end = Moment::quiet(&mut agent);
    let change = end.since(&start);
    change.assert_healthy();
    assert_eq!(change.ours("tcptracer_fin_wait2_minisockets", &[]), 0);
    assert_eq!(change.ours("tcptracer_time_wait_entered_total", &[]), 0, "no peer has closed");
    assert_eq!(change.ours("tcptracer_sockets", &[("state", "close_wait")]), COUNT, "who still waits");
}

/// Repetitions in the namespace: by the kernel, and by us on the whole host.
fn repeated(namespace: &Namespace, change: &Difference<'_>, metric: &str) -> (i64, i64) {
    (counters::of(namespace)["TcpExt.TCPSynRetrans"], change.ours(metric, &[]))
}

#[test]
#[ignore = "takes two minutes; `cargo xtask vm` runs it on a fast clock"]
fn a_syn_is_repeated_to_the_last_and_then_given_up() {
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    silence::attach(&namespace);
    namespace.sysctl("net/ipv4/tcp_syn_retries", "6");
    let mut agent = Agent::start();
    let start = Moment::quiet(&mut agent);
    let begin = Instant::now();
    let error = namespace.enter(|| TcpStream::connect(silence::SILENT).expect_err("nobody answers"));
    let given_up = begin.elapsed().as_secs();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let end = Moment::quiet(&mut agent);
    let change = end.since(&start);
    change.assert_healthy();
    assert_eq!(change.handshakes("client", "timeout"), 1);
    let (kernel, ours) = repeated(&namespace, &change, "tcptracer_syn_retransmits_total");
    assert_eq!(ours, kernel);
    // Newer kernels repeat it four times at intervals that do not grow before they count (tcp_syn_linear_timeouts).
    assert!(kernel == 6 || kernel == 10, "{kernel} repetitions");
    seen(
        "a SYN that nobody answers, at the default tcp_syn_retries",
        format!("sent {kernel} times more, given up after {given_up} s"),
    );
}

#[test]
#[ignore = "takes a minute; `cargo xtask vm` runs it on a fast clock"]
fn a_syn_ack_is_repeated_to_the_last_and_then_given_up() {
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    silence::attach(&namespace);
    namespace.sysctl("net/ipv4/tcp_synack_retries", "5");
    let listener = namespace.enter(|| TcpListener::bind((silence::HERE, 0)).unwrap());
    let SocketAddr::V4(here) = listener.local_addr().unwrap() else { unreachable!("an IPv4 listener") };
    let mut agent = Agent::start();
    let start = Moment::quiet(&mut agent);
    let before = counters::sockets()["syn_recv"];
    let begin = Instant::now();
    Forger::new(&namespace).send(SocketAddrV4::new(*silence::SILENT.ip(), 9), here, SYN, 1000);
    assert_eq!(counters::sockets()["syn_recv"], before + 1);
    until(Duration::from_secs(100), || match counters::sockets()["syn_recv"] {
        now if now == before => Ok(()),
        now => Err(format!("{now} half-open requests")),
    });
    let given_up = begin.elapsed().as_secs();
    let end = Moment::quiet(&mut agent);
    let change = end.since(&start);
    change.assert_healthy();
    assert_eq!(change.handshakes("server", "timeout"), 1);
    let (kernel, ours) = repeated(&namespace, &change, "tcptracer_synack_retransmits_total");
    assert_eq!((kernel, ours), (5, 5));
    seen(
        "a SYN,ACK that nobody answers, at the default tcp_synack_retries",
        format!("given up after {given_up} s"),
    );
}
