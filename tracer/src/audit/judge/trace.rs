//! A run as the oracle wants it: for each connection everything that was seen of the kernel's end, in order.

use model::{
    State,
    event::{Call, Origin},
    oracle::{Kind, Observation},
};

use crate::audit::{
    account::{Change, Ports},
    play::{Connection, Logged, Played, Recorded},
};

/// Where an observation comes from: the log's place, or the change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The place in [`Played::log`].
    Log(usize),
    /// The place in [`crate::audit::account::Account::changes`].
    Change(usize),
    /// Time that went by.
    End,
}

/// One connection's observations.
pub type Trace = Vec<(Source, Observation)>;

/// The trace of each connection.
#[must_use]
pub fn traces(played: &Played) -> Vec<Trace> {
    played.connections.iter().enumerate().map(|(place, connection)| trace(played, place, connection)).collect()
}

fn trace(played: &Played, place: usize, connection: &Connection) -> Trace {
    let ports = connection.ports;
    let opens = |logged: &&Logged| {
        logged.connection == place
            && matches!(
                logged.what,
                Recorded::Call { told: Some(Call::Open { origin: Origin::Active, .. }), .. }
            )
    };
    let passive = !played.log.iter().any(|logged| opens(&logged));
    // Nanoseconds, then the order of the sources: a call and what it causes may share an instant.
    let mut timed: Vec<(u64, Source, Kind)> = Vec::new();
    for (at, logged) in played.log.iter().enumerate() {
        if let Some(kind) = told(logged, place, passive) {
            timed.push((logged.time, Source::Log(at), kind));
        }
    }
    let changes = played.account.changes();
    for (at, change) in changes.iter().enumerate() {
        if concerns(change, ports, passive) {
            timed.push((change.time, Source::Change(at), Kind::Transition(change.transition)));
        }
    }
    timed.sort_by_key(|(time, ..)| *time);
    timed.push((played.time.1, Source::End, Kind::Quiet));
    let began = played.time.0;
    timed
        .into_iter()
        .map(|(time, source, kind)| {
            (source, Observation { at: time.saturating_sub(began) / 1_000, kind })
        })
        .collect()
}

fn told(logged: &Logged, place: usize, passive: bool) -> Option<Kind> {
    let ours = logged.connection == place;
    match &logged.what {
        // The listener is everybody's.
        Recorded::Call { told: Some(call @ Call::Open { origin: Origin::Passive, .. }), .. } if passive => {
            Some(Kind::Call(*call))
        }
        Recorded::Call { told: Some(call), .. } if ours => {
            let other = matches!(call, Call::Open { origin: Origin::Passive, .. });
            (!other).then_some(Kind::Call(*call))
        }
        Recorded::Segment { parsed, from_kernel, arrives: true, .. } if ours => {
            Some(if *from_kernel { Kind::Sent(parsed.segment) } else { Kind::Received(parsed.segment) })
        }
        Recorded::Icmp { class, .. } if ours => Some(Kind::Icmp(*class)),
        _ => None,
    }
}

/// A connection's own changes, and for one that was accepted the listener's beginning.
fn concerns(change: &Change, ports: Ports, passive: bool) -> bool {
    let listener = Ports { peer: 0, ..ports };
    change.ports == ports || passive && change.ports == listener && change.transition.to == State::Listen
}
