//! Our side of the kernel's own counters, network namespace by network namespace. Pure.
//!
//! What the kernel counts without a tracepoint of its own is derived from the transition that goes with it. Where
//! several causes look alike to the tracepoints and the kernel counts only some of them, the step is *unclear*: it may
//! or may not be in the kernel's count. Unclear steps are counted apart, so that nothing is assumed.

use hashbrown::HashMap;
use model::linux::{
    CloseCause, Evidence,
    LinuxState::{self, Close, CloseWait, Closing, Established, FinWait2, Listen, SynRecv, SynSent},
    Origin, Owner, SocketError, Transition,
};
use tracer_ebpf::Caller;

use crate::{
    event::{TimerAction, What},
    step::{Finding, HandshakeResult, StepKind},
    tracker::Connection,
};

/// A counter of the kernel that ours is compared with: the values of `tcptracer_kernel_difference{counter}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum KernelCounter {
    /// `Tcp: ActiveOpens` of `/proc/net/snmp`.
    ActiveOpens,
    /// `Tcp: PassiveOpens`.
    PassiveOpens,
    /// `Tcp: AttemptFails`.
    AttemptFails,
    /// `Tcp: EstabResets`.
    EstabResets,
    /// `TcpExt: EmbryonicRsts` of `/proc/net/netstat`: half-open requests that a segment ended.
    EmbryonicResets,
    /// `TcpExt: TCPTimeWaitOverflow`.
    TimewaitOverflow,
    /// `Tcp: CurrEstab`.
    CurrEstab,
    /// `TCP: tw` of `/proc/net/sockstat`.
    Timewait,
}

impl KernelCounter {
    /// Every counter; those that only grow come first.
    pub const ALL: [Self; 8] = [
        Self::ActiveOpens,
        Self::PassiveOpens,
        Self::AttemptFails,
        Self::EstabResets,
        Self::EmbryonicResets,
        Self::TimewaitOverflow,
        Self::CurrEstab,
        Self::Timewait,
    ];

    /// The metrics' label value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ActiveOpens => "active_opens",
            Self::PassiveOpens => "passive_opens",
            Self::AttemptFails => "attempt_fails",
            Self::EstabResets => "estab_resets",
            Self::EmbryonicResets => "embryonic_resets",
            Self::CurrEstab => "curr_estab",
            Self::Timewait => "tw",
            Self::TimewaitOverflow => "time_wait_overflow",
        }
    }

    /// Section and name in the files of `/proc/net`.
    #[must_use]
    pub const fn source(self) -> (&'static str, &'static str) {
        match self {
            Self::ActiveOpens => ("Tcp", "ActiveOpens"),
            Self::PassiveOpens => ("Tcp", "PassiveOpens"),
            Self::AttemptFails => ("Tcp", "AttemptFails"),
            Self::EstabResets => ("Tcp", "EstabResets"),
            Self::EmbryonicResets => ("TcpExt", "EmbryonicRsts"),
            Self::CurrEstab => ("Tcp", "CurrEstab"),
            Self::Timewait => ("TCP", "tw"),
            Self::TimewaitOverflow => ("TcpExt", "TCPTimeWaitOverflow"),
        }
    }

    /// True for a number of sockets that are in a state now; false for a count that only grows.
    #[must_use]
    pub const fn is_level(self) -> bool {
        matches!(self, Self::CurrEstab | Self::Timewait)
    }
}

/// Kernel counters that only grow.
pub const GROWING: usize = 6;

/// What the kernel should have counted in one namespace since the agent began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By [`KernelCounter`].
    pub certain: [i64; GROWING],
    /// Steps that the kernel may have counted as well.
    pub unclear: [i64; GROWING],
}

impl Counts {
    fn is_zero(&self) -> bool {
        // Of most findings: a look at each number is much cheaper than a comparison of two structures.
        self.certain.iter().chain(&self.unclear).fold(0, |any, count| any | count) == 0
    }
}

/// Counts of every namespace in which something was counted.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    namespaces: HashMap<u64, Counts>,
}

