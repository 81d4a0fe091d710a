//! Transitions that only what the kernel does next explains.
//!
//! An orphan goes from FIN_WAIT2 to CLOSE without a minisocket when there is no room for one, and when its last segment
//! brings data that nobody will read. The fields are the same; in the second case tcp_v4_do_rcv() answers with a reset
//! before that CPU does anything else of TCP. So the step waits for the next event there.

use model::{
    Inconclusive,
    linux::{Evidence, History, LinuxState, Owner, ResetReason, Transition, judge},
};
use tracer_ebpf::Hook;

use super::{Connection, Tracker, transition::time_wait_skipped};
use crate::{
    event::{Event, What},
    step::{Step, StepKind},
};

/// One of them.
#[derive(Debug)]
pub(super) struct Held {
    event: Event,
    /// As it was right after the transition: it is gone when the step is told.
    connection: Connection,
    transition: Transition,
    evidence: Evidence,
    history: History,
    spent: Option<u64>,
}

impl Held {
    /// `None` when the transition explains itself, or when nothing that follows can explain it.
    pub(super) fn new(
        event: &Event,
        connection: &Connection,
        transition: Transition,
        evidence: &Evidence,
        history: &History,
        hole: Option<Inconclusive>,
        spent: Option<u64>,
    ) -> Option<Self> {
        let is_orphan = transition == Transition::new(LinuxState::FinWait2, LinuxState::Close)
            && evidence.dead
            && evidence.owner == Some(Owner::Softirq);
        let sees = history.timewait_visible && history.resets_visible && hole.is_none();
        (is_orphan && sees && judge(transition, evidence, history).cause.is_none()).then(|| Self {
            event: event.clone(),
            connection: connection.clone(),
            transition,
            evidence: *evidence,
            history: *history,
            spent,
        })
    }

    pub(super) const fn time(&self) -> u64 {
        self.event.time
    }

    /// True when the event belongs to the same step of the kernel: tcp_done() destroys an orphan at once.
    pub(super) fn goes_on(&self, event: &Event) -> bool {
        matches!(event.what, What::Destroyed { .. }) && event.socket == self.event.socket
    }
}

impl Tracker {
    /// Tells the step, now that `next` has come on its CPU, or nothing.
    pub(super) fn release(&self, held: Held, next: Option<&Event>, each: &mut impl FnMut(Step<'_>)) {
        let Held { event, connection, transition, evidence, mut history, spent } = held;
        let is_reset = |next: &Event| {
            matches!(next.what, What::ResetSent { .. }) && next.socket.address == event.socket.address
        };
        if next.is_some_and(is_reset) {
            // Old kernels give no reason; no other reset comes this late.
            history.reset_sent = Some(ResetReason::AbortOnData);
        } else {
            history.settled = self.sight.whole(Hook::SendReset, event.time);
        }
        let connection = Some(&connection);
        let step = |kind| Step { event: &event, connection, kind };
        each(step(StepKind::Transition { transition, evidence, history, hole: None, spent }));
        if time_wait_skipped(transition, &evidence, &history, None) {
            each(step(StepKind::TimewaitSkipped));
        }
    }
}
