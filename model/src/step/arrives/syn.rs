//! Fourth check: SYN (RFC 9293, section 3.10.7.4).

use super::{Flow, Step};
use crate::event::{CallError, Origin};
use crate::profile::SynInSynReceived;
use crate::rule::Rule;
use crate::segment::{Flags, Segment};
use crate::state::State;

impl Step<'_> {
    pub(super) fn check_syn(&mut self, segment: &Segment, inside: &Segment) -> Flow {
        // RFC 5961 challenges a SYN in synchronized states wherever it lies, even where trimming cut it off.
        // In Linux those that opened actively are sockets like any other.
        let crossed = self.profile.loose_edges
            && self.tcb.state == State::SynReceived
            && self.tcb.origin == Origin::Active
            && !self.trail.contains(Rule::Seq2g);
        let anywhere = self.profile.rfc5961_syn && (self.tcb.state.is_synchronized() || crossed);
        let counts = inside.has(Flags::SYN) || (anywhere && segment.has(Flags::SYN));
        let passive = self.tcb.state == State::SynReceived && self.tcb.origin == Origin::Passive;
        if passive && self.profile.half_open_requests && segment.has(Flags::SYN_ACK) && !counts {
            // The SYN that the request does not count, its child does (Linux: `tcp_child_process`).
            self.take(Rule::Syn2);
            self.challenge();
            return Flow::Drop;
        }
        if !counts {
            return Flow::Go;
        }
        if passive {
            self.take(Rule::Syn1);
            match self.profile.syn_in_syn_received {
                SynInSynReceived::ReturnToListen => self.return_to_listen(),
                SynInSynReceived::Challenge => self.challenge(),
                SynInSynReceived::ResetAndForget => {
                    self.reset(segment);
                    self.return_to_listen();
                }
            }
        } else if self.profile.rfc5961_syn {
            self.take(Rule::Syn2);
            self.challenge();
        } else {
            self.take(Rule::Syn3);
            self.reset(segment);
            self.abort_with(CallError::Reset);
        }
        Flow::Drop
    }
}
