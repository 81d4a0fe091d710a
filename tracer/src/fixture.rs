//! Findings for the tests of filters and sinks.

use model::{
    Verdict,
    linux::{Evidence, History, Judgement, LinuxState, Transition},
};
use tracer_ebpf::Hook;

use crate::{
    event::{Event, Family, Flow, SocketId, Task, What},
    step::{Finding, Step, StepKind},
};

/// An event, what it is a step of, and how that was judged.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The event.
    pub event: Event,
    /// The step.
    pub kind: StepKind,
    /// The judgement.
    pub judgement: Option<Judgement>,
}

impl Seen {
    /// A transition in softirq, not judged yet.
    pub fn transition(local: &str, remote: &str, from: &str, to: &str) -> Self {
        let state = |name| LinuxState::from_name(name).unwrap();
        let transition = Transition { from: state(from), to: state(to) };
        let evidence =
            Evidence { una: 1001, nxt: 1002, write_seq: 1003, rcv_nxt: 2001, ..Evidence::default() };
        let (local, remote): (std::net::SocketAddr, _) = (local.parse().unwrap(), remote.parse().unwrap());
        let family = if local.is_ipv6() { Family::Ipv6 } else { Family::Ipv4 };
        Self {
            event: Event {
                time: 5_000_000_000,
                hook: Hook::State,
                copy: 0,
                cpu: 0,
                socket: SocketId { cookie: 77, address: 0xffff_8880_0000_0000, netns: 1 },
                flow: Flow { family, local, remote },
                task: None,
                what: What::Transition { transition, evidence, srtt: 0 },
            },
            kind: StepKind::Transition {
                transition,
                evidence,
                history: History::default(),
                hole: None,
                spent: None,
            },
            judgement: None,
        }
    }

    /// At this time, nanoseconds.
    pub fn at(mut self, time: u64) -> Self {
        self.event.time = time;
        self
    }

    /// Done by this task.
    pub fn task(mut self, pid: u32, name: &str) -> Self {
        let mut comm = [0; 16];
        comm[..name.len()].copy_from_slice(name.as_bytes());
        self.event.task = Some(Task { pid, tid: pid, comm });
        self
    }

    /// In this namespace.
    pub fn netns(mut self, netns: u64) -> Self {
        self.event.socket.netns = netns;
        self
    }

    /// Nanoseconds in the state that was left.
    pub fn spent(mut self, nanoseconds: u64) -> Self {
        if let StepKind::Transition { spent, .. } = &mut self.kind {
            *spent = Some(nanoseconds);
        }
        self
    }

    /// Judged so.
    pub fn verdict(mut self, verdict: Verdict) -> Self {
        self.judgement = Some(Judgement { verdict, cause: None, noted: None, edges: &[] });
        self
    }

    /// The same event as a step of another kind, which is not judged.
    pub fn into_step(mut self, kind: StepKind) -> Self {
        self.kind = kind;
        self.judgement = None;
        self
    }

    /// Shows the finding.
    pub fn with_finding<T>(&self, show: impl FnOnce(&Finding<'_>) -> T) -> T {
        let step = Step { event: &self.event, connection: None, kind: self.kind };
        show(&Finding { step: &step, judgement: self.judgement })
    }
}