impl Ledger {
    /// Counts one finding.
    pub fn record(&mut self, finding: &Finding<'_>) {
        let entry = entry(finding);
        if !entry.is_zero() {
            let counts = self.namespaces.entry(finding.step.event.socket.netns).or_default();
            for (count, change) in counts.certain.iter_mut().zip(entry.certain) {
                *count += change;
            }
            for (count, change) in counts.unclear.iter_mut().zip(entry.unclear) {
                *count += change;
            }
        }
    }

    /// The counts of one namespace; zeros where nothing was counted.
    #[must_use]
    pub fn counts(&self, netns: u64) -> Counts {
        self.namespaces.get(&netns).copied().unwrap_or_default()
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> HashMap<u64, Counts> {
        self.namespaces.clone()
    }

    /// Forgets the namespaces that are gone.
    pub fn retain(&mut self, mut lives: impl FnMut(u64) -> bool) {
        self.namespaces.retain(|netns, _| lives(*netns));
    }
}

/// What one finding adds.
fn entry(finding: &Finding<'_>) -> Counts {
    let mut entry = Counts::default();
    let Counts { certain, unclear } = &mut entry;
    match finding.step.kind {
        StepKind::Transition { transition, ref evidence, ref history, .. } => {
            match (transition.from, transition.to) {
                // Counted from here on, although tcp_connect() counts when the SYN leaves: a moment later, or, with
                // TCP_FASTOPEN_CONNECT, perhaps at the first write.
                (Close, SynSent) if evidence.fast_open == Some(true) => {
                    unclear[KernelCounter::ActiveOpens as usize] += 1;
                }
                (Close, SynSent) => certain[KernelCounter::ActiveOpens as usize] += 1,
                (Listen, SynRecv) => certain[KernelCounter::PassiveOpens as usize] += 1,
                (Established | CloseWait, Close) => certain[KernelCounter::EstabResets as usize] += 1,
                (FinWait2 | Closing, Close) => match finding.judgement.as_ref().and_then(|found| found.cause)
                {
                    Some(CloseCause::TimeWaitSkipped) => {
                        certain[KernelCounter::TimewaitOverflow as usize] += 1;
                    }
                    None => unclear[KernelCounter::TimewaitOverflow as usize] += 1,
                    Some(_) => {}
                },
                _ => {}
            }
            // Whether its SYN left before a reading of the kernel's books or after, nobody knows.
            let deferred = finding.step.connection.is_some_and(Connection::may_defer_its_syn);
            if transition.from == SynSent && deferred {
                unclear[KernelCounter::ActiveOpens as usize] += 1;
            } else if never_sent(transition, evidence, finding) {
                certain[KernelCounter::ActiveOpens as usize] -= 1;
            }
            if attempt_fails(transition, evidence) {
                certain[KernelCounter::AttemptFails as usize] += 1;
                // tcp_check_req() counts the RST to a Fast Open child, and tcp_done() counts the child once more.
                let reset = history.reset_received && history.origin != Some(Origin::Active);
                if transition.from == SynRecv && reset {
                    unclear[KernelCounter::AttemptFails as usize] += 1;
                }
            }
        }
        StepKind::RequestEnded { completed: false, .. } => {
            request_ended(&mut entry, &finding.step.event.what);
        }
        // tcp_check_req() counts a RST and a second SYN as a failed attempt, but not an ACK that found no room.
        StepKind::Handshake { result, .. }
            if stopped_by(&finding.step.event.what) == Some(Caller::CheckRequest) =>
        {
            match result {
                HandshakeResult::Reset => certain[KernelCounter::AttemptFails as usize] += 1,
                HandshakeResult::Overflow => {}
                _ => unclear[KernelCounter::AttemptFails as usize] += 1,
            }
        }
        // A second SYN to a Fast Open child is counted, answered, and changes nothing.
        StepKind::Reset { sent: true } => {
            let opening = finding.step.connection.is_some_and(|connection| connection.state == SynRecv);
            unclear[KernelCounter::AttemptFails as usize] += i64::from(opening);
        }
        _ => {}
    }
    entry
}

/// The caller that stopped a request's timer; `None` when none did.
const fn stopped_by(what: &What) -> Option<Caller> {
    match what {
        What::Request { action: TimerAction::Cancelled, end, .. } => Some(end.caller),
        _ => None,
    }
}

/// A half-open request ended without a child. The kernel counts it where a segment ended it (tcp_check_req), but not
/// where a timeout, an ICMP error, `ss -K`, or the end of its listener did.
fn request_ended(Counts { certain, unclear }: &mut Counts, what: &What) {
    match (stopped_by(what), what) {
        (Some(Caller::CheckRequest), _) => certain[KernelCounter::EmbryonicResets as usize] += 1,
        // Who stopped it is not known, or its end was lost.
        (Some(Caller::Unknown), _) | (None, What::Request { action: TimerAction::Started, .. }) => {
            unclear[KernelCounter::EmbryonicResets as usize] += 1;
            unclear[KernelCounter::AttemptFails as usize] += 1;
        }
        _ => {}
    }
}

/// True when SYN_SENT ends and the kernel never counted its beginning: connect() failed before its SYN, a deferred
/// Fast Open was closed, or TCP_REPAIR made it up.
fn never_sent(transition: Transition, evidence: &Evidence, finding: &Finding<'_>) -> bool {
    // A socket that is used again still has the numbers of its last SYN, but its queue has moved on (tcp_disconnect).
    let outstanding = evidence.una != evidence.nxt && evidence.nxt == evidence.write_seq;
    match (transition.from, transition.to) {
        (SynSent, Close) => !outstanding,
        // The round trip of a SYN is measured unless it was sent again; nothing was sent under repair.
        (SynSent, Established) => {
            matches!(finding.step.event.what, What::Transition { srtt: 0, .. }) && evidence.retransmits == 0
        }
        _ => false,
    }
}

/// True when the socket went through tcp_done(), which counts what it finds in SYN_SENT and SYN_RECV. close(),
/// disconnect and a failed connect() do not go there, and leave no error.
fn attempt_fails(Transition { from, to }: Transition, evidence: &Evidence) -> bool {
    let is_opening: fn(LinuxState) -> bool = |state| matches!(state, SynSent | SynRecv);
    let in_softirq = evidence.owner == Some(Owner::Softirq);
    // Another thread may have fetched the error already (SO_ERROR takes no lock), but no task ends the open here.
    let failed = evidence.error != SocketError::None || from == SynSent && in_softirq;
    // tcp_v4_syn_recv_sock() buries a child that it cannot set up (inet_csk_prepare_forced_close).
    let buried = from == SynRecv && evidence.dead && in_softirq;
    is_opening(from) && to == Close && (failed || buried)
}

#[cfg(test)]
mod tests {
    use model::{
        Verdict,
        linux::{CloseCause, Code, Evidence, History, Judgement, Owner, SocketError},
    };

