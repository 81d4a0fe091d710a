//! User calls: RFC 9293, sections 3.10.1 to 3.10.6.

use super::Step;
use crate::effect::{Delivery, Done, Effect, Signal, Status};
use crate::event::{Call, CallError, Origin, Remote};
use crate::profile::{AfterReset, LastAckEntry, SecondListen};
use crate::rule::Rule;
use crate::segment::Flags;
use crate::state::State;
use crate::tcb::{Config, Fin, Tcb};

impl Step<'_> {
    pub(super) fn call(&mut self, call: &Call) {
        let reply = match *call {
            Call::Open { origin, remote, config, admission } => self.open(origin, remote, config, admission),
            Call::Send { len, push, urgent, remote, admission } => {
                self.send_call(len, push, urgent, remote, admission)
            }
            Call::Receive { len, admission } => self.receive(len, admission),
            Call::Close { reader_gone } => self.close(reader_gone),
            Call::Abort => self.abort(),
            Call::Status => self.status(),
        };
        self.out.push(Effect::Reply(reply));
    }

    fn refuse(&mut self, rule: Rule, error: CallError) -> Result<Done, CallError> {
        self.take(rule);
        Err(error)
    }

    fn open(
        &mut self,
        origin: Origin,
        remote: Remote,
        config: Config,
        admission: Result<(), CallError>,
    ) -> Result<Done, CallError> {
        match self.tcb.state {
            State::Closed => {
                if let Err(error) = admission {
                    return self.refuse(Rule::Open4, error);
                }
                match (origin, remote) {
                    (Origin::Active, Remote::Forbidden) => {
                        self.refuse(Rule::Open4, CallError::RemoteForbidden)
                    }
                    (Origin::Active, Remote::Unspecified) => {
                        self.refuse(Rule::Open3, CallError::RemoteUnspecified)
                    }
                    (Origin::Passive, _) => {
                        self.take(Rule::Open1);
                        *self.tcb = Tcb::listening(config, remote);
                        Ok(Done::Queued)
                    }
                    (Origin::Active, Remote::Specified) => {
                        self.take(Rule::Open2);
                        self.become_active(config);
                        if !(config.fast_open && self.profile.fast_open) {
                            self.first_syn(0);
                        }
                        Ok(Done::Queued)
                    }
                }
            }
            State::Listen => {
                if origin == Origin::Passive {
                    self.take(Rule::Open7);
                    return match self.profile.second_listen {
                        SecondListen::Refuse => Err(CallError::AlreadyExists),
                        SecondListen::AnotherTcb => Ok(Done::Second),
                    };
                }
                if let Err(error) = admission {
                    return self.refuse(Rule::Open6, error);
                }
                match remote {
                    Remote::Unspecified => self.refuse(Rule::Open6, CallError::RemoteUnspecified),
                    Remote::Forbidden => self.refuse(Rule::Open6, CallError::RemoteForbidden),
                    Remote::Specified => {
                        self.take(Rule::Open5);
                        self.become_active(config);
                        self.first_syn(0);
                        Ok(Done::Queued)
                    }
                }
            }
            _ => self.refuse(Rule::Open8, CallError::AlreadyExists),
        }
    }

    // SND.UNA := ISS; the SYN itself is still to be sent.
    fn become_active(&mut self, config: Config) {
        let receives = self.tcb.rcv.wanted;
        *self.tcb = Tcb { origin: Origin::Active, ..Tcb::listening(config, Remote::Specified) };
        self.enter(State::SynSent);
        self.tcb.rcv.wanted = receives;
        self.prepare(self.choices.iss);
    }

    /// The variables of a connection that begins with this ISS.
    pub(super) fn prepare(&mut self, iss: crate::seq::Seq) {
        let snd = &mut self.tcb.snd;
        (snd.iss, snd.una, snd.nxt) = (iss, iss, iss);
        self.tcb.rcv.wnd = self.tcb.config.receive_buffer;
        if self.tcb.config.window_scale.is_none() {
            self.tcb.rcv.wnd = self.tcb.rcv.wnd.min(u32::from(u16::MAX));
        }
        self.tcb.rtt.rto = self.profile.limits.rto_initial;
        self.tcb.agreed.peer_mss = self.tcb.config.default_mss;
    }

    /// The SYN leaves, with `len` octets of the queue.
    fn first_syn(&mut self, len: u32) {
        self.send_syn(len);
        let snd = &mut self.tcb.snd;
        snd.nxt = snd.iss + 1 + len;
        snd.queued -= len.min(snd.queued);
        snd.pushed -= len.min(snd.pushed);
        self.time_segment();
        self.transmit = true;
    }

    fn send_call(
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
                if self.tcb.snd.fin != Fin::None {
                    return Err(CallError::Closing);
                }
                admission?;
                if !self.has_room(len) {
                    return Err(CallError::InsufficientResources);
                }
                self.queue(len, push, urgent);
                if self.tcb.state == State::SynSent && self.tcb.snd.nxt == self.tcb.snd.iss {
                    let carries_cookie = self.choices.fast_open.is_some();
                    let ride = if carries_cookie { len.min(self.syn_room()) } else { 0 };
                    self.first_syn(ride);
                }
                self.transmit = true;
                Ok(Done::Queued)
            }
            State::Established | State::CloseWait => {
                self.take(Rule::Send5);
                if self.tcb.snd.fin != Fin::None {
                    return Err(CallError::Closing);
                }
                admission?;
                if !self.has_room(len) {
                    return Err(CallError::InsufficientResources);
                }
                self.queue(len, push, urgent);
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

    fn receive(&mut self, len: u32, admission: Result<(), CallError>) -> Result<Done, CallError> {
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
            State::CloseWait => self.refuse(Rule::Recv6, CallError::Closing),
            State::Closing | State::LastAck | State::TimeWait => {
                self.take(Rule::Recv7);
                if self.profile.reads_after_close && self.tcb.rcv.readable > 0 {
                    return Ok(Done::Received(self.deliver(len)));
                }
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
    pub(super) fn deliver(&mut self, len: u32) -> Delivery {
        let rcv = &mut self.tcb.rcv;
        let len = len.min(rcv.readable);
        // A FIN before RCV.NXT has a number too, but is not text.
        let fin = u32::from(matches!(
            self.tcb.state,
            State::CloseWait | State::Closing | State::LastAck | State::TimeWait
        ));
        let first = rcv.nxt - fin - rcv.readable;
        rcv.readable -= len;
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
            self.acknowledge(super::Reply::Now);
        }
        Delivery { seq: first, len, push, urgent }
    }

    /// Serves waiting RECEIVEs once enough text, a PUSH or a FIN is there.
    pub(super) fn serve_receives(&mut self, all: bool) {
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

    fn close(&mut self, reader_gone: bool) -> Result<Done, CallError> {
        let state = self.tcb.state;
        let half_duplex = self.profile.half_duplex_close && reader_gone;
        if half_duplex && state != State::Closed && self.tcb.rcv.readable > 0 {
            self.take(Rule::Close11);
            self.reset_at_nxt();
            self.fail_calls(CallError::Closing);
            self.delete();
            return Ok(Done::Ok);
        }
        self.tcb.rcv.reader_gone |= half_duplex && state != State::Closed;
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

    fn abort(&mut self) -> Result<Done, CallError> {
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
                        (snd.una, snd.queued, snd.pushed) = (snd.nxt, 0, 0);
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

    fn status(&mut self) -> Result<Done, CallError> {
        if self.tcb.state == State::Closed {
            return self.refuse(Rule::Stat1, CallError::DoesNotExist);
        }
        self.take(Rule::Stat2);
        let (snd, rcv) = (&self.tcb.snd, &self.tcb.rcv);
        Ok(Done::Status(Status {
            state: self.tcb.state,
            send: (snd.una, snd.nxt, snd.wnd),
            receive: (rcv.nxt, rcv.wnd),
            queued: (snd.queued, rcv.readable),
        }))
    }

    /// Begins an RTT measurement with what was just sent, unless one is under way (RFC 6298, section 3).
    pub(super) fn time_segment(&mut self) {
        if self.tcb.rtt.timing.is_none() {
            self.tcb.rtt.timing = Some((self.tcb.snd.nxt, self.now));
        }
    }
}
