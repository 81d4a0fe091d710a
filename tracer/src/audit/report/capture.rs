//! `capture.pcapng`: every packet of the audit, with what was said of it as comments.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    model::{Decided, Entry, Report, Scenario, Segment, What},
    pcapng::{File, Packet, Way},
};

/// The capture. Each run is an interface of its own (`frame.interface_name == "open/client ipv4"`), because all use the
/// same addresses; the packets are in the order of time.
pub(super) fn capture(report: &Report) -> Vec<u8> {
    let system = format!("Linux {} {}", report.kernel.release, report.kernel.machine);
    let comment = format!("Conformance audit of {system} against RFC 9293, begun {}", report.started);
    let mut file = File::new(&format!("tcp-tracer {}", report.tool), &system, &comment);
    let mut packets = Vec::new();
    let mut interface = 0;
    for scenario in &report.scenarios {
        file.interface(
            &format!("{} {}", scenario.id, scenario.family),
            &format!("{} ({})", scenario.title, scenario.outcome),
        );
        packets.extend(scenario.ladder.iter().filter_map(|entry| packet(interface, entry, Some(scenario))));
        interface += 1;
    }
    for conversation in report.random.iter().flat_map(|random| &random.differences) {
        file.interface(
            &format!("random {} {}", conversation.seed, conversation.family),
            &format!("expected {}, seen {}", conversation.problem.expected, conversation.problem.seen),
        );
        packets.extend(conversation.ladder.iter().filter_map(|entry| packet(interface, entry, None)));
        interface += 1;
    }
    packets.sort_by_key(|packet| packet.time);
    for packet in &packets {
        file.packet(packet);
    }
    file.finish()
}

/// What went over the wire; a segment that the peer only pretended to send did not.
fn packet(interface: u32, entry: &Entry, scenario: Option<&Scenario>) -> Option<Packet> {
    let (way, base64, mischief) = match &entry.what {
        What::Segment(Segment { from_kernel, packet, mischief, .. }) => {
            (if *from_kernel { Way::Outbound } else { Way::Inbound }, packet, mischief.as_deref())
        }
        What::Icmp { packet, .. } => (Way::Inbound, packet, None),
        What::Call { .. } | What::Transition { .. } | What::Note { .. } => return None,
    };
    if mischief == Some("lost") || entry.wall == 0 {
        return None;
    }
    let bytes = BASE64_STANDARD.decode(base64).ok()?;
    let mut comments = Vec::new();
    let step = scenario.zip(entry.line).and_then(|(scenario, line)| step(scenario, line));
    comments.extend(step);
    comments.extend(mischief.map(|mischief| format!("forged on purpose: {mischief}")));
    let peer = entry.peer_state.iter().map(|state| format!(", peer {state}"));
    comments.push(format!("kernel {}{}", entry.kernel_state, peer.collect::<String>()));
    comments.extend(entry.verdict.iter().map(|verdict| match &*verdict.text {
        // What changes nothing takes no rule.
        "" | "-" => verdict.class.clone(),
        text => format!("{}: {text}", verdict.class),
    }));
    Some(Packet { interface, time: entry.wall, way, comments, bytes })
}

/// The line of the scenario, and what it decides.
fn step(scenario: &Scenario, line: u32) -> Option<String> {
    let text = scenario.line(line)?;
    let decided = scenario.decided.iter().filter(|decided| decided.line == line);
    let verdicts: Vec<_> = decided
        .map(|Decided { requirement, outcome, deviation, .. }| match deviation {
            Some(deviation) => format!("{requirement} {outcome} ({deviation})"),
            None => format!("{requirement} {outcome}"),
        })
        .collect();
    let arrow = if verdicts.is_empty() { "" } else { " => " };
    Some(format!("line {line}: {text}{arrow}{}", verdicts.join(", ")))
}
