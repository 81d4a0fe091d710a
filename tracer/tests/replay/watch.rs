//! Events through tracker and checker, with everything that came out kept.

use model::{
    Inconclusive, Verdict,
    linux::{History, LinuxState, Transition},
};
use tracer::{
    checker,
    event::{Event, Family, Task},
    step::{HandshakeResult, Role, Step, StepKind, TimewaitEnd, Untimed},
    tracker::{Connection, Hooks, Limits, Tracker},
};

/// What came out for one step.
#[derive(Clone, Debug)]
pub struct Told {
    pub cookie: u64,
    pub kind: StepKind,
    pub verdict: Option<Verdict>,
    pub state: Option<LinuxState>,
    pub owner: Option<Task>,
    pub ports: (u16, u16),
}

pub struct Watch {
    pub tracker: Tracker,
    pub told: Vec<Told>,
}

impl Watch {
    pub fn new() -> Self {
        Self::with(Limits::default(), Hooks::all())
    }

    pub fn with(limits: Limits, hooks: Hooks) -> Self {
        Self { tracker: Tracker::new(limits, hooks), told: Vec::new() }
    }

    pub fn of(events: &[Event]) -> Self {
        let mut watch = Self::new();
        watch.see(events);
        watch
    }

    pub fn see(&mut self, events: &[Event]) -> &mut Self {
        let Self { tracker, told } = self;
        for event in events {
            tracker.observe(event, &mut |step| told.push(tell(&step)));
            assert_eq!(tracker.books().total(), tracker.len() as u64, "after {event:?}");
        }
        self
    }

    pub fn adopt(&mut self, events: &[Event]) -> &mut Self {
        for event in events {
            self.tracker.adopt(event);
        }
        self
    }

    /// The end of a batch, and of an empty one.
    pub fn flush(&mut self, now: u64) -> &mut Self {
        let Self { tracker, told } = self;
        for _ in 0..2 {
            tracker.flush(now, &mut |step| told.push(tell(&step)));
        }
        self
    }

    pub fn transitions(&self) -> impl Iterator<Item = (Transition, Option<Inconclusive>, &Told)> {
        self.told.iter().filter_map(|told| match told.kind {
            StepKind::Transition { transition, hole, .. } => Some((transition, hole, told)),
            _ => None,
        })
    }

    pub fn histories(&self) -> Vec<History> {
        let history = |told: &Told| match told.kind {
            StepKind::Transition { history, .. } => Some(history),
            _ => None,
        };
        self.told.iter().filter_map(history).collect()
    }

    /// `EST>FW1 conforming`, one line per transition of a cookie.
    pub fn lines(&self, cookie: u64) -> Vec<String> {
        self.transitions()
            .filter(|(_, _, told)| told.cookie == cookie)
            .map(|(transition, _, told)| format!("{transition} {}", told.verdict.unwrap().name()))
            .collect()
    }

    pub fn handshakes(&self) -> Vec<(Role, HandshakeResult, Result<u64, Untimed>)> {
        let handshake = |told: &Told| match told.kind {
            StepKind::Handshake { role, result, duration } => Some((role, result, duration)),
            _ => None,
        };
        self.told.iter().filter_map(handshake).collect()
    }

    pub fn ends(&self) -> Vec<(LinuxState, TimewaitEnd, Option<u64>)> {
        let end = |told: &Told| match told.kind {
            StepKind::TimewaitEnded { substate, cause, lived } => Some((substate, cause, lived)),
            _ => None,
        };
        self.told.iter().filter_map(end).collect()
    }

    pub fn count(&self, which: impl Fn(&StepKind) -> bool) -> usize {
        self.told.iter().filter(|told| which(&told.kind)).count()
    }

    pub fn inconclusive(&self) -> Vec<Inconclusive> {
        let cause = |told: &Told| match told.verdict {
            Some(Verdict::Inconclusive(cause)) => Some(cause),
            _ => None,
        };
        self.told.iter().filter_map(cause).collect()
    }

    pub fn violations(&self) -> Vec<&Told> {
        self.told.iter().filter(|told| told.verdict.is_some_and(Verdict::is_violation)).collect()
    }

    pub fn sockets(&self, state: LinuxState) -> u64 {
        Family::ALL.into_iter().map(|family| self.tracker.books().get(state, family)).sum()
    }

    pub fn fin_wait2_minisockets(&self) -> u64 {
        Family::ALL.into_iter().map(|family| self.tracker.books().fin_wait2_minisockets(family)).sum()
    }

    /// Whatever was lost: what has begun has ended or is there now. Only for streams without a listing.
    pub fn books_balance(&self) {
        let begun = |substate| {
            self.count(|kind| matches!(kind, StepKind::TimewaitBegun { substate: s, .. } if *s == substate))
        };
        let ended = |substate| {
            self.count(|kind| matches!(kind, StepKind::TimewaitEnded { substate: s, .. } if *s == substate))
        };
        let converted = self.count(|kind| *kind == StepKind::TimewaitConverted);
        let entered = begun(LinuxState::TimeWait) + converted;
        let left = ended(LinuxState::TimeWait) as u64 + self.sockets(LinuxState::TimeWait);
        assert_eq!(entered as u64, left, "TIME_WAIT");
        let left = (ended(LinuxState::FinWait2) + converted) as u64 + self.fin_wait2_minisockets();
        assert_eq!(begun(LinuxState::FinWait2) as u64, left, "FIN_WAIT2 minisockets");
        let requests = self.count(|kind| *kind == StepKind::RequestBegun) as u64;
        let ended = self.count(|kind| matches!(kind, StepKind::RequestEnded { .. })) as u64;
        assert_eq!(requests, ended + self.sockets(LinuxState::NewSynRecv), "requests");
        assert_eq!(self.tracker.books().total(), self.tracker.len() as u64);
    }
}

fn tell(step: &Step<'_>) -> Told {
    let finding = checker::check(step);
    let Step { event, connection, kind } = *finding.step;
    let flow = connection.map_or(event.flow, Connection::flow);
    Told {
        cookie: event.socket.cookie,
        kind,
        verdict: finding.judgement.map(|judgement| judgement.verdict),
        state: connection.map(|connection| connection.state),
        owner: connection.and_then(|connection| connection.owner),
        ports: (flow.local.port(), flow.remote.port()),
    }
}
