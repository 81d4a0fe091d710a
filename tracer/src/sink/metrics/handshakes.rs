//! Handshakes, segments sent again, and resets.

use prometheus::{Histogram, IntCounter, Registry};

use super::{
    family::{self, Made, seconds},
    ports::Ports,
};
use crate::{
    decode::Kernel,
    event::{Family, Flow},
    step::{HandshakeResult, Role, Untimed},
};

/// Seconds. From 1 s on the edges are the instants at which Linux sends a SYN again (1 2 3 4 5 7 11 19 35 67 s with
/// `tcp_syn_linear_timeouts`, 1 3 7 15 31 63 s without and for a SYN+ACK) and gives up (127 s): a handshake in the
/// bucket after an edge needed that retransmission.
const HANDSHAKE: [f64; 29] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0,
    2.0, 3.0, 4.0, 5.0, 7.0, 11.0, 15.0, 19.0, 31.0, 35.0, 63.0, 67.0, 100.0, 127.0,
];

pub(super) struct Handshakes {
    ports: Ports,
    /// By role, port and family.
    durations: Vec<Vec<[Histogram; 2]>>,
    /// By role, result and port.
    results: Vec<Vec<Vec<IntCounter>>>,
    untimed: Vec<Vec<IntCounter>>,
    pub(super) syn_retransmits: IntCounter,
    pub(super) synack_retransmits: IntCounter,
    received: IntCounter,
    /// By the kernel's number.
    sent: Vec<(u32, IntCounter)>,
    sent_otherwise: IntCounter,
}

impl Handshakes {
    pub(super) fn new(registry: &Registry, kernel: &Kernel, ports: Ports) -> Made<Self> {
        let durations = family::histograms(
            registry,
            "handshake_duration_seconds",
            "Duration of handshakes that reached ESTABLISHED, in seconds: from the SYN sent (client) or received \
             (server) to ESTABLISHED.",
            &ports.labels(&["role", "family"]),
            &HANDSHAKE,
        )?;
        let results = family::counters(
            registry,
            "handshakes_total",
            "Handshakes that came to an end, by how they ended. overflow: the listener had no room for the last ACK; SYNs \
             that it drops for want of room begin no handshake and show only in the kernel's ListenOverflows. \
             cookie_failed: the kernel's own count (SyncookiesFailed), taken over every few seconds.",
            &ports.labels(&["role", "result"]),
        )?;
        let untimed = family::counters(
            registry,
            "handshakes_untimed_total",
            "Established handshakes whose duration is not known, by the reason why.",
            &["role", "cause"],
        )?;
        let resets = family::counters(
            registry,
            "resets_total",
            "Resets sent and received; the reason is the kernel's own for those sent, unsupported where the kernel \
             gives none, and none for those received, which carry no reason.",
            &["direction", "reason"],
        )?;
        let reset = |direction, reason: &str| resets.get_metric_with_label_values(&[direction, reason]);
        let mut sent = Vec::new();
        for (number, reason) in reasons(kernel) {
            sent.push((number, reset("sent", &reason)?));
        }
        let by_port = |role: &Role| {
            ports.each(|port| {
                let of = |family: Family| {
                    let values: Vec<_> = [role.name(), family.name()].into_iter().chain(port).collect();
                    durations.get_metric_with_label_values(&values)
                };
                Made::Ok([of(Family::Ipv4)?, of(Family::Ipv6)?])
            })
        };
        Ok(Self {
            durations: Role::ALL.iter().map(by_port).collect::<Made<_>>()?,
            results: by_role(|role| {
                let of = |result: &HandshakeResult| {
                    ports.each(|port| {
                        let values: Vec<_> = [role, result.name()].into_iter().chain(port).collect();
                        results.get_metric_with_label_values(&values)
                    })
                };
                HandshakeResult::ALL.iter().map(of).collect()
            })?,
            untimed: by_role(|role| {
                let of = |cause: &Untimed| untimed.get_metric_with_label_values(&[role, cause.name()]);
                Untimed::ALL.iter().map(of).collect()
            })?,
            syn_retransmits: family::counter(registry, "syn_retransmits_total", "SYN segments sent again.")?,
            synack_retransmits: family::counter(
                registry,
                "synack_retransmits_total",
                "SYN+ACK segments sent again.",
            )?,
            received: reset("received", "none")?,
            sent_otherwise: reset("sent", if sent.is_empty() { "unsupported" } else { "other" })?,
            sent,
            ports,
        })
    }

    pub(super) fn ended(
        &self,
        role: Role,
        result: HandshakeResult,
        duration: Result<u64, Untimed>,
        of: &Flow,
    ) {
        let port = self.ports.slot(role, of);
        self.results[role as usize][result as usize][port].inc();
        if result == HandshakeResult::Established {
            match duration {
                Ok(nanoseconds) => {
                    self.durations[role as usize][port][of.family as usize].observe(seconds(nanoseconds));
                }
                Err(cause) => self.untimed[role as usize][cause as usize].inc(),
            }
        }
    }

    pub(super) fn cookies_failed(&self, count: u64) {
        // The kernel's counter knows no port.
        let by_port = &self.results[Role::Server as usize][HandshakeResult::CookieFailed as usize];
        by_port[self.ports.other()].inc_by(count);
    }

    pub(super) fn reset_received(&self) {
        self.received.inc();
    }

    /// `number` is the kernel's reason, 0 on kernels that have none.
    pub(super) fn reset_sent(&self, number: u32) {
        let known = self.sent.iter().find(|(reason, _)| *reason == number);
        known.map_or(&self.sent_otherwise, |(_, counter)| counter).inc();
    }
}

fn by_role<T>(of: impl Fn(&str) -> Made<Vec<T>>) -> Made<Vec<Vec<T>>> {
    Role::ALL.iter().map(|role| of(role.name())).collect()
}

/// The running kernel's reasons, in lower case. The last one only counts the others.
fn reasons(kernel: &Kernel) -> impl Iterator<Item = (u32, String)> {
    kernel
        .reset_reasons
        .iter()
        .filter(|(_, name)| name != "MAX")
        .map(|(number, name)| (*number, name.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::HANDSHAKE;

    #[test]
    fn both_schedules_of_the_syn_are_edges() {
        for second in [1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 11.0, 15.0, 19.0, 31.0, 35.0, 63.0, 67.0, 127.0] {
            assert!(HANDSHAKE.contains(&second), "{second}");
        }
        assert!(HANDSHAKE.is_sorted());
    }
}
