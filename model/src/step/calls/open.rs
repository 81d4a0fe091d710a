//! OPEN: RFC 9293, section 3.10.1.

use crate::effect::Done;
use crate::event::{CallError, Origin, Remote};
use crate::profile::SecondListen;
use crate::rule::Rule;
use crate::seq::Seq;
use crate::state::State;
use crate::step::Step;
use crate::tcb::{Config, Tcb};

impl Step<'_> {
    pub(super) fn open(
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
    pub(super) fn become_active(&mut self, config: Config) {
        let receives = self.tcb.rcv.wanted;
        *self.tcb = Tcb { origin: Origin::Active, ..Tcb::listening(config, Remote::Specified) };
        self.enter(State::SynSent);
        self.tcb.rcv.wanted = receives;
        self.prepare(self.choices.iss);
    }

    /// The variables of a connection that begins with this ISS.
    pub(in crate::step) fn prepare(&mut self, iss: Seq) {
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
    pub(super) fn first_syn(&mut self, len: u32) {
        self.send_syn(len);
        let snd = &mut self.tcb.snd;
        snd.nxt = snd.iss + 1 + len;
        snd.queued -= len.min(snd.queued);
        snd.pushed -= len.min(snd.pushed);
        self.time_segment();
        self.transmit = true;
    }
}
