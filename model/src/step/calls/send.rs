//! SEND: RFC 9293, section 3.10.2.

use crate::effect::Done;
use crate::event::{CallError, Remote};
use crate::rule::Rule;
use crate::segment::FastOpen;
use crate::state::State;
use crate::step::Step;
use crate::tcb::Fin;

impl Step<'_> {
    pub(super) fn send_call(
        &mut self,
        len: u32,
        push: bool,
        urgent: bool,
        remote: Remote,
        admission: Result<(), CallError>,
    ) -> Result<Done, CallError> {
        match self.tcb.state {
            State::Closed => {
                let error = match admission {
                    Err(CallError::NoAccess) => CallError::NoAccess,
                    _ => CallError::DoesNotExist,
                };
                self.refuse(Rule::Send1, error)
            }
            State::Listen => {
                if let Err(error) = admission {
                    return self.refuse(Rule::Send3, error);
                }
                let named = if remote == Remote::Unspecified { self.tcb.remote } else { remote };
                match named {
                    Remote::Unspecified => self.refuse(Rule::Send3, CallError::RemoteUnspecified),
                    Remote::Forbidden => self.refuse(Rule::Send3, CallError::RemoteForbidden),
                    Remote::Specified if !self.has_room(len) => {
                        self.refuse(Rule::Send3, CallError::InsufficientResources)
                    }
                    Remote::Specified => {
                        self.take(Rule::Send2);
                        let config = self.tcb.config;
                        self.become_active(config);
                        self.queue(len, push, urgent);
                        let ride = if self.choices.text_on_syn { len.min(self.syn_room()) } else { 0 };
                        self.first_syn(ride);
                        Ok(Done::Queued)
                    }
                }
            }
            State::SynSent | State::SynReceived => {
                self.take(Rule::Send4);
                self.queue_more(len, push, urgent, admission)?;
                if self.tcb.state == State::SynSent && self.tcb.snd.nxt == self.tcb.snd.iss {
                    let carries_cookie = matches!(self.choices.fast_open, Some(FastOpen::Cookie(_)));
                    let ride = if carries_cookie { len.min(self.syn_room()) } else { 0 };
                    self.first_syn(ride);
                }
                self.transmit = true;
                Ok(Done::Queued)
            }
            State::Established | State::CloseWait => {
                self.take(Rule::Send5);
                self.queue_more(len, push, urgent, admission)?;
                self.transmit = true;
                Ok(Done::Queued)
            }
            State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck | State::TimeWait => {
                self.refuse(Rule::Send6, CallError::Closing)
            }
        }
    }

    // Text on a SYN: what the peer surely takes in one segment.
    fn syn_room(&self) -> u32 {
        u32::from(self.tcb.config.default_mss.min(self.tcb.config.mss))
    }

    /// Text for a connection that exists already, however far it has come.
    fn queue_more(
        &mut self,
        len: u32,
        push: bool,
        urgent: bool,
        admission: Result<(), CallError>,
    ) -> Result<(), CallError> {
        if self.tcb.snd.fin != Fin::None {
            return Err(CallError::Closing);
        }
        admission?;
        if !self.has_room(len) {
            return Err(CallError::InsufficientResources);
        }
        self.queue(len, push, urgent);
        Ok(())
    }

    fn has_room(&self, len: u32) -> bool {
        let snd = &self.tcb.snd;
        let held = snd.queued.saturating_add(snd.nxt - snd.una);
        held.saturating_add(len) <= self.tcb.config.send_buffer
    }

    fn queue(&mut self, len: u32, push: bool, urgent: bool) {
        let snd = &mut self.tcb.snd;
        snd.queued = snd.queued.saturating_add(len);
        if push || urgent {
            snd.pushed = snd.queued;
        }
        if urgent {
            let first = snd.nxt + u32::from(snd.nxt == snd.iss);
            snd.up = Some(first + snd.queued);
        }
    }
}
