//! Half-open requests: RFC SYN-RECEIVED of a passive open, known by their SYN+ACK timer alone.
//!
//! Born when the timer starts. Completed when it is cancelled in the softirq that has just cloned a child with the same
//! ends. Timed out when it expires and is not started again. Dropped when it is cancelled and nothing follows; then the
//! function that cancelled it, the listener's queue and an RST just before say why, and where they do not, nothing is
//! guessed.

use model::linux::LinuxState;
use tracer_ebpf::{Caller, Hook};

use super::{Tracker, cpu::Answered, name};
use crate::{
    event::{Event, Flow, RequestEnd, TimerAction, What},
    step::{HandshakeResult, Role, Step, StepKind, Untimed},
};

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    /// When it was born, or first seen.
    pub(super) since: u64,
    pub(super) netns: u64,
    pub(super) flow: Flow,
    /// Its birth was seen.
    pub(super) whole: bool,
    /// Its address is known.
    pub(super) placed: bool,
    /// The RST that its listener sent just before the timer stopped.
    answered: Option<Answered>,
}

impl Request {
    /// Listed; it was there at `since` already, or came while the kernel looked.
    pub(super) const fn adopted(event: &Event, since: u64) -> Self {
        let placed = event.socket.address != 0;
        Self { whole: false, placed, since, ..Self::new(event) }
    }

    const fn new(event: &Event) -> Self {
        Self {
            since: event.time,
            netns: event.socket.netns,
            flow: event.flow,
            whole: true,
            placed: true,
            answered: None,
        }
    }

    fn lived(&self, until: &Event) -> Option<u64> {
        self.whole.then(|| until.time.saturating_sub(self.since))
    }
}

