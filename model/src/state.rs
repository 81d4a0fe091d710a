//! The eleven states of RFC 9293, section 3.3.2.

use core::fmt;

/// A state of the RFC 9293 connection state machine (section 3.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// No connection at all: the fictional state without a TCB.
    Closed,
    /// Waiting for a connection request from any remote TCP peer and port.
    Listen,
    /// Waiting for a matching connection request after having sent one.
    SynSent,
    /// Waiting for the acknowledgment of the connection request after having received and sent one.
    SynReceived,
    /// An open connection: the normal state for the data transfer phase.
    Established,
    /// Waiting for the remote's termination request, or the acknowledgment of the one sent.
    FinWait1,
    /// Waiting for a connection termination request from the remote TCP peer.
    FinWait2,
    /// Waiting for a connection termination request from the local user.
    CloseWait,
    /// Waiting for the acknowledgment of the termination request from the remote TCP peer.
    Closing,
    /// Waiting for the acknowledgment of the termination request sent, after the remote's own.
    LastAck,
    /// Waiting for enough time to pass (2 MSL) that no old segment can harm a new connection.
    TimeWait,
}

impl State {
    /// Every state, in the order of RFC 9293, section 3.3.2, with CLOSED first.
    pub const ALL: [Self; 11] = [
        Self::Closed,
        Self::Listen,
        Self::SynSent,
        Self::SynReceived,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::CloseWait,
        Self::Closing,
        Self::LastAck,
        Self::TimeWait,
    ];

    /// The name as RFC 9293 spells it, for example `FIN-WAIT-1`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "CLOSED",
            Self::Listen => "LISTEN",
            Self::SynSent => "SYN-SENT",
            Self::SynReceived => "SYN-RECEIVED",
            Self::Established => "ESTABLISHED",
            Self::FinWait1 => "FIN-WAIT-1",
            Self::FinWait2 => "FIN-WAIT-2",
            Self::CloseWait => "CLOSE-WAIT",
            Self::Closing => "CLOSING",
            Self::LastAck => "LAST-ACK",
            Self::TimeWait => "TIME-WAIT",
        }
    }

    /// What the state stands for, in a sentence.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Closed => "No connection at all: the fictional state without a TCB.",
            Self::Listen => "Waiting for a connection request from any remote TCP peer and port.",
            Self::SynSent => "Waiting for a matching connection request after having sent one.",
            Self::SynReceived => {
                "Waiting for the acknowledgment of the connection request after having received and sent one."
            }
            Self::Established => "An open connection: the normal state for the data transfer phase.",
            Self::FinWait1 => {
                "Waiting for the remote's termination request, or the acknowledgment of the one sent."
            }
            Self::FinWait2 => "Waiting for a connection termination request from the remote TCP peer.",
            Self::CloseWait => "Waiting for a connection termination request from the local user.",
            Self::Closing => {
                "Waiting for the acknowledgment of the termination request from the remote TCP peer."
            }
            Self::LastAck => {
                "Waiting for the acknowledgment of the termination request sent, after the remote's own."
            }
            Self::TimeWait => {
                "Waiting for enough time to pass (2 MSL) that no old segment can harm a new connection."
            }
        }
    }

    /// True from ESTABLISHED on: both initial sequence numbers are agreed (RFC 9293, section 3.5).
    #[must_use]
    pub const fn is_synchronized(self) -> bool {
        !matches!(self, Self::Closed | Self::Listen | Self::SynSent | Self::SynReceived)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::State;

    #[test]
    fn only_four_states_are_not_synchronized() {
        let early: Vec<_> = State::ALL.into_iter().filter(|s| !s.is_synchronized()).collect();
        assert_eq!(early, [State::Closed, State::Listen, State::SynSent, State::SynReceived]);
    }

    #[test]
    fn every_state_has_a_sentence_of_its_own() {
        let sentences: BTreeSet<_> = State::ALL.into_iter().map(State::sentence).collect();
        assert_eq!(sentences.len(), State::ALL.len());
        assert!(sentences.into_iter().all(|sentence| sentence.ends_with('.')));
    }

    extern crate std;
    use std::collections::BTreeSet;
    use std::vec::Vec;
}
