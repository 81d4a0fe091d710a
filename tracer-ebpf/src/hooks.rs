//! The kernel hooks, by number, and what can become of one firing.

/// Programs attached to one tracepoint so that an event that interrupts a running program is not lost.
///
/// The kernel skips a program that is already active on the CPU (`bpf_prog_enter`'s recursion guard,
/// `trace_call_bpf`); a second program on the same tracepoint still runs. Two are enough where tracepoint programs
/// cannot be preempted: only softirq can interrupt a task. Preemptible tracepoints (SRCU, from 7.x) nest deeper.
pub const COPIES: u32 = 4;

/// Where a record comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Hook {
    /// `sock:inet_sock_set_state`: a full socket is about to change its state.
    State = 0,
    /// `tcp:tcp_destroy_sock`: a full socket ends.
    Destroy = 1,
    /// `tcp:tcp_receive_reset`: `tcp_reset()` runs for a socket (an RST came, or data came after the close).
    ReceiveReset = 2,
    /// `tcp:tcp_send_reset`: an RST is sent.
    SendReset = 3,
    /// `tcp:tcp_retransmit_skb`: a segment is sent again.
    Retransmit = 4,
    /// `tcp:tcp_retransmit_synack`: a half-open request's SYN+ACK is sent again.
    RetransmitSynack = 5,
    /// `timer:timer_start` of a timewait or request minisocket.
    TimerStart = 6,
    /// `timer:timer_cancel` of a timewait or request minisocket; also precedes every expiry.
    TimerCancel = 7,
    /// `timer:timer_expire_entry` of a timewait or request minisocket.
    TimerExpire = 8,
    /// Not an event: a socket that exists now, as `sock_diag` or `iter/tcp` lists it, or a sweep finds it changed.
    Snapshot = 9,
}

impl Hook {
    /// Every hook, in the order of its number.
    pub const ALL: [Self; 10] = [
        Self::State,
        Self::Destroy,
        Self::ReceiveReset,
        Self::SendReset,
        Self::Retransmit,
        Self::RetransmitSynack,
        Self::TimerStart,
        Self::TimerCancel,
        Self::TimerExpire,
        Self::Snapshot,
    ];

    /// The hook with this number.
    #[must_use]
    pub const fn from_u8(number: u8) -> Option<Self> {
        if (number as usize) < Self::ALL.len() { Some(Self::ALL[number as usize]) } else { None }
    }

    /// The kernel's name of the tracepoint that the programs attach to, and the metrics' `hook` label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => "inet_sock_set_state",
            Self::Destroy => "tcp_destroy_sock",
            Self::ReceiveReset => "tcp_receive_reset",
            Self::SendReset => "tcp_send_reset",
            Self::Retransmit => "tcp_retransmit_skb",
            Self::RetransmitSynack => "tcp_retransmit_synack",
            Self::TimerStart => "timer_start",
            Self::TimerCancel => "timer_cancel",
            Self::TimerExpire => "timer_expire_entry",
            Self::Snapshot => "existing_sockets",
        }
    }

    /// Index into the counts for a firing of this hook that `copy` handled with `outcome`.
    #[must_use]
    pub const fn count_index(self, copy: u32, outcome: Outcome) -> u32 {
        (self as u32 * COPIES + copy) * Outcome::COUNT + outcome as u32
    }

    /// Index of a count that moves with every event lost for want of room, whatever its hook: one look tells whether
    /// anything was lost. Programs that interrupt each other share it, so it is no sum.
    pub const LOSSES: u32 = Self::COUNT * COPIES * Outcome::COUNT;

    /// Entries that the counts map needs.
    pub const COUNTS: u32 = Self::LOSSES + 1;

    /// How many hooks there are.
    pub const COUNT: u32 = Self::Snapshot as u32 + 1;
}

/// What became of one firing of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// A record went into the ring.
    Delivered = 0,
    /// Not ours: another protocol, another timer.
    Filtered = 1,
    /// The ring had no room: the event is lost.
    RingFull = 2,
}

impl Outcome {
    /// Every outcome, in the order of its number.
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Filtered, Self::RingFull];

    /// How many outcomes there are.
    const COUNT: u32 = Self::RingFull as u32 + 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_order_agree() {
        for (number, hook) in Hook::ALL.into_iter().enumerate() {
            assert_eq!(hook as usize, number);
            assert_eq!(Hook::from_u8(hook as u8), Some(hook));
        }
        assert_eq!(Hook::ALL.len(), Hook::COUNT as usize);
        assert_eq!(Hook::from_u8(10), None);
        assert_eq!(Outcome::ALL.len(), Outcome::COUNT as usize);
    }

    #[test]
    fn each_count_has_its_own_place() {
        let mut seen = [false; Hook::LOSSES as usize];
        for hook in Hook::ALL {
            for copy in 0..COPIES {
                for outcome in Outcome::ALL {
                    let index = hook.count_index(copy, outcome) as usize;
                    assert!(!seen[index], "{hook:?}/{copy}/{outcome:?} shares index {index}");
                    seen[index] = true;
                }
            }
        }
        assert!(seen.iter().all(|used| *used));
    }
}