impl Tracker {
    pub(super) fn request(
        &mut self,
        event: &Event,
        cpu: usize,
        action: TimerAction,
        synack_time: u64,
        each: &mut impl FnMut(Step<'_>),
    ) {
        let stopped = self.cpus.get(cpu).pending.take();
        let known = self.requests.contains_key(&event.socket.address);
        if action == TimerAction::Started && stopped.is_none() && known {
            self.resolve_elsewhere(event, cpu, each);
        }
        if let Some(known) = self.requests.get_mut(&event.socket.address) {
            // The listing has overtaken this event: the birth of what it listed, or something of one before.
            let is_early = event.time < known.since;
            let is_birth = action == TimerAction::Started && stopped.is_none() && !known.whole;
            if is_birth && (is_early || event.time < self.listed) {
                *known = Request { since: event.time, whole: true, ..*known };
                each(Step { event, connection: None, kind: StepKind::RequestBegun });
                return;
            }
            if is_early {
                return;
            }
        }
        // The memory of a request that has just been dropped may be the next request.
        if let Some(stopped) = stopped.as_ref().filter(|stopped| !is_same_request(stopped, synack_time))
            && let What::Request { action: stopped_by, .. } = stopped.what
            && action == TimerAction::Started
        {
            self.request_dropped(stopped, stopped_by == TimerAction::Expired, each);
            self.begin_request(event, each);
            return;
        }
        match action {
            TimerAction::Started if stopped.is_some() => {}
            TimerAction::Started => {
                // The end of the one before at this address was lost.
                self.end_request(event, false, each);
                self.begin_request(event, each);
            }
            TimerAction::Cancelled if self.complete(event, cpu, synack_time, each) => {}
            TimerAction::Cancelled | TimerAction::Expired => {
                let slot = self.cpus.get(cpu);
                slot.pending = Some(event.clone());
                let answered = slot.answered.take().filter(|answered| answered.is_for(event));
                if let Some(known) = self.requests.get_mut(&event.socket.address) {
                    known.answered = answered;
                }
            }
        }
    }

    fn begin_request(&mut self, event: &Event, each: &mut impl FnMut(Step<'_>)) {
        if !self.has_room() {
            return;
        }
        self.requests.insert(event.socket.address, Request::new(event));
        self.books.enter(LinuxState::NewSynRecv, event.flow.family, event.socket.netns);
        each(Step { event, connection: None, kind: StepKind::RequestBegun });
    }

    /// True when the request has just become a child, which learns from it when the handshake began.
    fn complete(
        &mut self,
        event: &Event,
        cpu: usize,
        synack_time: u64,
        each: &mut impl FnMut(Step<'_>),
    ) -> bool {
        let Some(newborn) = self.cpus.get(cpu).newborn else { return false };
        let Some(id) = self.connections.find(newborn.key) else { return false };
        let Some(child) = self.connections.get_mut(id) else { return false };
        if child.netns != event.socket.netns || !child.ends.fit(&event.flow) {
            return false;
        }
        child.request_seen = true;
        child.refresh(&event.flow);
        let request = self.requests.get(&event.socket.address);
        // The time of the first SYN+ACK, in microseconds, is a moment after the SYN: the next best.
        child.opened = match request {
            Some(Request { since, whole: true, .. }) => *since,
            _ => synack_time.saturating_mul(1000),
        };
        let adopted = request.is_some_and(|request| !request.whole);
        child.untimed = Some(if adopted { Untimed::Adopted } else { Untimed::LostEvent });
        self.end_request(event, true, each);
        true
    }

    /// Nothing came after the timer had stopped.
    pub(super) fn request_dropped(&mut self, event: &Event, expired: bool, each: &mut impl FnMut(Step<'_>)) {
        let Some(request) = self.requests.get(&event.socket.address) else { return };
        let duration = request.lived(event).ok_or(Untimed::Adopted);
        let What::Request { end, .. } = event.what else { return };
        let result = if expired {
            expiry(&end)
        } else {
            drop_by(&end, request.answered, self.sight.whole(Hook::SendReset, event.time))
        };
        self.end_request(event, false, each);
        let kind = StepKind::Handshake { role: Role::Server, result, duration };
        each(Step { event, connection: None, kind });
    }

    pub(super) fn end_request(&mut self, event: &Event, completed: bool, each: &mut impl FnMut(Step<'_>)) {
        let name = name(&event.socket);
        let Some(ended) = self.requests.remove(&name) else { return };
        self.unplaced -= usize::from(!ended.placed);
        if let Some(names) = &mut self.ended {
            names.request(ended.netns, ended.flow);
        }
        self.books.leave(LinuxState::NewSynRecv, ended.flow.family, ended.netns);
        let kind = StepKind::RequestEnded { completed, lived: ended.lived(event) };
        each(Step { event, connection: None, kind });
    }
}

/// Nobody has come in time.
const fn expiry(end: &RequestEnd) -> HandshakeResult {
    if end.listener_gone {
        // reqsk_timer_handler() gives up a request whose listener is gone.
        return HandshakeResult::Aborted;
    }
    match (end.acknowledged && !end.deferred, end.listener_full) {
        // The peer's last ACK was put off for want of room until the time was over.
        (true, true) => HandshakeResult::Overflow,
        // It was put off, but there is room now: it may have been for want of memory.
        (true, false) => HandshakeResult::Other,
        (false, _) => HandshakeResult::Timeout,
    }
}

/// Something has stopped the timer for good. `answered`: the listener's RST just before; `resets_seen`: none means none.
const fn drop_by(end: &RequestEnd, answered: Option<Answered>, resets_seen: bool) -> HandshakeResult {
    match (end.caller, answered) {
        // tcp_check_req(): a second SYN gets an RST, and so does an ACK that no child can be made of where
        // tcp_abort_on_overflow is on. An RST gets no answer.
        (Caller::CheckRequest, Some(Answered { syn: true, .. })) => HandshakeResult::Reset,
        (Caller::CheckRequest, Some(_)) if end.listener_full => HandshakeResult::Overflow,
        (Caller::CheckRequest, None) if resets_seen => HandshakeResult::Reset,
        (Caller::RequestError, _) => HandshakeResult::Unreachable,
        (Caller::Abort | Caller::Purge, _) => HandshakeResult::Aborted,
        (Caller::Receive, _) if end.listener_gone => HandshakeResult::Aborted,
        _ => HandshakeResult::Other,
    }
}

/// True when the request whose timer was stopped is the one whose timer starts: a request that is born has sent no
/// SYN+ACK yet, and the time of the first one stays.
fn is_same_request(stopped: &Event, synack_time: u64) -> bool {
    matches!(stopped.what, What::Request { synack_time: before, .. } if before == synack_time)
}
