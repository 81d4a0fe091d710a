//! As many connections as the machine can make: bare, with the agent, and with each peer, in pairs.

use std::{
    path::Path,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, sleep},
    time::{Duration, Instant},
};

use crate::{
    peer::{Peer, Tool},
    procfs::{own_processor_time, processor_time},
    sample::{figure, tell},
    support::{
        agent::Agent,
        load::{Ending, Family, Load},
        namespace::Namespace,
    },
};
/// Who is watching.
#[derive(Clone, Copy)]
enum Arm<'a> {
    Agent,
    Peer(Tool, &'a Path),
}

/// A load that is slowed down beyond this is cut off.
const LIMIT: Duration = Duration::from_secs(15);

/// Time for what the run before has left: its namespace dies.
const SETTLE: Duration = Duration::from_millis(400);

pub fn measure(rounds: u64, connections: u64, tcpstates: Option<&Path>, bpftrace: Option<&Path>) {
    let mut arms = vec![Arm::Agent];
    arms.extend(tcpstates.map(|path| Arm::Peer(Tool::Tcpstates, path)));
    arms.extend(bpftrace.map(|path| Arm::Peer(Tool::Bpftrace, path)));
    for round in 1..=rounds {
        for (family, name) in [(Family::Ipv4, "ipv4"), (Family::Ipv6, "ipv6")] {
            for turn in 0..arms.len() {
                let arm = arms[(turn + usize::try_from(round).unwrap_or(0)) % arms.len()];
                let pair = Pair { family, name, round, connections };
                // Who comes first has the machine as the one before has left it: each in turn.
                if round % 2 == 0 {
                    pair.bare(arm);
                }
                match arm {
                    Arm::Agent => pair.agent(),
                    Arm::Peer(tool, path) => pair.peer(tool, path),
                }
                if round % 2 == 1 {
                    pair.bare(arm);
                }
            }
        }
    }
}

struct Pair {
    family: Family,
    name: &'static str,
    round: u64,
    connections: u64,
}

impl Pair {
    fn tell(&self, arm: &str, quantity: &str, value: f64) {
        tell(self.name, arm, self.round, quantity, value);
    }

    fn bare(&self, partner: Arm<'_>) {
        let Run { rate, own, .. } = run(self.family, self.connections);
        let partner = match partner {
            Arm::Agent => "agent",
            Arm::Peer(tool, _) => tool.name(),
        };
        let arm = format!("without {partner}");
        self.tell(&arm, "connections_per_second", rate);
        self.tell(&arm, "processor_us_per_connection", own);
    }

    fn agent(&self) {
        let mut agent = Agent::start();
        let lost = |agent: &mut Agent| {
            let metrics = agent.metrics();
            let of = |outcome| metrics.sum("tcptracer_events_total", &[("outcome", outcome)]);
            let state = [("hook", "inet_sock_set_state"), ("outcome", "delivered")];
            (of("ring_full") + of("missed"), metrics.sum("tcptracer_events_total", &state))
        };
        let before = lost(&mut agent);
        let (begin, busy) = (Instant::now(), processor_time(agent.pid()));
        let Run { rate, made, own } = run(self.family, self.connections);
        let busy = processor_time(agent.pid()).saturating_sub(busy).as_secs_f64();
        let share = busy / (begin.elapsed() - 2 * SETTLE).as_secs_f64();
        let after = lost(&mut agent);
        let transitions = after.1 - before.1;
        self.tell("agent", "connections_per_second", rate);
        self.tell("agent", "processor_us_per_connection", own + busy * 1e6 / made);
        self.tell("agent", "lost_events", after.0 - before.0);
        self.tell("agent", "transitions_per_connection", transitions / made);
        self.tell("agent", "core_share", share);
        self.tell("agent", "processor_ns_per_transition", busy * 1e9 / transitions);
    }

    fn peer(&self, tool: Tool, path: &Path) {
        let peer = match Peer::start(tool, path) {
            Ok(peer) => peer,
            Err(error) => return eprintln!("{} cannot be measured: {error}", tool.name()),
        };
        let Run { rate, made, .. } = run(self.family, self.connections);
        match peer.stop() {
            Ok(seen) => {
                self.tell(tool.name(), "connections_per_second", rate);
                self.tell(tool.name(), "lost_events", figure(seen.lost));
                self.tell(tool.name(), "transitions_per_connection", figure(seen.lines) / made);
            }
            Err(error) => eprintln!("{} cannot be measured: {error}", tool.name()),
        }
    }
}

/// What a load came to.
pub struct Run {
    /// Connections per second.
    pub rate: f64,
    /// Connections in all.
    pub made: f64,
    /// Processor time of client and server for each, the kernel's part included, microseconds.
    pub own: f64,
}

/// Runs a load in a namespace of its own.
pub fn run(family: Family, connections: u64) -> Run {
    let namespace = Namespace::new();
    sleep(SETTLE);
    let load = Load { connections, lanes: 2, family, ending: Ending::Client, exchanges: 0 };
    let go = AtomicBool::new(true);
    let (made, seconds, own) = thread::scope(|scope| {
        let (done, ended) = mpsc::channel::<()>();
        let go = &go;
        scope.spawn(move || {
            // Disconnected: the load has come to its end by itself.
            if ended.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
                go.store(false, Ordering::Relaxed);
            }
        });
        let (begin, before) = (Instant::now(), own_processor_time());
        let made = figure(load.run_while(&namespace, go));
        let seconds = begin.elapsed().as_secs_f64();
        drop(done);
        (made, seconds, (own_processor_time() - before).as_secs_f64() * 1e6 / made)
    });
    drop(namespace);
    sleep(SETTLE);
    Run { rate: made / seconds, made, own }
}
