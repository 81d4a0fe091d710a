//! The vocabulary of the Linux tests: typical fields of a socket in each state, and stories made of transitions.

#![allow(dead_code, reason = "each test file uses its own part")]

use model::linux::{
    CloseCause, Code, DeviationId, Evidence, History, Judgement, LinuxState, Origin, Owner, ResetReason,
    SocketError, TimeWaitKind, Transition, ViolationId, judge,
};
use model::{Inconclusive, Verdict};

pub const EST: LinuxState = LinuxState::Established;
pub const SS: LinuxState = LinuxState::SynSent;
pub const SR: LinuxState = LinuxState::SynRecv;
pub const FW1: LinuxState = LinuxState::FinWait1;
pub const FW2: LinuxState = LinuxState::FinWait2;
pub const CL: LinuxState = LinuxState::Close;
pub const CW: LinuxState = LinuxState::CloseWait;
pub const LA: LinuxState = LinuxState::LastAck;
pub const LI: LinuxState = LinuxState::Listen;
pub const CG: LinuxState = LinuxState::Closing;

/// Our initial sequence number, close enough to the end for every connection to wrap.
pub const ISS: u32 = u32::MAX - 50;
/// The peer's.
pub const IRS: u32 = u32::MAX - 150;

pub const fn ok(code: Code) -> Verdict {
    Verdict::Conforming(code)
}

pub const fn departs(id: DeviationId) -> Verdict {
    Verdict::Deviation(id)
}

pub const fn breaks(id: ViolationId) -> Verdict {
    Verdict::Violation(id)
}

pub const fn unknown(cause: Inconclusive) -> Verdict {
    Verdict::Inconclusive(cause)
}

/// A socket that has seen nothing, in the hands of its user.
pub fn fresh() -> Evidence {
    Evidence {
        owner: Some(Owner::User),
        has_user_socket: Some(true),
        repair: Some(false),
        fast_open: Some(false),
        ..Evidence::default()
    }
}

fn numbers(unacknowledged: u32, queued: u32, received: u32) -> Evidence {
    let write_seq = ISS.wrapping_add(queued);
    let rcv_nxt = IRS.wrapping_add(received);
    Evidence {
        owner: Some(Owner::Softirq),
        una: write_seq.wrapping_sub(unacknowledged),
        nxt: write_seq,
        write_seq,
        rcv_nxt,
        copied_seq: rcv_nxt,
        ..fresh()
    }
}

/// Our SYN is out.
pub fn syn_sent() -> Evidence {
    numbers(1, 1, 0)
}

/// The handshake has just ended.
pub fn shaken() -> Evidence {
    numbers(0, 1, 1)
}

/// A child of a listener, with the listener's numbers.
pub fn newborn() -> Evidence {
    Evidence { has_user_socket: Some(false), una: 9, nxt: 5, write_seq: 1, ..numbers(0, 0, 0) }
}

/// A child with its own numbers, not accepted.
pub fn child() -> Evidence {
    Evidence { has_user_socket: Some(false), ..shaken() }
}

/// Data went both ways and was acknowledged and read.
pub fn established() -> Evidence {
    numbers(0, 101, 201)
}

/// As established, but the last octets of the peer were not read.
pub fn with_unread(evidence: Evidence) -> Evidence {
    Evidence { copied_seq: evidence.copied_seq.wrapping_sub(30), ..evidence }
}

/// A task is at work.
pub fn by_user(evidence: Evidence) -> Evidence {
    Evidence { owner: Some(Owner::User), ..evidence }
}

/// The user calls shutdown(SHUT_WR).
pub fn shut_write(evidence: Evidence) -> Evidence {
    Evidence { send_shutdown: true, ..by_user(evidence) }
}

/// The user calls close(); nobody has let go of the socket yet.
pub fn closing(evidence: Evidence) -> Evidence {
    Evidence { receive_shutdown: true, ..shut_write(evidence) }
}

/// Closed: nobody holds the socket any more.
pub fn orphaned(evidence: Evidence) -> Evidence {
    Evidence {
        dead: true,
        has_user_socket: Some(false),
        send_shutdown: true,
        receive_shutdown: true,
        ..evidence
    }
}

/// The peer's FIN has been consumed.
pub fn peer_fin(evidence: Evidence) -> Evidence {
    Evidence { done: true, receive_shutdown: true, rcv_nxt: evidence.rcv_nxt.wrapping_add(1), ..evidence }
}

/// Our FIN is out, not acknowledged.
pub fn fin_wait_1() -> Evidence {
    Evidence { send_shutdown: true, ..numbers(1, 102, 201) }
}

/// Our FIN is acknowledged.
pub fn fin_wait_2() -> Evidence {
    Evidence { send_shutdown: true, ..numbers(0, 102, 201) }
}

/// The peer's FIN came first.
pub fn close_wait() -> Evidence {
    peer_fin(established())
}

/// The peer's FIN came first, ours is out.
pub fn last_ack() -> Evidence {
    peer_fin(fin_wait_1())
}

/// Our FIN, the second one, is acknowledged.
pub fn last_ack_acknowledged() -> Evidence {
    peer_fin(fin_wait_2())
}

/// Both FINs are out; ours is not acknowledged.
pub fn crossed_fins() -> Evidence {
    peer_fin(fin_wait_1())
}

pub fn with_error(error: SocketError, evidence: Evidence) -> Evidence {
    Evidence { error, ..evidence }
}

