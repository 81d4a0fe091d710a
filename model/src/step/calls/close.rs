//! CLOSE and ABORT: RFC 9293, sections 3.10.4 and 3.10.5.

use crate::effect::Done;
use crate::event::CallError;
use crate::profile::{AfterReset, LastAckEntry};
use crate::rule::Rule;
use crate::segment::Flags;
use crate::state::State;
use crate::step::Step;
use crate::tcb::{Fin, UnreadFins};

impl Step<'_> {
    pub(super) fn close(&mut self, reader_gone: bool) -> Result<Done, CallError> {
        let state = self.tcb.state;
        let forgotten = state == State::TimeWait && self.profile.time_wait_without_user;
        let half_duplex = self.profile.half_duplex_close && reader_gone && !forgotten;
        if half_duplex && state != State::Closed && self.tcb.rcv.is_unread() {
            self.take(Rule::Close11);
            self.reset_at_nxt();
            self.fail_calls(CallError::Closing);
            self.delete();
            return Ok(Done::Ok);
        }
        if half_duplex && state != State::Closed {
            self.tcb.rcv.reader_gone = true;
            self.tcb.rcv.unread_fins = UnreadFins::default();
        }
        match state {
            State::Closed => self.refuse(Rule::Close1, CallError::DoesNotExist),
            State::Listen | State::SynSent => {
                self.take(if state == State::Listen { Rule::Close2 } else { Rule::Close3 });
                self.fail_calls(CallError::Closing);
                self.delete();
                Ok(Done::Ok)
            }
            State::SynReceived => {
                let snd = self.tcb.snd;
                if snd.queued > 0 || snd.nxt != snd.iss + 1 || snd.fin != Fin::None {
                    self.take(Rule::Close5);
                    self.tcb.snd.fin = Fin::Wanted;
                    return Ok(Done::Queued);
                }
                self.take(Rule::Close4);
                // The peer's window is not known yet; the FIN goes out all the same.
                self.tcb.snd.fin = Fin::Sent;
                self.send(Flags::FIN_ACK, snd.nxt, 0);
                self.tcb.snd.nxt += 1;
                self.enter(State::FinWait1);
                self.transmit = true;
                Ok(Done::Queued)
            }
            State::Established => {
                self.take(Rule::Close6);
                self.tcb.snd.fin = Fin::Wanted;
                self.enter(State::FinWait1);
                self.transmit = true;
                Ok(Done::Queued)
            }
            State::FinWait1 | State::FinWait2 => {
                self.take(Rule::Close7);
                self.transmit = true;
                Ok(Done::Ok)
            }
            State::CloseWait => {
                let waits = self.tcb.snd.queued > 0;
                self.take(if waits { Rule::Close9 } else { Rule::Close8 });
                if self.tcb.snd.fin == Fin::None {
                    self.tcb.snd.fin = Fin::Wanted;
                }
                if !waits || self.profile.last_ack_entry == LastAckEntry::AtOnce {
                    self.enter(State::LastAck);
                }
                self.transmit = true;
                Ok(Done::Queued)
            }
            State::Closing | State::LastAck | State::TimeWait => {
                self.refuse(Rule::Close10, CallError::Closing)
            }
        }
    }

    pub(super) fn abort(&mut self) -> Result<Done, CallError> {
        match self.tcb.state {
            State::Closed => self.refuse(Rule::Abort1, CallError::DoesNotExist),
            State::Listen | State::SynSent => {
                self.take(Rule::Abort2);
                self.fail_calls(CallError::Reset);
                self.delete();
                Ok(Done::Ok)
            }
            State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait => {
                self.take(Rule::Abort3);
                self.reset_at_nxt();
                self.fail_calls(CallError::Reset);
                match self.profile.after_reset {
                    AfterReset::Closed => self.delete(),
                    AfterReset::TimeWait => {
                        let snd = &mut self.tcb.snd;
                        (snd.queued, snd.pushed) = (0, 0);
                        self.enter_time_wait();
                    }
                }
                Ok(Done::Ok)
            }
            State::Closing | State::LastAck | State::TimeWait => {
                self.take(Rule::Abort4);
                self.delete();
                Ok(Done::Ok)
            }
        }
    }
}
