//! Transitions of full sockets: continuity, births, and what each one says of its handshake.

use model::{
    Inconclusive,
    linux::{
        CloseCause, Evidence, History,
        LinuxState::{
            Close, CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv, SynSent,
        },
        Origin, SocketError, Transition, judge,
    },
};
use tracer_ebpf::Hook;

use super::{
    Connection, Tracker,
    cpu::{DOUBLED, ListenerClosed, Newborn},
    handshake,
    held::Held,
    hooks::Sight,
    key,
};
use crate::{
    event::Event,
    step::{HandshakeResult, Role, Step, StepKind, Untimed},
};

/// A child of a SYN cookie goes from LISTEN > SYN_RECV to ESTABLISHED in one softirq, within this time, nanoseconds.
const ONE_SOFTIRQ: u64 = 1_000_000;

/// A listener closes its children right after itself, nanoseconds.
const LISTENER_STOPS: u64 = 1_000_000_000;

/// What a handshake's outcome is made of.
struct Attempt {
    transition: Transition,
    origin: Option<Origin>,
    opened: u64,
    untimed: Option<Untimed>,
    adopted: bool,
    hole: Option<Inconclusive>,
    may_be_fast_open: bool,
    /// The child was cloned in the same softirq.
    same_softirq: bool,
    since: u64,
}