    use tracer_ebpf::Caller;

    use super::{Counts, KernelCounter, Ledger};
    use crate::{
        event::{RequestEnd, TimerAction, What},
        fixture::Seen,
        step::{HandshakeResult, Role, StepKind},
    };

    /// A transition whose fields are `change`d, with its cause.
    fn seen(from: &str, to: &str, cause: Option<CloseCause>, change: impl Fn(&mut Evidence)) -> Seen {
        let mut seen = Seen::transition("10.1.2.3:40000", "10.9.9.9:80", from, to);
        if let StepKind::Transition { evidence, .. } = &mut seen.kind {
            change(evidence);
        }
        let verdict = Verdict::Conforming(Code::R2);
        seen.judgement = Some(Judgement { verdict, cause, noted: None, edges: &[] });
        seen
    }

    /// What these add to the books of namespace 1.
    fn counted(steps: &[Seen]) -> Counts {
        let mut ledger = Ledger::default();
        for step in steps {
            step.with_finding(|finding| ledger.record(finding));
        }
        ledger.counts(1)
    }

    fn certain(steps: &[Seen], counter: KernelCounter) -> i64 {
        let counts = counted(steps);
        assert_eq!(counts.unclear, [0; super::GROWING], "nothing here is unclear");
        counts.certain[counter as usize]
    }

    fn syn_sent(evidence: &mut Evidence) {
        (evidence.una, evidence.nxt, evidence.write_seq) = (1000, 1001, 1001);
    }

