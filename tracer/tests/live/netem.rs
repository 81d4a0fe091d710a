//! Networks as they are: segments get lost, late, doubled and out of order, and nobody is accused. Debian's kernels have
//! netem; `cargo xtask vm` runs these tests there.

use std::time::Duration;

use crate::support::{
    agent::Agent,
    books::{self, Moment},
    counters,
    load::{Ending, Family, Load},
    namespace::Namespace,
    process::run,
    turn,
    wait::until,
};

/// Connections of each family and ending.
const EACH: u64 = 40;

/// Runs loads over a loopback that damages what passes, and compares our books with the kernel's.
fn damaged(damage: &[&str]) {
    let Some(_turn) = turn(&["tc"]) else { return };
    let namespace = Namespace::new();
    run(namespace.command("tc").args(["qdisc", "add", "dev", "lo", "root", "netem"]).args(damage));
    let mut agent = Agent::start();
    let start = Moment::quiet(&mut agent);
    // Nobody repeats a lost RST: its peer would wait for ever.
    let endings: &[_] = if damage.contains(&"loss") {
        &[Ending::Client, Ending::Server]
    } else {
        &[Ending::Client, Ending::Server, Ending::Reset]
    };
    let families = [Family::Ipv4, Family::Ipv6];
    for family in families {
        for &ending in endings {
            Load { connections: EACH, lanes: 4, family, ending, exchanges: 2 }.run(&namespace);
        }
    }
    let connections = families.len() * endings.len() * usize::try_from(EACH).unwrap();
    // The last words are repeated until they arrive.
    until(Duration::from_secs(60), || {
        let counters = counters::of(&namespace);
        let left = ["sockstat.inuse", "sockstat.orphan"].map(|name| counters[name]);
        if left == [0, 0] { Ok(()) } else { Err(format!("in use, orphans: {left:?}")) }
    });
    until(Duration::from_secs(10), || books::agree_by_state(&mut agent));
    let end = Moment::settled(&mut agent);
    let change = end.since(&start);
    change.assert_nothing_lost();
    let violations = change.changed("tcptracer_conformance_violations_total");
    assert_eq!(violations, [""; 0], "a bad network is no violation; the agent said:\n{}", agent.log());
    let kernel = counters::of(&namespace);
    assert_eq!(change.transitions("close", "syn_sent"), kernel["Tcp.ActiveOpens"]);
    assert_eq!(change.transitions("listen", "syn_recv"), kernel["Tcp.PassiveOpens"]);
    assert_eq!(change.handshakes("client", "established"), i64::try_from(connections).unwrap());
    assert_eq!(
        change.ours("tcptracer_syn_retransmits_total", &[])
            + change.ours("tcptracer_synack_retransmits_total", &[]),
        kernel["TcpExt.TCPSynRetrans"],
        "SYNs and SYN,ACKs sent again"
    );
    let inconclusive = change.changed("tcptracer_conformance_inconclusive_total");
    assert_eq!(inconclusive, [""; 0], "every step can be judged");
}

#[test]
#[ignore = "needs a kernel with netem; `cargo xtask vm` boots some"]
fn segments_get_lost() {
    damaged(&["loss", "5%"]);
}

#[test]
#[ignore = "needs a kernel with netem; `cargo xtask vm` boots some"]
fn segments_arrive_late() {
    damaged(&["delay", "20ms", "15ms"]);
}

#[test]
#[ignore = "needs a kernel with netem; `cargo xtask vm` boots some"]
fn segments_arrive_twice() {
    damaged(&["duplicate", "20%"]);
}

#[test]
#[ignore = "needs a kernel with netem; `cargo xtask vm` boots some"]
fn segments_arrive_out_of_order() {
    damaged(&["delay", "5ms", "reorder", "30%", "50%"]);
}

#[test]
#[ignore = "needs a kernel with netem; `cargo xtask vm` boots some"]
fn everything_goes_wrong_at_once() {
    damaged(&["delay", "4ms", "3ms", "loss", "3%", "duplicate", "5%", "reorder", "20%", "50%"]);
}
