//! The kernel's account of one world in the RFC's words: which connection was in which state, since when, and which
//! deviations its transitions showed.
//!
//! Linux spreads one connection of the RFC over several sockets: a listener, a request, a child, a timewait
//! minisocket. Here they become one again.

use std::{
    collections::{HashMap, HashSet},
    fs,
};

use model::{
    Seq, State, Verdict,
    linux::{DeviationId, LinuxState},
    oracle::{Numbers, Transition},
};
use rustix::time::{ClockId, clock_gettime};

use super::stream::{Stream, Subscription};
use crate::{
    checker::check,
    event::{Event, Flow, TimerAction},
    step::{Step, StepKind},
    tracker::{Limits, Tracker},
};

/// A connection by the port at each end. The addresses of a world are always the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ports {
    /// The kernel's.
    pub kernel: u16,
    /// The peer's; 0 for a listener.
    pub peer: u16,
}

impl Ports {
    fn of(flow: &Flow) -> Self {
        Self { kernel: flow.local.port(), peer: flow.remote.port() }
    }

    /// Those of the listener on the kernel's port.
    #[must_use]
    pub const fn listener(self) -> Self {
        Self { peer: 0, ..self }
    }
}

/// One change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// CLOCK_MONOTONIC, nanoseconds.
    pub time: u64,
    /// Of which connection.
    pub ports: Ports,
    /// What the oracle is shown.
    pub transition: Transition,
    /// What showed it: `tracepoint`, `request`, `minisocket` or `listing`.
    pub source: &'static str,
}

/// A deviation or violation that the judge of transitions found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// CLOCK_MONOTONIC, nanoseconds.
    pub time: u64,
    /// Of which connection.
    pub ports: Ports,
    /// The deviation, or the violation's name.
    pub what: Result<DeviationId, &'static str>,
}

/// Everything that was heard.
#[derive(Debug)]
pub struct Account {
    subscription: Subscription,
    tracker: Tracker,
    book: Book,
}

/// What the steps amount to.
#[derive(Debug, Default)]
struct Book {
    changes: Vec<Change>,
    judged: Vec<Judged>,
    states: HashMap<Ports, State>,
    /// Sockets whose place a minisocket has taken: their CLOSE is not the connection's. By cookie, and where the kernel
    /// gives none by their ports.
    replaced: HashSet<(u64, Ports)>,
    /// When children were born whose peer is not known yet, by the socket's address: old kernels fill it in later.
    nameless: HashMap<u64, u64>,
    /// Sockets that are about to connect over their own TIME-WAIT: the kernel tells before it asks whether it may.
    reopening: HashSet<Ports>,
    /// Orphans that wait in a minisocket for the peer's FIN.
    waiting: HashSet<Ports>,
    /// Those that the listing showed in TIME_WAIT, and when.
    listed: HashMap<Ports, u64>,
}

impl Account {
    /// The account of the namespace with this cookie, from now on.
    #[must_use]
    pub fn new(stream: &Stream, cookie: u64) -> Self {
        Self {
            subscription: stream.subscribe(cookie),
            tracker: Tracker::new(Limits { sockets: 1 << 16 }, stream.visible),
            book: Book::default(),
        }
    }

    /// Takes in what has come.
    pub fn update(&mut self) {
        let Self { subscription, tracker, book } = self;
        while let Some(event) = subscription.next() {
            tracker.observe(&event, &mut |step| book.take(&step));
        }
        tracker.flush(now(), &mut |step| book.take(&step));
    }

    /// Takes in whatever has happened so far, for which it waits. False: something may be missing.
    #[must_use]
    pub fn settle(&mut self) -> bool {
        let settled = self.subscription.settle();
        self.update();
        settled
    }

    /// The peer has just sent a FIN on a connection without a user. It turns the minisocket of an orphan into TIME_WAIT,
    /// and no hook tells: the kernel's listing does. True when it shows TIME_WAIT.
    pub fn fin_for_orphan(&mut self, ports: Ports) -> bool {
        let shows = is_in_time_wait(ports);
        if shows {
            let time = now();
            if self.book.waiting.contains(&ports) {
                self.book.found(time, ports);
            } else {
                // The first look counts: another FIN changes nothing.
                self.book.listed.entry(ports).or_insert(time);
            }
        }
        shows
    }

    /// The changes so far, in the order in which they were told; a minisocket's end may be told late.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.book.changes
    }

    /// What the judge of transitions found so far.
    #[must_use]
    pub fn judged(&self) -> &[Judged] {
        &self.book.judged
    }

    /// The state of a connection, CLOSED when nothing is known of it; a listener's own where only it exists.
    #[must_use]
    pub fn state(&self, ports: Ports) -> State {
        self.book.state(ports)
    }

    /// Events of the whole host that were lost since the stream began.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.subscription.lost()
    }
}

/// CLOCK_MONOTONIC, nanoseconds.
#[must_use]
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanoseconds.unwrap_or(0))
}

impl Book {
    fn state(&self, ports: Ports) -> State {
        let own = self.states.get(&ports);
        own.or_else(|| self.states.get(&ports.listener())).copied().unwrap_or(State::Closed)
    }

