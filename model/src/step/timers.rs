//! Timers: RFC 9293, section 3.10.8, and those that the RFC names only in section 3.8 (contradiction 20).

use super::Step;
use crate::effect::Signal;
use crate::event::{CallError, Origin, Timer};
use crate::profile::R2;
use crate::rule::Rule;
use crate::state::State;

impl Step<'_> {
    pub(super) fn expires(&mut self, timer: Timer) {
        if !self.tcb.timers.has(timer) || matches!(self.tcb.state, State::Closed | State::Listen) {
            return;
        }
        self.tcb.timers = self.tcb.timers.without(timer);
        match timer {
            Timer::User => self.user_timeout(),
            Timer::Retransmit => self.retransmission_timeout(),
            Timer::TimeWait => {
                self.take(Rule::TmoTw);
                self.delete();
            }
            Timer::DelayedAck => {
                self.take(Rule::TmoDack);
                self.send_ack();
            }
            Timer::Persist => self.probe_window(),
            Timer::SwsOverride => {
                self.take(Rule::TmoSws);
                self.output(1, true);
            }
            Timer::KeepAlive => self.keep_alive(),
            Timer::FinWait2 => {
                self.take(Rule::TmoFw2);
                self.delete();
            }
        }
    }

    fn user_timeout(&mut self) {
        self.take(Rule::TmoUser);
        if self.profile.user_timeout_resets && self.tcb.state != State::SynSent {
            self.reset_at_nxt();
        }
        self.abort_with(CallError::UserTimeout);
    }

    fn retransmission_timeout(&mut self) {
        if !self.tcb.in_flight() {
            return;
        }
        if self.beyond_r2() {
            self.take(Rule::TmoR2);
            self.abort_with(CallError::TimedOut);
            return;
        }
        self.take(Rule::TmoRtx);
        let limits = &self.profile.limits;
        let rtt = &mut self.tcb.rtt;
        if rtt.retransmits == 0 {
            rtt.since = self.now;
        }
        rtt.retransmits = rtt.retransmits.saturating_add(1);
        rtt.rto = limits.backed_off(rtt.rto, rtt.retransmits, self.tcb.state);
        let at_r1 = rtt.retransmits == limits.r1;
        if self.tcb.syn_unacked() {
            self.tcb.rtt.syn_lost = true;
        } else {
            self.tcb.rtt.recover = Some(self.tcb.snd.nxt);
        }
        self.retransmit_head(u32::MAX);
        if at_r1 {
            self.signal(Signal::DeliveryProblem);
        }
        // The timer runs again when the step ends, with the doubled RTO.
    }

    fn beyond_r2(&self) -> bool {
        let limits = &self.profile.limits;
        let r2 = match self.tcb.state {
            State::SynSent => limits.r2_syn,
            // The answer to a crossing SYN is our SYN once more, and counts with those before it (MUST-23).
            State::SynReceived if self.tcb.origin == Origin::Active => match limits.r2_syn {
                R2::Count(most) => R2::Count(most.saturating_sub(limits.linear_syns)),
                after @ R2::After(_) => after,
            },
            State::SynReceived => limits.r2_syn_ack,
            _ => limits.r2,
        };
        let rtt = &self.tcb.rtt;
        match r2 {
            R2::Count(most) => rtt.retransmits >= most,
            // R2 lies beyond R1: a backed-off timer must not use up the time in one or two attempts.
            R2::After(time) => rtt.retransmits > limits.r1 && self.now.saturating_sub(rtt.since) >= time,
        }
    }

    // Armed only while nothing is outstanding (MUST-26).
    fn keep_alive(&mut self) {
        self.take(Rule::TmoKeep);
        if self.tcb.rtt.keep_alive_probes >= self.profile.limits.keep_alive_probes {
            if self.profile.keep_alive_resets {
                self.reset_at_nxt();
            }
            self.abort_with(CallError::TimedOut);
            return;
        }
        self.tcb.rtt.keep_alive_probes = self.tcb.rtt.keep_alive_probes.saturating_add(1);
        // A number already acknowledged and no text: the peer answers that it is not acceptable (SHLD-12).
        let probe = self.tcb.snd.nxt - 1;
        self.send(crate::segment::Flags::ACK, probe, 0);
        self.start(Timer::KeepAlive, self.profile.limits.keep_alive_interval);
    }
}
