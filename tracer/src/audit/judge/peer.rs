//! The peer of the kernel, as its segments show it.

use model::{Flags, State};

use crate::audit::play::{Logged, Recorded};

/// The state of a peer, as far as what it sent and received tells. One that lies has none of its own; this is what an
/// honest one would be in.
#[derive(Clone, Debug, Default)]
pub(super) struct Peer {
    pub(super) state: Option<State>,
    fin_end: Option<model::Seq>,
}

impl Peer {
    /// Takes note of what it sent or received.
    pub(super) fn follow(&mut self, logged: &Logged) {
        let Recorded::Segment { parsed, from_kernel, arrives, mischief, .. } = &logged.what else { return };
        if !arrives && *mischief != Some("lost") {
            return;
        }
        let segment = &parsed.segment;
        let (fin, ack) = (segment.has(Flags::FIN), segment.has(Flags::ACK));
        let state = self.state.unwrap_or(State::Closed);
        let acked = ack && self.fin_end.is_some_and(|end| segment.ack == end);
        let next = if segment.has(Flags::RST) {
            State::Closed
        } else if *from_kernel {
            match state {
                State::Closed if segment.has(Flags::SYN) && !ack => State::Listen,
                State::SynSent if segment.has(Flags::SYN) => {
                    if ack {
                        State::Established
                    } else {
                        State::SynReceived
                    }
                }
                State::SynReceived if ack && !fin => State::Established,
                State::SynReceived | State::Established if fin => State::CloseWait,
                State::FinWait1 if fin => {
                    if acked {
                        State::TimeWait
                    } else {
                        State::Closing
                    }
                }
                State::FinWait1 if acked => State::FinWait2,
                State::FinWait2 if fin => State::TimeWait,
                State::Closing if acked => State::TimeWait,
                State::LastAck if acked => State::Closed,
                other => other,
            }
        } else {
            if fin {
                self.fin_end = Some(segment.end());
            }
            match state {
                State::Closed | State::Listen if segment.has(Flags::SYN) => {
                    if ack {
                        State::SynReceived
                    } else {
                        State::SynSent
                    }
                }
                State::Established | State::SynReceived if fin => State::FinWait1,
                State::CloseWait if fin => State::LastAck,
                other => other,
            }
        };
        self.state = Some(next);
    }
}
