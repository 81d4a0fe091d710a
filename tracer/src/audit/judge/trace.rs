//! A run as the oracle wants it: for each connection everything that was seen of the kernel's end, in order.

use model::{
    State,
    event::{Call, Origin},
    oracle::{Kind, Numbers, Observation, Transition},
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
    /// Time that went by, or a listener that takes over.
    End,
}

/// What one segment causes happens within this time, nanoseconds.
const AT_ONCE: u64 = 50_000;

/// One connection's observations.
pub type Trace = Vec<(Source, Observation)>;

/// The trace of each connection.
#[must_use]
pub fn traces(played: &Played) -> Vec<Trace> {
    played
        .connections
        .iter()
        .enumerate()
        .map(|(place, connection)| trace(played, place, connection))
        .collect()
}

fn trace(played: &Played, place: usize, connection: &Connection) -> Trace {
    let ports = connection.ports;
    let opens = |logged: &&Logged| {
        logged.connection == place
            && matches!(&logged.what, Recorded::Call { told, .. } if told.iter().any(opens_actively))
    };
    let passive = !played.log.iter().any(|logged| opens(&logged));
    // Nanoseconds, then the order of the sources: a call and what it causes may share an instant.
    let mut timed: Vec<(u64, Source, Kind)> = Vec::new();
    let changes: Vec<(usize, &Change)> = played
        .account
        .changes()
        .iter()
        .enumerate()
        .filter(|(_, change)| {
            concerns(change, ports, passive) || ends_listening(played, place, ports, change)
        })
        .collect();
    let ends = Ends::new(played, place, &changes);
    for (at, logged) in played.log.iter().enumerate() {
        let kinds = told(logged, place, passive).into_iter();
        let kinds = kinds.filter(|kind| !ends.outlived(logged.time, kind));
        timed.extend(kinds.map(|kind| (logged.time, Source::Log(at), kind)));
    }
    let arrivals: Vec<u64> = timed
        .iter()
        .filter(|(_, _, kind)| matches!(kind, Kind::Received(_)))
        .map(|(time, ..)| *time)
        .collect();
    let listen = timed.iter().find_map(|(_, _, kind)| match kind {
        Kind::Call(call @ Call::Open { origin: Origin::Passive, .. }) => Some(*call),
        _ => None,
    });
    let mut listens_again = false;
    for (place, (at, change)) in changes.iter().enumerate() {
        let mut transition = change.transition;
        if std::mem::take(&mut listens_again) {
            transition.from = State::Listen;
        }
        timed.push((change.time, Source::Change(*at), Kind::Transition(transition)));
        let next = changes.get(place + 1).map_or(u64::MAX, |(_, next)| next.time);
        let arrival = arrivals.iter().copied().find(|arrival| *arrival > change.time).unwrap_or(u64::MAX);
        // What comes after the end meets the listener. Nothing does when the next change follows by itself: a SYN has
        // ended TIME-WAIT and opens anew.
        if let Some(call) = listen
            && transition.to == State::Closed
            && change.ports == ports
            && (arrival < next || next == u64::MAX)
        {
            listens_again = true;
            let again = Transition { from: State::Closed, to: State::Listen, numbers: Numbers::default() };
            let time = (change.time + AT_ONCE).min(arrival.saturating_sub(1));
            timed.push((time, Source::End, Kind::Call(call)));
            timed.push((time, Source::End, Kind::Transition(again)));
        }
    }
    timed.sort_by_key(|(time, ..)| *time);
    timed.push((played.time.1, Source::End, Kind::Quiet));
    let began = played.time.0;
    timed
        .into_iter()
        .map(|(time, source, kind)| (source, Observation { at: time.saturating_sub(began) / 1_000, kind }))
        .collect()
}

/// When the connections that the user has accepted were accepted and ended. What the user does with a socket afterwards
/// means nothing to the listener that takes over.
struct Ends(Vec<(u64, u64)>);

impl Ends {
    fn new(played: &Played, place: usize, changes: &[(usize, &Change)]) -> Self {
        let accepts = played.log.iter().filter(|logged| {
            let accepted = matches!(&logged.what, Recorded::Call { call, result, .. }
                if call == "accept" && result == "ok");
            logged.connection == place && accepted
        });
        let begun = changes.iter().filter(|(_, change)| {
            change.transition.from == State::SynReceived && change.transition.to == State::Established
        });
        let ends = begun.map(|(_, begun)| {
            let after = changes
                .iter()
                .find(|(_, change)| change.time > begun.time && change.transition.to == State::Closed);
            after.map_or(u64::MAX, |(_, end)| end.time)
        });
        Self(accepts.map(|accept| accept.time).zip(ends).collect())
    }

    /// A call on a socket whose connection has ended.
    fn outlived(&self, time: u64, kind: &Kind) -> bool {
        let Kind::Call(call) = kind else { return false };
        let last = self.0.iter().rev().find(|(accepted, _)| *accepted < time);
        !matches!(call, Call::Open { .. }) && last.is_some_and(|(_, end)| *end < time)
    }
}

fn told(logged: &Logged, place: usize, passive: bool) -> Vec<Kind> {
    let ours = logged.connection == place;
    match &logged.what {
        Recorded::Call { told, .. } => {
            // The listener is everybody's.
            let concerned = |call: &&Call| if opens_passively(call) { passive } else { ours };
            told.iter().filter(concerned).map(|call| Kind::Call(*call)).collect()
        }
        Recorded::Segment { parsed, from_kernel, arrives: true, .. } if ours => {
            vec![if *from_kernel { Kind::Sent(parsed.segment) } else { Kind::Received(parsed.segment) }]
        }
        Recorded::Icmp { class, .. } if ours => vec![Kind::Icmp(*class)],
        _ => Vec::new(),
    }
}

const fn opens_actively(call: &Call) -> bool {
    matches!(call, Call::Open { origin: Origin::Active, .. })
}

const fn opens_passively(call: &Call) -> bool {
    matches!(call, Call::Open { origin: Origin::Passive, .. })
}

/// The user has closed the listener while it was this connection's place, too: nothing of its own stood in the way.
fn ends_listening(played: &Played, place: usize, ports: Ports, change: &Change) -> bool {
    if change.ports != ports.listener() || change.transition.to != State::Closed {
        return false;
    }
    let closed = played.log.iter().any(|logged| {
        logged.connection == place
            && logged.time <= change.time
            && matches!(&logged.what, Recorded::Call { told, .. } if told.contains(&Call::Abort))
    });
    let before = played.account.changes().iter().take_while(|other| !std::ptr::eq(*other, change));
    let stood = before.filter(|other| other.ports == ports).last();
    closed && stood.is_none_or(|stood| matches!(stood.transition.to, State::Closed | State::Listen))
}

/// A connection's own changes, and for one that was accepted the listener's beginning.
fn concerns(change: &Change, ports: Ports, passive: bool) -> bool {
    change.ports == ports
        || passive && change.ports == ports.listener() && change.transition.to == State::Listen
}
