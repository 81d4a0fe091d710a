//! The audit: short on this kernel, and what it says of streams that were rewritten into those of a wrong kernel.

use model::{
    Flags, State,
    oracle::{Kind, Numbers, Observation, Transition},
};
use tracer::{
    audit::{
        judge::{judge, running, traces},
        play::play,
        report::model::{Family, Outcome},
        run::{Config, audit},
        scenario::library,
        stream::Stream,
    },
    kernel::netns,
};

use crate::support::turn;

#[test]
fn a_quick_audit_finds_nothing_unexplained_and_leaves_nothing() {
    let Some(_turn) = turn(&[]) else { return };
    let before: Vec<u64> = netns::all().into_keys().collect();
    let config = Config {
        quick: true,
        only: ["open/", "reset/", "close/"].map(str::to_owned).to_vec(),
        files: Vec::new(),
        jobs: 32,
        seed: 1,
        matrix: false,
        random: 0,
    };
    let report = audit(&config, &|_| ()).unwrap();
    assert!(report.scenarios.len() > 100, "{}", report.scenarios.len());
    assert_eq!(report.findings, []);
    assert_ne!(report.outcome, Outcome::Error);
    let names: Vec<&str> = report.deviations.iter().map(|deviation| deviation.name.as_str()).collect();
    for known in ["soft-icmp-aborts-connect", "syn-fin-dropped", "last-ack-fin-unsent", "reset-beyond-exact"]
    {
        // The first one is seen by scenarios of another group.
        assert!(names.contains(&known) || known == "soft-icmp-aborts-connect", "{known} in {names:?}");
    }
    let after: Vec<u64> = netns::all().into_keys().filter(|inode| !before.contains(inode)).collect();
    assert_eq!(after, [0_u64; 0]);
}

/// The kernel's trace of a scenario from the library, and its oracle's complaint after it was rewritten.
fn complaint(id: &str, stream: &Stream, rewrite: impl FnOnce(&mut Vec<Observation>)) -> Option<String> {
    let scripts = library().unwrap();
    let script = scripts.iter().find(|script| script.id == id).unwrap();
    let played = play(script, Family::Ipv4, stream).unwrap();
    assert_eq!(played.failure, None, "{id}");
    let profile = running(&played.sysctls);
    let trace = traces(&played).remove(0);
    let mut observations: Vec<Observation> = trace.into_iter().map(|(_, observation)| observation).collect();
    assert_eq!(judge(&observations, &profile).violation, None, "{id} as the kernel played it");
    rewrite(&mut observations);
    judge(&observations, &profile).violation.map(|(_, what, _)| what)
}

fn sent(observation: &mut Observation) -> Option<&mut model::Segment> {
    match &mut observation.kind {
        Kind::Sent(segment) => Some(segment),
        _ => None,
    }
}

fn enters(observation: &Observation, state: State) -> bool {
    matches!(observation.kind, Kind::Transition(transition) if transition.to == state)
}

#[test]
fn rewritten_streams_are_caught_by_the_right_rule() {
    let Some(_turn) = turn(&[]) else { return };
    let stream = Stream::start().unwrap();
    let caught = |id, rule: &str, rewrite: &dyn Fn(&mut Vec<Observation>)| {
        let complaint = complaint(id, &stream, |observations| rewrite(observations)).unwrap_or_default();
        assert!(complaint.contains(rule), "{id}: {complaint:?} names no {rule}");
    };
    caught("reset/closed-port-ack", "seg-cl-3", &|trace| {
        // A reset with another number than the one that was acknowledged.
        trace.iter_mut().filter_map(sent).for_each(|reset| reset.seq += 1);
    });
    caught("close/client-first", "2MSL", &|trace| {
        // TIME-WAIT ends after half a minute.
        let end = Transition { from: State::TimeWait, to: State::Closed, numbers: Numbers::default() };
        trace.push(Observation { at: 30_000_000, kind: Kind::Transition(end) });
    });
    caught("close/fin-old-ack", "fin", &|trace| {
        // The FIN is dropped in FIN-WAIT-2, since its ACK field is old (the bug fixed by 795a7dfbc3d9).
        let fin =
            trace.iter().rposition(|one| matches!(one.kind, Kind::Received(s) if s.has(Flags::FIN))).unwrap();
        trace.truncate(fin + 1);
        trace.push(Observation { at: 5_000_000, kind: Kind::Quiet });
    });
    caught("close/peer-first", "fin-1", &|trace| {
        // The peer's FIN is acknowledged, and the state stays.
        trace.retain(|one| !enters(one, State::CloseWait));
    });
    caught("open/server", "SEQ", &|trace| {
        // The SYN,ACK comes again with another number.
        let mut again = *trace.iter().find(|one| matches!(one.kind, Kind::Sent(_))).unwrap();
        again.at = trace.last().unwrap().at + 1_100_000;
        sent(&mut again).unwrap().seq += 1;
        trace.retain(|one| !enters(one, State::Established));
        trace.retain(|one| !matches!(one.kind, Kind::Received(segment) if !segment.has(Flags::SYN)));
        trace.push(again);
    });
}