    fn connect() -> Seen {
        seen("close", "syn_sent", None, |_| {})
    }

    #[test]
    fn an_open_is_counted_with_its_syn() {
        let failed = |change: fn(&mut Evidence)| {
            let steps = [connect(), seen("syn_sent", "close", Some(CloseCause::ConnectFailed), change)];
            [KernelCounter::ActiveOpens, KernelCounter::AttemptFails].map(|counter| certain(&steps, counter))
        };
        let no_port: fn(&mut Evidence) =
            |evidence| (evidence.una, evidence.nxt, evidence.write_seq) = (0, 0, 0);
        assert_eq!(failed(no_port), [0, 0], "no port: no SYN");
        let again: fn(&mut Evidence) =
            |evidence| (evidence.una, evidence.nxt, evidence.write_seq) = (1000, 1001, 66_538);
        assert_eq!(failed(again), [0, 0], "the SYN was that of the connect() before");
        assert_eq!(failed(syn_sent), [1, 0], "given up by its caller, which is no failure");
        let refused: fn(&mut Evidence) = |evidence| {
            syn_sent(evidence);
            evidence.error = SocketError::Refused;
        };
        assert_eq!(failed(refused), [1, 1]);
    }

    #[test]
    fn a_connection_made_by_repair_was_never_opened() {
        let repaired = seen("syn_sent", "established", None, |_| {});
        assert_eq!(certain(&[connect(), repaired], KernelCounter::ActiveOpens), 0);
        let mut answered = seen("syn_sent", "established", None, |_| {});
        if let What::Transition { srtt, .. } = &mut answered.event.what {
            *srtt = 50;
        }
        assert_eq!(certain(&[connect(), answered], KernelCounter::ActiveOpens), 1);
        let resent = seen("syn_sent", "established", None, |evidence| evidence.retransmits = 2);
        assert_eq!(certain(&[connect(), resent], KernelCounter::ActiveOpens), 1);
    }

    #[test]
    fn a_child_is_a_passive_open_and_fails_only_by_tcp_done() {
        let child = seen("listen", "syn_recv", None, |_| {});
        let fails = |change: fn(&mut Evidence)| {
            let end = seen("syn_recv", "close", Some(CloseCause::ChildDiscarded), change);
            let steps = [child.clone(), end];
            assert_eq!(certain(&steps, KernelCounter::PassiveOpens), 1);
            certain(&steps, KernelCounter::AttemptFails)
        };
        let buried: fn(&mut Evidence) = |evidence| {
            evidence.dead = true;
            evidence.owner = Some(Owner::Softirq);
        };
        assert_eq!(fails(buried), 1, "put_and_exit");
        assert_eq!(fails(|evidence| evidence.owner = Some(Owner::Softirq)), 0, "lost a race");
        assert_eq!(fails(|evidence| evidence.error = SocketError::TimedOut), 1);
        let killed: fn(&mut Evidence) = |evidence| {
            evidence.dead = true;
            evidence.owner = Some(Owner::User);
        };
        assert_eq!(fails(killed), 0, "an orphan too many");
    }

    #[test]
    fn an_open_that_a_segment_ended_has_failed_whoever_has_fetched_its_error() {
        let ended = |owner| {
            let end = seen("syn_sent", "close", None, |evidence| {
                syn_sent(evidence);
                evidence.owner = Some(owner);
            });
            certain(&[connect(), end], KernelCounter::AttemptFails)
        };
        assert_eq!((ended(Owner::Softirq), ended(Owner::User)), (1, 0));
    }

    #[test]
    fn a_reset_to_a_fast_open_child_counts_once_or_twice() {
        let mut reset = seen("syn_recv", "close", Some(CloseCause::ResetReceived), |evidence| {
            evidence.error = SocketError::Reset;
        });
        if let StepKind::Transition { history, .. } = &mut reset.kind {
            *history = History { reset_received: true, ..History::default() };
        }
        let counts = counted(&[reset]);
        let index = KernelCounter::AttemptFails as usize;
        assert_eq!((counts.certain[index], counts.unclear[index]), (1, 1));
    }

