//! RECEIVE: RFC 9293, section 3.10.3.

use crate::effect::{Delivery, Done, Signal};
use crate::event::CallError;
use crate::rule::Rule;
use crate::state::State;
use crate::step::{Reply, Step};

impl Step<'_> {
    pub(super) fn receive(&mut self, len: u32, admission: Result<(), CallError>) -> Result<Done, CallError> {
        match self.tcb.state {
            State::Closed => {
                let error = match admission {
                    Err(CallError::NoAccess) => CallError::NoAccess,
                    _ => CallError::DoesNotExist,
                };
                self.refuse(Rule::Recv1, error)
            }
            State::Listen | State::SynSent | State::SynReceived => {
                self.take(Rule::Recv2);
                admission?;
                // Fast Open may already have delivered text (RFC 7413, section 4.2.2).
                if self.tcb.rcv.readable > 0 && self.readable_satisfies(len) {
                    return Ok(Done::Received(self.deliver(len)));
                }
                self.tcb.rcv.wanted = self.tcb.rcv.wanted.saturating_add(len);
                Ok(Done::Queued)
            }
            State::Established | State::FinWait1 | State::FinWait2 => {
                if self.readable_satisfies(len) {
                    self.take(Rule::Recv3);
                    return Ok(Done::Received(self.deliver(len)));
                }
                self.take(Rule::Recv4);
                admission?;
                self.tcb.rcv.wanted = self.tcb.rcv.wanted.saturating_add(len);
                Ok(Done::Queued)
            }
            State::CloseWait if self.tcb.rcv.readable > 0 => {
                self.take(Rule::Recv5);
                Ok(Done::Received(self.deliver(len)))
            }
            State::CloseWait => {
                self.tcb.rcv.unread_fins.meet();
                self.refuse(Rule::Recv6, CallError::Closing)
            }
            State::Closing | State::LastAck | State::TimeWait => {
                self.take(Rule::Recv7);
                if self.profile.reads_after_close && self.tcb.rcv.readable > 0 {
                    return Ok(Done::Received(self.deliver(len)));
                }
                self.tcb.rcv.unread_fins.meet();
                Err(CallError::Closing)
            }
        }
    }

    // A PUSH completes a RECEIVE that asked for more.
    fn readable_satisfies(&self, len: u32) -> bool {
        let rcv = &self.tcb.rcv;
        rcv.readable >= len || (rcv.push && rcv.readable > 0)
    }

    /// Hands over at most `len` octets, oldest first, and opens the window as far as the silly-window rule allows.
    pub(in crate::step) fn deliver(&mut self, len: u32) -> Delivery {
        let rcv = &mut self.tcb.rcv;
        let wanted = len;
        let len = wanted.min(rcv.readable);
        // A FIN before RCV.NXT has a number too, but is not text.
        let fin = u32::from(matches!(
            self.tcb.state,
            State::CloseWait | State::Closing | State::LastAck | State::TimeWait
        ));
        let first = rcv.nxt - fin - rcv.readable;
        rcv.readable -= len;
        if rcv.readable == 0 && (wanted > len || rcv.unread_fins.with_text) {
            rcv.unread_fins.meet();
        }
        let push = rcv.push && rcv.readable == 0;
        if push {
            rcv.push = false;
        }
        let consumed = first + len;
        let urgent = rcv.up.is_some_and(|up| up.gt(consumed));
        if !urgent {
            rcv.up = None;
        }
        if fin == 0 && self.open_window() {
            self.acknowledge(Reply::Now);
        }
        Delivery { seq: first, len, push, urgent }
    }

    /// Serves waiting RECEIVEs once enough text, a PUSH or a FIN is there.
    pub(in crate::step) fn serve_receives(&mut self, all: bool) {
        let rcv = &self.tcb.rcv;
        if rcv.wanted == 0 || rcv.readable == 0 {
            return;
        }
        if all || rcv.push || rcv.readable >= rcv.wanted {
            let wanted = rcv.wanted;
            self.tcb.rcv.wanted = 0;
            let delivery = self.deliver(wanted);
            self.signal(Signal::Received(delivery));
        }
    }
}
