//! In whose name the kernel stops a minisocket's timer: the cause of its end, which no tracepoint carries. The program at
//! `timer:timer_cancel` looks for these functions on the kernel's stack.

/// Who stopped the timer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Caller {
    /// None of these, or the stack could not be read.
    #[default]
    Unknown = 0,
    /// `tcp_timewait_state_process`: it ends a minisocket for an RST, and for nothing else.
    TimewaitSegment = 1,
    /// `tcp_v4_rcv`, `tcp_v6_rcv`: a SYN takes the place of a TIME_WAIT; an orphan's FIN_WAIT2 gets data that nobody
    /// will read; a request has lost its listener.
    Receive = 2,
    /// `__inet_check_established` and others: a local `connect()` takes the place of a TIME_WAIT.
    Connect = 3,
    /// `tcp_abort`: destroyed from outside (`ss -K`).
    Abort = 4,
    /// `inet_twsk_purge`: the network namespace is gone.
    Purge = 5,
    /// `tcp_check_req`: a segment ended a request.
    CheckRequest = 6,
    /// `tcp_req_err`: an ICMP error ended a request.
    RequestError = 7,
}

impl Caller {
    /// Every caller, in the order of its number.
    pub const ALL: [Self; 8] = [
        Self::Unknown,
        Self::TimewaitSegment,
        Self::Receive,
        Self::Connect,
        Self::Abort,
        Self::Purge,
        Self::CheckRequest,
        Self::RequestError,
    ];

    /// The caller with this number.
    #[must_use]
    pub const fn from_u32(number: u32) -> Option<Self> {
        if (number as usize) < Self::ALL.len() { Some(Self::ALL[number as usize]) } else { None }
    }
}

/// The kernel's functions, and the caller that each of them is. Of several on one stack the innermost counts.
pub const CALLER_FUNCTIONS: [(&str, Caller); 10] = [
    ("tcp_timewait_state_process", Caller::TimewaitSegment),
    ("tcp_v4_rcv", Caller::Receive),
    ("tcp_v6_rcv", Caller::Receive),
    ("__inet_check_established", Caller::Connect),
    ("__inet6_check_established", Caller::Connect),
    ("__inet_hash_connect", Caller::Connect),
    ("tcp_abort", Caller::Abort),
    ("inet_twsk_purge", Caller::Purge),
    ("tcp_check_req", Caller::CheckRequest),
    ("tcp_req_err", Caller::RequestError),
];

#[cfg(test)]
mod tests {
    use super::Caller;

    #[test]
    fn numbers_and_order_agree() {
        for (number, caller) in Caller::ALL.into_iter().enumerate() {
            assert_eq!(caller as usize, number);
            assert_eq!(Caller::from_u32(caller as u32), Some(caller));
        }
        assert_eq!(Caller::from_u32(8), None);
    }
}