/// The usual fields of a socket about to leave `state` because of a segment.
pub fn typical(state: LinuxState) -> Evidence {
    match state {
        LinuxState::Established => established(),
        LinuxState::SynSent => syn_sent(),
        LinuxState::SynRecv | LinuxState::NewSynRecv => child(),
        LinuxState::FinWait1 => fin_wait_1(),
        LinuxState::FinWait2 => fin_wait_2(),
        LinuxState::TimeWait => peer_fin(fin_wait_2()),
        LinuxState::Close | LinuxState::Listen => fresh(),
        LinuxState::CloseWait => close_wait(),
        LinuxState::LastAck => last_ack(),
        LinuxState::Closing => crossed_fins(),
    }
}

/// A socket's transitions in order, each with its fields and the verdict expected.
pub struct Story {
    name: &'static str,
    history: History,
    last: Option<Judgement>,
    /// Everything judged so far.
    pub judged: Vec<Judgement>,
}

impl Story {
    /// A socket with all hooks attached.
    pub fn new(name: &'static str) -> Self {
        let history = History { timewait_visible: true, resets_visible: true, ..History::default() };
        Self { name, history, last: None, judged: Vec::new() }
    }

    /// A connection that we open.
    pub fn active(name: &'static str) -> Self {
        Self::new(name).remember(|history| history.origin = Some(Origin::Active))
    }

    /// A connection that a listener got, in ESTABLISHED.
    pub fn accepted(name: &'static str) -> Self {
        Self::passive(name).step(LI, SR, newborn(), ok(Code::C4)).step(SR, EST, child(), ok(Code::R7))
    }

    /// A connection that a listener gets after the usual half-open request.
    pub fn passive(name: &'static str) -> Self {
        Self::fast_open_child(name).remember(|history| history.request_seen = true)
    }

    /// A connection that a listener gets without a request: Fast Open, or a syncookie.
    pub fn fast_open_child(name: &'static str) -> Self {
        Self::new(name).remember(|history| history.origin = Some(Origin::Passive))
    }

    /// A connection that we opened, in ESTABLISHED.
    pub fn connected(name: &'static str) -> Self {
        Self::active(name).step(CL, SS, fresh(), ok(Code::R12)).step(SS, EST, shaken(), ok(Code::R4))
    }

    /// A connection that we opened and closed first; the peer's ACK is awaited.
    pub fn closed_first(name: &'static str) -> Self {
        Self::connected(name).step(EST, FW1, closing(established()), ok(Code::R1))
    }

    /// A connection that we opened and the peer closed first.
    pub fn closed_second(name: &'static str) -> Self {
        Self::connected(name).step(EST, CW, close_wait(), ok(Code::R3))
    }

    /// Changes what is remembered.
    pub fn remember(mut self, change: impl FnOnce(&mut History)) -> Self {
        change(&mut self.history);
        self
    }

    /// A reset arrives (or late data: Linux uses the same function).
    pub fn reset_arrives(self) -> Self {
        self.remember(|history| history.reset_received = true)
    }

    /// We send a reset before the next transition.
    pub fn reset_sent(self, reason: ResetReason) -> Self {
        self.remember(|history| history.reset_sent = Some(reason))
    }

    /// A timewait minisocket is created.
    pub fn minisocket(self, kind: TimeWaitKind) -> Self {
        self.remember(|history| history.timewait_created = Some(kind))
    }

    /// One transition.
    #[track_caller]
    pub fn step(mut self, from: LinuxState, to: LinuxState, evidence: Evidence, expected: Verdict) -> Self {
        let transition = Transition::new(from, to);
        let judgement = judge(transition, &evidence, &self.history);
        assert_eq!(judgement.verdict, expected, "{}: {transition}, {judgement:?}", self.name);
        self.history = History {
            previous: Some(transition),
            was_held: !evidence.dead,
            same_call: false,
            reset_received: false,
            reset_bit: None,
            reset_sent: None,
            timewait_created: None,
            ..self.history
        };
        self.last = Some(judgement);
        self.judged.push(judgement);
        self
    }

    /// The verdict that one more transition would get.
    pub fn verdict(self, from: LinuxState, to: LinuxState, evidence: Evidence) -> Verdict {
        judge(Transition::new(from, to), &evidence, &self.history).verdict
    }

    /// The last transition's cause.
    #[track_caller]
    pub fn because(self, cause: CloseCause) -> Self {
        assert_eq!(self.last.and_then(|judgement| judgement.cause), Some(cause), "{}", self.name);
        self
    }

    /// The last transition's note.
    #[track_caller]
    pub fn noting(self, id: DeviationId) -> Self {
        assert_eq!(self.last.and_then(|judgement| judgement.noted), Some(id), "{}", self.name);
        self
    }

    /// The RFC's edges that the last transition stands for, as `A -> B, B -> C`.
    #[track_caller]
    pub fn walks(self, edges: &str) -> Self {
        let walked = self.last.map_or(&[] as &[_], |judgement| judgement.edges);
        let walked = walked.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        assert_eq!(walked, edges, "{}", self.name);
        self
    }

    /// The FIN is acknowledged, then a minisocket takes over.
    #[track_caller]
    pub fn ends_in_time_wait(self) -> Self {
        self.step(FW1, FW2, orphaned(fin_wait_2()), ok(Code::R10))
            .minisocket(TimeWaitKind::FinWait2)
            .step(FW2, CL, orphaned(fin_wait_2()), ok(Code::C2))
            .because(CloseCause::FinWait2Minisocket)
            .walks("")
    }

    /// Both sides have closed, the peer first; the last ACK arrives.
    #[track_caller]
    pub fn ends_in_last_ack(self) -> Self {
        self.step(CW, LA, closing(close_wait()), ok(Code::R14))
            .step(LA, CL, orphaned(last_ack_acknowledged()), ok(Code::R15))
            .because(CloseCause::FinAcknowledged)
    }
}
