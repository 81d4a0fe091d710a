//! Our figures and the kernel's, taken at the same moment.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use super::{
    agent::Agent,
    counters::{self, Host},
    guest::patience,
    metrics::Metrics,
    namespace::Namespace,
};

/// Longer than the agent leaves a record in the ring.
const PROCESSED: Duration = Duration::from_millis(200);

/// Longer than it takes until the programs' own counts are in the metrics: they are asked for once a second.
const COUNTED: Duration = Duration::from_millis(2500);

/// Both sides at a moment at which nothing opened, failed or closed.
#[derive(Clone, Debug)]
pub struct Moment {
    pub kernel: Host,
    pub metrics: Metrics,
}

impl Moment {
    /// Waits for such a moment: the host's counters stand still for longer than the agent takes to process an event.
    pub fn quiet(agent: &mut Agent) -> Self {
        Self::quiet_for(PROCESSED, agent)
    }

    /// As [`Moment::quiet`], with the programs' own counts (`tcptracer_events_total`) up to date as well.
    pub fn settled(agent: &mut Agent) -> Self {
        Self::quiet_for(COUNTED, agent)
    }

    fn quiet_for(time: Duration, agent: &mut Agent) -> Self {
        let start = Instant::now();
        let mut before = Host::read();
        loop {
            sleep(patience(time));
            let metrics = agent.metrics();
            let kernel = Host::read();
            let moved = kernel.moved_since(&before);
            if moved.is_empty() {
                return Self { kernel, metrics };
            }
            assert!(
                start.elapsed() < patience(Duration::from_secs(60)),
                "the host's TCP is never quiet: {moved:?}"
            );
            before = kernel;
        }
    }

    /// What has changed since an earlier moment.
    pub fn since<'a>(&'a self, start: &'a Self) -> Difference<'a> {
        assert!(
            self.kernel.same_namespaces(&start.kernel),
            "a network namespace came or went during the measurement, and took its counters along"
        );
        Difference { start, end: self }
    }
}

/// Asks whether the agent has as many sockets in each state as the kernel lists; an error says where not.
pub fn agree_by_state(agent: &mut Agent) -> Result<(), String> {
    let metrics = agent.metrics();
    let listed = counters::sockets();
    let ours = |state| metrics.count("tcptracer_sockets", &[("state", state)]);
    // /proc/net/tcp shows a request as SYN_RECV.
    for (state, ours) in [
        ("established", ours("established")),
        ("syn_sent", ours("syn_sent")),
        ("syn_recv", ours("syn_recv") + ours("new_syn_recv")),
        ("fin_wait1", ours("fin_wait1")),
        ("fin_wait2", ours("fin_wait2")),
        ("time_wait", ours("time_wait")),
        ("close_wait", ours("close_wait")),
        ("last_ack", ours("last_ack")),
        ("listen", ours("listen")),
        ("closing", ours("closing")),
    ] {
        if i64::try_from(listed[state]) != Ok(ours) {
            return Err(format!("{state}: the kernel lists {}, the agent {ours}", listed[state]));
        }
    }
    Ok(())
}

/// Runs `work` in a namespace until nobody else on the host used TCP meanwhile, three times at most: the agent counts for
/// the whole host. Returns the moments before and after.
pub fn alone(agent: &mut Agent, namespace: &Namespace, mut work: impl FnMut(&mut Agent)) -> [Moment; 2] {
    let mut others = Vec::new();
    for _ in 0..3 {
        let start = Moment::quiet(agent);
        work(agent);
        let end = Moment::quiet(agent);
        others = end.kernel.moved_elsewhere_since(&start.kernel, namespace);
        if end.kernel.same_namespaces(&start.kernel) && end.since(&start).adopted() != 0 {
            others.push("sockets that are older than the agent moved".to_owned());
        }
        if others.is_empty() {
            return [start, end];
        }
    }
    panic!("others on this host used TCP in each of three attempts: {others:?}");
}

/// The change between two moments.
#[derive(Clone, Copy, Debug)]
pub struct Difference<'a> {
    start: &'a Moment,
    end: &'a Moment,
}

impl Difference<'_> {
    /// Of a kernel counter, over all namespaces.
    pub fn kernel(&self, counter: &str) -> i64 {
        self.end.kernel.sum(counter) - self.start.kernel.sum(counter)
    }

    /// Of the agent's series with these labels.
    pub fn ours(&self, name: &str, labels: &[(&str, &str)]) -> i64 {
        self.end.metrics.count(name, labels) - self.start.metrics.count(name, labels)
    }

    /// As [`Difference::ours`]; 0 where no such series exists.
    pub fn ours_if_any(&self, name: &str, labels: &[(&str, &str)]) -> i64 {
        if self.end.metrics.matching(name, labels).next().is_some() { self.ours(name, labels) } else { 0 }
    }

    /// Transitions between two states, both families.
    pub fn transitions(&self, from: &str, to: &str) -> i64 {
        self.ours("tcptracer_transitions_total", &[("from", from), ("to", to)])
    }

    /// Transitions out of a state, as the kernel announces them: the way into a minisocket is told in addition.
    pub fn left(&self, state: &str) -> i64 {
        self.ours("tcptracer_transitions_total", &[("from", state)])
            - self.ours_if_any("tcptracer_transitions_total", &[("from", state), ("to", "time_wait")])
    }

    /// Verdicts of one kind.
    pub fn verdicts(&self, verdict: &str) -> i64 {
        self.ours("tcptracer_conformance_checks_total", &[("verdict", verdict)])
    }

    /// Verdicts on sockets that are older than the agent: orphans of a namespace that is gone live on for a while.
    pub fn adopted(&self) -> i64 {
        self.ours("tcptracer_conformance_inconclusive_total", &[("cause", "adopted")])
    }

    /// Handshakes with one outcome.
    pub fn handshakes(&self, role: &str, result: &str) -> i64 {
        self.ours("tcptracer_handshakes_total", &[("role", role), ("result", result)])
    }

    /// Asserts that every step between the moments could be judged and none was wrong, and that nothing was lost.
    pub fn assert_healthy(&self) {
        self.assert_nothing_lost();
        for metric in ["tcptracer_conformance_violations_total", "tcptracer_conformance_inconclusive_total"] {
            assert_eq!(self.changed(metric), [""; 0], "{metric} on healthy traffic");
        }
        assert_eq!(
            (self.verdicts("violation"), self.verdicts("inconclusive")),
            (0, 0),
            "verdicts on healthy traffic"
        );
    }

    /// Asserts that no event was lost, and that no story has a gap.
    pub fn assert_nothing_lost(&self) {
        for outcome in ["missed", "ring_full"] {
            let lost = self.ours("tcptracer_events_total", &[("outcome", outcome)]);
            assert_eq!(lost, 0, "{outcome}; all that happened: {:?}", self.changed("tcptracer_events_total"));
        }
        let gaps = self.ours("tcptracer_conformance_inconclusive_total", &[("cause", "lost_event")]);
        assert_eq!(gaps, 0, "stories with a gap");
    }

    /// The agent's series of one name that differ, with their labels, for messages.
    pub fn changed(&self, name: &str) -> Vec<String> {
        self.end
            .metrics
            .matching(name, &[])
            .filter_map(|(labels, end)| {
                let labels: Vec<_> =
                    labels.iter().map(|(label, value)| (label.as_str(), value.as_str())).collect();
                let start: f64 = self.start.metrics.matching(name, &labels).map(|(_, value)| value).sum();
                (end - start != 0.0).then(|| format!("{labels:?}: {}", end - start))
            })
            .collect()
    }
}