    #[test]
    fn established_connections_that_go_straight_to_close() {
        let steps = ["established", "close_wait", "fin_wait1", "last_ack"]
            .map(|from| seen(from, "close", Some(CloseCause::ResetReceived), |_| {}));
        assert_eq!(certain(&steps, KernelCounter::EstabResets), 2);
    }

    #[test]
    fn a_skipped_time_wait_is_an_overflow_and_an_unknown_end_may_be_one() {
        let skipped = ["fin_wait2", "closing"]
            .map(|from| seen(from, "close", Some(CloseCause::TimeWaitSkipped), |_| {}));
        assert_eq!(certain(&skipped, KernelCounter::TimewaitOverflow), 2);
        let other = seen("fin_wait2", "close", Some(CloseCause::TimeWait), |_| {});
        assert_eq!(certain(&[other], KernelCounter::TimewaitOverflow), 0);
        let unknown = counted(&[seen("fin_wait2", "close", None, |_| {})]);
        assert_eq!(unknown.unclear[KernelCounter::TimewaitOverflow as usize], 1);
        assert_eq!(unknown.certain, [0; super::GROWING]);
    }

    #[test]
    fn a_dropped_request_may_have_failed_and_an_expired_one_has_not() {
        let fails = |action, completed, caller| {
            let ended = StepKind::RequestEnded { completed, lived: None };
            let counts = counted(&[of_request(ended, action, caller)]);
            assert_eq!(counts.certain, [0; super::GROWING]);
            let unclear = [KernelCounter::AttemptFails, KernelCounter::EmbryonicResets];
            unclear.map(|counter| counts.unclear[counter as usize])
        };
        assert_eq!(fails(TimerAction::Cancelled, false, Caller::Unknown), [1, 1]);
        assert_eq!(fails(TimerAction::Started, false, Caller::Unknown), [1, 1], "its end was lost");
        assert_eq!(fails(TimerAction::Expired, false, Caller::Unknown), [0, 0]);
        assert_eq!(fails(TimerAction::Cancelled, true, Caller::Unknown), [0, 0]);
        for caller in [Caller::RequestError, Caller::Abort, Caller::Receive] {
            assert_eq!(fails(TimerAction::Cancelled, false, caller), [0, 0], "{caller:?}");
        }
    }

    fn of_request(kind: StepKind, action: TimerAction, caller: Caller) -> Seen {
        let mut seen =
            Seen::transition("10.1.2.3:80", "10.9.9.9:40000", "listen", "new_syn_recv").into_step(kind);
        let end = RequestEnd { caller, ..RequestEnd::default() };
        seen.event.what = What::Request { action, retransmits: 0, synack_time: 0, end };
        seen
    }

    #[test]
    fn a_segment_that_ends_a_request_is_counted_and_what_it_was_makes_the_difference() {
        let fails = |result| {
            let (role, duration) = (Role::Server, Ok(1));
            let steps = [
                StepKind::RequestEnded { completed: false, lived: None },
                StepKind::Handshake { role, result, duration },
            ]
            .map(|kind| of_request(kind, TimerAction::Cancelled, Caller::CheckRequest));
            let counts = counted(&steps);
            assert_eq!(counts.certain[KernelCounter::EmbryonicResets as usize], 1);
            let index = KernelCounter::AttemptFails as usize;
            (counts.certain[index], counts.unclear[index])
        };
        assert_eq!(fails(HandshakeResult::Reset), (1, 0));
        assert_eq!(fails(HandshakeResult::Overflow), (0, 0));
        assert_eq!(fails(HandshakeResult::Other), (0, 1));
    }

    #[test]
    fn each_namespace_has_its_own_counts_and_takes_them_along() {
        let mut ledger = Ledger::default();
        for (netns, times) in [(1, 3), (2, 5)] {
            for _ in 0..times {
                connect().netns(netns).with_finding(|finding| ledger.record(finding));
            }
        }
        let opens =
            |ledger: &Ledger, netns| ledger.counts(netns).certain[KernelCounter::ActiveOpens as usize];
        assert_eq!((opens(&ledger, 1), opens(&ledger, 2)), (3, 5));
        ledger.retain(|netns| netns == 2);
        assert_eq!((opens(&ledger, 1), opens(&ledger, 2)), (0, 5));
    }
}