impl Tracker {
    pub(super) fn transition(
        &mut self,
        event: &Event,
        cpu: usize,
        transition: Transition,
        evidence: &Evidence,
        each: &mut impl FnMut(Step<'_>),
    ) {
        let Some(key) = self.key_of(event, transition) else { return };
        let found = self.connections.find(key).or_else(|| self.renamed_newborn(event, cpu, transition, key));
        let Some(id) = found.or_else(|| self.first_sight(event, key, transition)) else {
            return self.untracked(event, transition, evidence, each);
        };
        let Some(known) = self.connections.get(id) else { return };
        if found.is_some() {
            if is_doubled(known, event, transition, evidence) {
                return each(Step { event, connection: Some(known), kind: StepKind::Duplicate });
            }
            // The listing has seen more than this event: it tells nothing new of the socket's state.
            let listed = known.hole == Some(Inconclusive::Adopted) && known.previous.is_none();
            if listed && event.time < known.since && transition.from != known.state {
                return self.overtaken(event, id, transition, evidence, each);
            }
        }
        self.advance(event, cpu, id, found.is_none(), transition, evidence, each);
    }

    /// What the socket is remembered by. Up to 6.12 a child is announced while it has its listener's cookie: it goes by its
    /// address until it has its own.
    fn key_of(&self, event: &Event, transition: Transition) -> Option<u64> {
        let key = key(&event.socket)?;
        let is_clone = transition == Transition::new(Listen, SynRecv) && event.socket.address != 0;
        let is_listener = |id| self.connections.get(id).is_some_and(|known| known.state == Listen);
        let has_listeners = is_clone && self.connections.find(key).is_some_and(is_listener);
        Some(if has_listeners { event.socket.address } else { key })
    }

    /// The transition of a tracked socket.
    #[expect(clippy::too_many_arguments, reason = "one event, taken apart once")]
    fn advance(
        &mut self,
        event: &Event,
        cpu: usize,
        id: u32,
        first: bool,
        transition: Transition,
        evidence: &Evidence,
        each: &mut impl FnMut(Step<'_>),
    ) {
        let listener_closed = self.cpus.get(cpu).listener_closed;
        if event.socket.cookie == 0 && matches!((transition.from, transition.to), (FinWait2 | Closing, Close))
        {
            self.take_over(event, id);
        }
        let Some(known) = self.connections.get(id) else { return };
        let opens = transition.from == Close && matches!(transition.to, SynSent | Listen);
        let cloned = transition == Transition::new(Listen, SynRecv) && (first || known.state != Listen);
        let born = opens || cloned;
        let continuous = first || transition.from == known.state;
        let hole = match (continuous, known.hole) {
            (false, _) => Some(Inconclusive::LostEvent),
            (true, _) if born => None,
            (true, hole) => hole,
        };
        let spent = (continuous && known.entered).then(|| event.time.saturating_sub(known.since));
        let mut history = history_of(known, &self.sight, listener_closed, event, transition);
        if born || !continuous {
            history = History { previous: None, origin: None, adopted: false, ..history };
        }
        // Still opening: the outcome is yet to come.
        let opening = matches!(transition.from, SynSent | SynRecv);
        let lost_outcome =
            (!continuous && known.opening && !opening).then(|| lost_outcome(known, transition));

        let slot = self.cpus.get(cpu);
        let newborn = slot.newborn.take();
        let same_softirq = newborn.is_some_and(|child| {
            child.key == known.key && event.time.saturating_sub(child.time) < ONE_SOFTIRQ
        });
        slot.connecting = None;
        let time = event.time;
        match (transition.from, transition.to) {
            (Close, SynSent) => slot.connecting = Some(known.key),
            (Listen, SynRecv) => {
                slot.newborn = Some(Newborn { key: known.key, address: event.socket.address, time });
            }
            (Listen, Close) => {
                let (netns, port) = (event.socket.netns, known.ends.local_port());
                slot.listener_closed = Some(ListenerClosed { netns, port, time });
            }
            _ => {}
        }

        let Some(connection) = self.connections.get_mut(id) else { return };
        let (left, family, netns) = (connection.state, connection.family(), connection.netns);
        if born {
            begin_life(connection, event, transition, evidence);
        } else if !continuous {
            forget_facts(connection);
            connection.opening = opening;
        }
        let attempt = Attempt {
            transition,
            origin: connection.origin,
            opened: connection.opened,
            untimed: connection.untimed,
            adopted: connection.adopted,
            hole,
            may_be_fast_open: connection.may_be_fast_open,
            same_softirq,
            since: connection.since,
        };
        let opening = connection.opening || first;
        connection.take(event, transition, evidence, spent);
        let result = cause_of_failure(transition, evidence, &history, hole);
        let result = result.filter(|_| opening);
        if result.is_some() {
            connection.opening = false;
        }
        self.books.leave(left, family, netns);
        let Some(connection) = self.connections.get(id) else { return };
        self.books.enter(transition.to, connection.family(), netns);
        let connection = Some(connection);
        let step = |kind| Step { event, connection, kind };
        let held =
            connection.and_then(|known| Held::new(event, known, transition, evidence, &history, hole, spent));
        let is_held = held.is_some();
        if is_held {
            self.cpus.get(cpu).held = held;
        } else {
            each(step(StepKind::Transition { transition, evidence: *evidence, history, hole, spent }));
        }
        if let Some(kind) = lost_outcome {
            each(step(kind));
        }
        if let Some(Outcome(result)) = result {
            each(step(self.outcome(event, &attempt, evidence, result)));
        }
        if !is_held && time_wait_skipped(transition, evidence, &history, hole) {
            each(step(StepKind::TimewaitSkipped));
        }
        if transition.to == Close {
            self.connections.closed(id, event.time);
            while let Some(stale) = self.connections.stale(false) {
                self.forget(stale);
            }
        }
    }

    /// An unknown socket: a new one, or one whose beginning was not seen. `None` when there is no room.
    fn first_sight(&mut self, event: &Event, key: u64, transition: Transition) -> Option<u32> {
        if !self.has_room() {
            return None;
        }
        let mut connection =
            Connection::new(key, event.socket.netns, &event.flow, transition.from, event.time);
        if !is_birth(transition) {
            connection.adopted = true;
            connection.hole = Some(self.unseen_beginning());
        }
        let family = connection.family();
        let id = self.connections.insert(connection)?;
        // It enters the books where the transition takes it from, and leaves that place at once.
        self.books.enter(transition.from, family, event.socket.netns);
        Some(id)
    }

    /// Why a socket is known neither by its birth nor by the listing.
    const fn unseen_beginning(&self) -> Inconclusive {
        if self.sight.ever_lost(Hook::State) { Inconclusive::LostEvent } else { Inconclusive::Adopted }
    }

    /// Some kernels give a child its cookie only after its first transition (inet_csk_clone_lock copies the
    /// request's, which has none): the same socket shows up under another one.
    fn renamed_newborn(
        &mut self,
        event: &Event,
        cpu: usize,
        transition: Transition,
        key: u64,
    ) -> Option<u32> {
        let newborn = self.cpus.get(cpu).newborn?;
        if transition.from != SynRecv || newborn.address != event.socket.address {
            return None;
        }
        let id = self.connections.find(newborn.key)?;
        self.connections.rename(id, key);
        self.cpus.get(cpu).newborn = Some(Newborn { key, ..newborn });
        Some(id)
    }

    /// There is no room for the socket: counted, not judged.
    fn untracked(
        &mut self,
        event: &Event,
        transition: Transition,
        evidence: &Evidence,
        each: &mut impl FnMut(Step<'_>),
    ) {
        self.unremembered(
            event,
            None,
            transition,
            evidence,
            Inconclusive::TableFull,
            Untimed::LostEvent,
            each,
        );
    }

    /// The listing came after this event: counted, and the state stays as listed.
    fn overtaken(
        &mut self,
        event: &Event,
        id: u32,
        transition: Transition,
        evidence: &Evidence,
        each: &mut impl FnMut(Step<'_>),
    ) {
        self.unremembered(
            event,
            Some(id),
            transition,
            evidence,
            Inconclusive::Adopted,
            Untimed::Adopted,
            each,
        );
    }

    #[expect(clippy::too_many_arguments, reason = "one event, taken apart once")]
    fn unremembered(
        &self,
        event: &Event,
        id: Option<u32>,
        transition: Transition,
        evidence: &Evidence,
        hole: Inconclusive,
        untimed: Untimed,
        each: &mut impl FnMut(Step<'_>),
    ) {
        let connection = id.and_then(|id| self.connections.get(id));
        let history = History { adopted: true, ..History::default() };
        let hole = Some(hole);
        let kind = StepKind::Transition { transition, evidence: *evidence, history, hole, spent: None };
        each(Step { event, connection, kind });
        if let Some(Outcome(result)) = cause_of_failure(transition, evidence, &history, hole) {
            let role = handshake::role(None, transition.from);
            each(Step {
                event,
                connection,
                kind: StepKind::Handshake { role, result, duration: Err(untimed) },
            });
        }
    }

    fn outcome(
        &self,
        event: &Event,
        attempt: &Attempt,
        evidence: &Evidence,
        result: HandshakeResult,
    ) -> StepKind {
        let role = handshake::role(attempt.origin, attempt.transition.from);
        let duration = match attempt.hole {
            Some(Inconclusive::Adopted) => Err(Untimed::Adopted),
            Some(_) => Err(Untimed::LostEvent),
            None if attempt.opened != 0 => Ok(event.time.saturating_sub(attempt.opened)),
            None => Err(attempt.untimed.unwrap_or_else(|| self.why_untimed(event, attempt, role, evidence))),
        };
        StepKind::Handshake { role, result, duration }
    }

    /// Why nothing says when this handshake began.
    fn why_untimed(&self, event: &Event, attempt: &Attempt, role: Role, evidence: &Evidence) -> Untimed {
        let requests_seen = [Hook::TimerStart, Hook::TimerCancel]
            .into_iter()
            .all(|hook| self.sight.whole(hook, attempt.since));
        if attempt.adopted {
            return Untimed::Adopted;
        }
        if role == Role::Client || !requests_seen {
            return Untimed::LostEvent;
        }
        // Without a request it was a SYN cookie or Fast Open.
        if !attempt.may_be_fast_open {
            return Untimed::SynCookie;
        }
        // Only a Fast Open child lives on its own before the
        // handshake's last ACK: accepted, with data in either direction, or simply longer than one softirq.
        let lived = !attempt.same_softirq || event.time.saturating_sub(attempt.since) >= ONE_SOFTIRQ;
        let used = evidence.has_user_socket == Some(true)
            || evidence.rcv_nxt != evidence.copied_seq
            || evidence.write_seq != evidence.una;
        if lived || used || evidence.fast_open == Some(true) { Untimed::FastOpen } else { Untimed::SynCookie }
    }
}

impl Connection {
    /// Takes in a transition.
    fn take(&mut self, event: &Event, transition: Transition, evidence: &Evidence, spent: Option<u64>) {
        self.story.tell(transition, spent);
        self.refresh(&event.flow);
        self.state = transition.to;
        self.since = event.time;
        self.entered = true;
        self.previous = Some(transition);
        self.hole = None;
        self.reset_received = false;
        self.reset_sent = None;
        self.timewait_created = None;
        self.last_copy = event.copy;
        self.sequence = [evidence.una, evidence.write_seq];
        self.dead = evidence.dead;
        // A task that destroys the sockets of others (`ss -K`) is no owner.
        if self.owner.is_none() && evidence.error != SocketError::Aborted {
            self.owner = event.task;
        }
    }
}

fn begin_life(connection: &mut Connection, event: &Event, transition: Transition, evidence: &Evidence) {
    let Connection { key, netns, story, .. } = *connection;
    let fresh = Connection::new(key, netns, &event.flow, connection.state, event.time);
    *connection = Connection { story, ..fresh };
    match transition.to {
        SynSent => {
            connection.origin = Some(Origin::Active);
            connection.opening = true;
            // Its SYN may wait for the first write, and no hook tells when that comes.
            if evidence.fast_open == Some(true) {
                connection.may_be_fast_open = true;
                connection.untimed = Some(Untimed::FastOpen);
            } else {
                connection.opened = event.time;
            }
        }
        SynRecv => {
            connection.origin = Some(Origin::Passive);
            connection.opening = true;
            connection.may_be_fast_open = evidence.fast_open != Some(false);
        }
        _ => {}
    }
}

/// A socket that was opening turns up past it, or starts again: the transition that was its outcome was lost.
fn lost_outcome(known: &Connection, transition: Transition) -> StepKind {
    let established =
        matches!(transition.from, Established | CloseWait | FinWait1 | FinWait2 | Closing | LastAck);
    let result = if established { HandshakeResult::Established } else { HandshakeResult::Other };
    let role = handshake::role(known.origin, known.state);
    StepKind::Handshake { role, result, duration: Err(Untimed::LostEvent) }
}

/// After a gap nothing is known of what happened before it.
fn forget_facts(connection: &mut Connection) {
    connection.origin = None;
    connection.opened = 0;
    connection.untimed = None;
    connection.request_seen = false;
}

/// A life that begins before our eyes. An abort may announce CLOSE > CLOSE for a socket that never did anything.
fn is_birth(transition: Transition) -> bool {
    matches!((transition.from, transition.to), (Close, SynSent | Listen | Close) | (Listen, SynRecv))
}

/// The same firing again, by a later copy: the transition that led to this state with the same numbers, however long
/// interrupts held up the second copy. A socket that makes the same transition anew has been elsewhere in between, and
/// its numbers have moved; only a self-loop can follow itself, and there the time decides.
fn is_doubled(known: &Connection, event: &Event, transition: Transition, evidence: &Evidence) -> bool {
    if known.previous != Some(transition) || known.state != transition.to {
        return false;
    }
    let same_record = event.time == known.since;
    let at_once = event.time.saturating_sub(known.since) < DOUBLED;
    let twin = event.copy > known.last_copy && (at_once || transition.from != transition.to);
    let same_numbers = known.sequence == [evidence.una, evidence.write_seq];
    same_numbers && (same_record || twin)
}

/// The outcome of a handshake.
struct Outcome(HandshakeResult);

/// The outcome that this transition is. A child that was discarded is none: its request lives on, or its twin does.
fn cause_of_failure(
    transition: Transition,
    evidence: &Evidence,
    history: &History,
    hole: Option<Inconclusive>,
) -> Option<Outcome> {
    if !matches!(transition.from, SynSent | SynRecv) {
        return None;
    }
    let judged = transition.to == Close && hole.is_none();
    let cause = if judged { judge(transition, evidence, history).cause } else { None };
    if cause == Some(CloseCause::ChildDiscarded) && !history.request_seen {
        return None;
    }
    handshake::result(transition, evidence, cause).map(Outcome)
}

/// The kernel had no room for the minisocket that comes here.
pub(super) fn time_wait_skipped(
    transition: Transition,
    evidence: &Evidence,
    history: &History,
    hole: Option<Inconclusive>,
) -> bool {
    matches!((transition.from, transition.to), (FinWait2 | Closing, Close))
        && hole.is_none()
        && history.timewait_created.is_none()
        && judge(transition, evidence, history).cause == Some(CloseCause::TimeWaitSkipped)
}

/// What the judge may know before this transition.
fn history_of(
    known: &Connection,
    sight: &Sight,
    listener_closed: Option<ListenerClosed>,
    event: &Event,
    transition: Transition,
) -> History {
    let whole = |hook| sight.whole(hook, known.since);
    // Within one system call: the same thread, at once.
    let same_call = transition.from == Listen
        && known.owner.map(|task| task.tid) == event.task.map(|task| task.tid)
        && event.time.saturating_sub(known.since) < ONE_SOFTIRQ;
    let listener_closed = listener_closed.is_some_and(|listener| {
        known.origin == Some(Origin::Passive)
            && (listener.netns, listener.port) == (known.netns, known.ends.local_port())
            && event.time.saturating_sub(listener.time) < LISTENER_STOPS
    });
    History {
        same_call,
        listener_closed,
        timewait_visible: whole(Hook::TimerStart),
        resets_visible: whole(Hook::ReceiveReset) && whole(Hook::SendReset),
        ..known.history()
    }
}
