//! The states a Linux kernel shows, which are not quite those of the RFC.

use core::fmt;

use crate::State;

/// A TCP state as Linux keeps it. The first eleven are the RFC's; `NewSynRecv` is the half-open request, which never
/// appears in a transition of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LinuxState {
    /// Data flows; RFC ESTABLISHED.
    Established,
    /// An active open; RFC SYN-SENT.
    SynSent,
    /// A full socket in RFC SYN-RECEIVED: a simultaneous open, Fast Open, or a child in its first microseconds.
    SynRecv,
    /// Closed by its user, FIN not acknowledged; RFC FIN-WAIT-1.
    FinWait1,
    /// FIN acknowledged, the peer's is awaited; RFC FIN-WAIT-2.
    FinWait2,
    /// Only ever seen in a timewait minisocket, never in a transition; RFC TIME-WAIT.
    TimeWait,
    /// No connection; RFC CLOSED.
    Close,
    /// The peer closed, our user has not; RFC CLOSE-WAIT.
    CloseWait,
    /// Closed by both, our FIN not acknowledged; RFC LAST-ACK.
    LastAck,
    /// Waiting for peers; RFC LISTEN.
    Listen,
    /// Closed by both at the same time; RFC CLOSING.
    Closing,
    /// A request socket that waits for the last ACK of the handshake; RFC SYN-RECEIVED.
    NewSynRecv,
}

impl LinuxState {
    /// Every state, in the kernel's order.
    pub const ALL: [Self; 12] = [
        Self::Established,
        Self::SynSent,
        Self::SynRecv,
        Self::FinWait1,
        Self::FinWait2,
        Self::TimeWait,
        Self::Close,
        Self::CloseWait,
        Self::LastAck,
        Self::Listen,
        Self::Closing,
        Self::NewSynRecv,
    ];

    /// The name as node_exporter spells it, so that metrics join: `established`, `syn_sent`, ... `new_syn_recv`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Established => "established",
            Self::SynSent => "syn_sent",
            Self::SynRecv => "syn_recv",
            Self::FinWait1 => "fin_wait1",
            Self::FinWait2 => "fin_wait2",
            Self::TimeWait => "time_wait",
            Self::Close => "close",
            Self::CloseWait => "close_wait",
            Self::LastAck => "last_ack",
            Self::Listen => "listen",
            Self::Closing => "closing",
            Self::NewSynRecv => "new_syn_recv",
        }
    }

    /// The state with this [`name`](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The RFC state that this one stands for.
    #[must_use]
    pub const fn rfc(self) -> State {
        match self {
            Self::Established => State::Established,
            Self::SynSent => State::SynSent,
            Self::SynRecv | Self::NewSynRecv => State::SynReceived,
            Self::FinWait1 => State::FinWait1,
            Self::FinWait2 => State::FinWait2,
            Self::TimeWait => State::TimeWait,
            Self::Close => State::Closed,
            Self::CloseWait => State::CloseWait,
            Self::LastAck => State::LastAck,
            Self::Listen => State::Listen,
            Self::Closing => State::Closing,
        }
    }
}

impl fmt::Display for LinuxState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::LinuxState;
    use crate::State;

    #[test]
    fn names_lead_back_to_their_states() {
        for state in LinuxState::ALL {
            assert_eq!(LinuxState::from_name(state.name()), Some(state));
            assert_eq!(state.to_string(), state.name());
        }
        assert_eq!(LinuxState::from_name("ESTABLISHED"), None);
    }

    #[test]
    fn every_rfc_state_has_a_linux_state() {
        for state in State::ALL {
            let count = LinuxState::ALL.into_iter().filter(|linux| linux.rfc() == state).count();
            assert_eq!(count, if state == State::SynReceived { 2 } else { 1 }, "{state}");
        }
    }
}