    fn take(&mut self, step: &Step<'_>) {
        let finding = check(step);
        let time = step.event.time;
        let ports = Ports::of(&step.flow());
        if let Some(judgement) = finding.judgement {
            let mut judge = |what| self.judged.push(Judged { time, ports, what });
            match judgement.verdict {
                Verdict::Deviation(id) => judge(Ok(id)),
                Verdict::Violation(id) => judge(Err(id.name())),
                Verdict::Conforming(_) | Verdict::Inconclusive(_) => {}
            }
            if let Some(noted) = judgement.noted {
                judge(Ok(noted));
            }
        }
        match &step.kind {
            StepKind::Transition { transition, evidence, .. } => {
                let numbers = match (transition.from, transition.to) {
                    // Nothing is chosen yet, or the numbers are still the listener's.
                    (LinuxState::Close | LinuxState::Listen, _) => Numbers::default(),
                    (LinuxState::SynRecv, LinuxState::FinWait1) => {
                        // The FIN is counted a moment later.
                        Numbers {
                            una: Some(Seq(evidence.una)),
                            nxt: None,
                            rcv_nxt: Some(Seq(evidence.rcv_nxt)),
                        }
                    }
                    // The peer's SYN, or the text beside the ACK, is counted a moment later.
                    (LinuxState::SynSent, LinuxState::SynRecv)
                    | (LinuxState::SynRecv, LinuxState::Established)
                    | (LinuxState::FinWait1, LinuxState::FinWait2) => {
                        Numbers { una: Some(Seq(evidence.una)), nxt: Some(Seq(evidence.nxt)), rcv_nxt: None }
                    }
                    _ => Numbers {
                        una: Some(Seq(evidence.una)),
                        nxt: Some(Seq(evidence.nxt)),
                        rcv_nxt: Some(Seq(evidence.rcv_nxt)),
                    },
                };
                self.transition(step.event, ports, (transition.from, transition.to), numbers);
            }
            StepKind::RequestBegun => self.enter(step.event, ports, State::SynReceived, "request"),
            StepKind::RequestEnded { completed: false, .. } => {
                // Given up after the last repetition, or refused.
                let expired = matches!(
                    step.event.what,
                    crate::event::What::Request { action: TimerAction::Expired, .. }
                );
                let to = if expired { State::Closed } else { State::Listen };
                self.enter(step.event, ports, to, "request");
            }
            StepKind::TimewaitBegun { substate, .. } => {
                self.replaced.insert(socket(step.event, ports));
                if *substate == LinuxState::TimeWait {
                    self.enter(step.event, ports, State::TimeWait, "minisocket");
                } else {
                    self.waiting.insert(ports);
                    // The record of the minisocket may come after what was seen of it.
                    if let Some(listed) = self.listed.remove(&ports).filter(|listed| *listed > time) {
                        self.found(listed, ports);
                    }
                }
            }
            StepKind::TimewaitConverted => self.found(step.event.time, ports),
            StepKind::TimewaitEnded { .. } => {
                self.waiting.remove(&ports);
                self.enter(step.event, ports, State::Closed, "minisocket");
                if self.reopening.remove(&ports) {
                    self.push(time, ports, State::SynSent, Numbers::default(), "tracepoint");
                }
            }
            _ => {}
        }
    }

    fn transition(
        &mut self,
        event: &Event,
        ports: Ports,
        (from, to): (LinuxState, LinuxState),
        numbers: Numbers,
    ) {
        let key = if to == LinuxState::Listen || from == LinuxState::Listen && to == LinuxState::Close {
            ports.listener()
        } else {
            ports
        };
        if let Some(born) = self.nameless.remove(&event.socket.address) {
            self.push(born, key, State::SynReceived, Numbers::default(), "tracepoint");
        }
        let to = match (from, to) {
            _ if from == to => return,
            (LinuxState::Listen, LinuxState::SynRecv) if ports.peer == 0 => {
                self.nameless.insert(event.socket.address, event.time);
                return;
            }
            // The child appears after the request did, or in its place with Fast Open and SYN cookies.
            (LinuxState::Listen, LinuxState::SynRecv) => {
                if self.states.get(&key).copied() == Some(State::SynReceived) {
                    return;
                }
                State::SynReceived
            }
            (LinuxState::Close, LinuxState::SynSent)
                if self.states.get(&key).copied() == Some(State::TimeWait) =>
            {
                self.reopening.insert(key);
                return;
            }
            // It may not (EADDRNOTAVAIL), and TIME-WAIT goes on.
            (LinuxState::SynSent, LinuxState::Close) if self.reopening.remove(&key) => return,
            (_, LinuxState::Close) if self.replaced.remove(&socket(event, ports)) => return,
            (_, to) => to.rfc(),
        };
        self.push(event.time, key, to, numbers, "tracepoint");
    }

    fn enter(&mut self, event: &Event, ports: Ports, to: State, source: &'static str) {
        self.push(event.time, ports, to, Numbers::default(), source);
    }

    fn found(&mut self, time: u64, ports: Ports) {
        if self.waiting.remove(&ports) {
            self.push(time, ports, State::TimeWait, Numbers::default(), "listing");
        }
    }

    fn push(&mut self, time: u64, ports: Ports, to: State, numbers: Numbers, source: &'static str) {
        let from = self.state(ports);
        if from == to {
            return;
        }
        self.states.insert(ports, to);
        self.changes.push(Change { time, ports, transition: Transition { from, to, numbers }, source });
    }
}

fn socket(event: &Event, ports: Ports) -> (u64, Ports) {
    match event.socket.cookie {
        0 => (0, ports),
        cookie => (cookie, Ports::default()),
    }
}

fn is_in_time_wait(ports: Ports) -> bool {
    ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"].into_iter().any(|file| {
        let table = fs::read_to_string(file).unwrap_or_default();
        table.lines().skip(1).any(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let (local, remote, state) = (fields.next(), fields.next(), fields.next());
            // 06: TIME_WAIT, as opposed to 05, FIN_WAIT2.
            state == Some("06") && port(local) == Some(ports.kernel) && port(remote) == Some(ports.peer)
        })
    })
}

fn port(address: Option<&str>) -> Option<u16> {
    u16::from_str_radix(address?.rsplit_once(':')?.1, 16).ok()
}
