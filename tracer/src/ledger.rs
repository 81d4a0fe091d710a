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

use crate::{
    event::{TimerAction, What},
    step::{Finding, StepKind},
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
    /// `TcpExt: TCPTimeWaitOverflow` of `/proc/net/netstat`.
    TimewaitOverflow,
    /// `Tcp: CurrEstab`.
    CurrEstab,
    /// `TCP: tw` of `/proc/net/sockstat`.
    Timewait,
}

impl KernelCounter {
    /// Every counter; those that only grow come first.
    pub const ALL: [Self; 7] = [
        Self::ActiveOpens,
        Self::PassiveOpens,
        Self::AttemptFails,
        Self::EstabResets,
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
pub const GROWING: usize = 5;

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
        *self == Self::default()
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
                // TCP_FASTOPEN_CONNECT, at the first write.
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
            if never_sent(transition, evidence, finding) {
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
        // tcp_check_req() counts a RST and a second SYN, but neither an ICMP error, `ss -K`, a full accept queue nor
        // a listener that is gone: all of them look the same.
        StepKind::RequestEnded { completed: false, .. } => {
            let expired =
                matches!(finding.step.event.what, What::Request { action: TimerAction::Expired, .. });
            unclear[KernelCounter::AttemptFails as usize] += i64::from(!expired);
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

/// True when SYN_SENT ends and the kernel never counted its beginning: connect() failed before its SYN, a deferred
/// Fast Open was closed, or TCP_REPAIR made it up.
fn never_sent(transition: Transition, evidence: &Evidence, finding: &Finding<'_>) -> bool {
    let outstanding = evidence.una != evidence.nxt;
    match (transition.from, transition.to) {
        (SynSent, Close) => !outstanding,
        // The round trip of a SYN is measured unless it was sent again; nothing was sent under repair.
        (SynSent, Established) => {
            matches!(finding.step.event.what, What::Transition { srtt: 0, .. })
                && evidence.retransmits == 0
                && !outstanding
        }
        _ => false,
    }
}

/// True when the socket went through tcp_done(), which counts what it finds in SYN_SENT and SYN_RECV. close(),
/// disconnect and a failed connect() do not go there, and leave no error.
fn attempt_fails(Transition { from, to }: Transition, evidence: &Evidence) -> bool {
    let is_opening: fn(LinuxState) -> bool = |state| matches!(state, SynSent | SynRecv);
    let failed = evidence.error != SocketError::None;
    // tcp_v4_syn_recv_sock() buries a child that it cannot set up (inet_csk_prepare_forced_close).
    let buried = from == SynRecv && evidence.dead && evidence.owner == Some(Owner::Softirq);
    is_opening(from) && to == Close && (failed || buried)
}
