//! Fifth check: the ACK field (RFC 9293, section 3.10.7.4).

use super::{Flow, Step};
use crate::effect::Signal;
use crate::event::{Origin, Timer};
use crate::profile::{BadAck, TimeWaitAck};
use crate::rule::Rule;
use crate::segment::{Flags, Segment};
use crate::seq::Seq;
use crate::state::State;
use crate::step::Reply;
use crate::tcb::Fin;

impl Step<'_> {
    pub(super) fn check_ack(&mut self, segment: &Segment, inside: &Segment) -> Flow {
        if !segment.has(Flags::ACK) {
            self.take(Rule::Ack0);
            return Flow::Drop;
        }
        if self.tcb.state == State::SynReceived {
            return self.ack_in_syn_received(segment);
        }
        let unchallenged = self.profile.time_wait_unchallenged && self.tcb.state == State::TimeWait;
        if self.profile.rfc5961_ack && !unchallenged && self.is_out_of_ack_range(segment.ack) {
            self.take(Rule::Ack1);
            if !self.is_unsent_ack_unanswered(segment.ack) {
                self.acknowledge(Reply::Now);
            }
            return Flow::Drop;
        }
        if self.is_refused_for_its_old_ack(segment.ack) {
            self.take(Rule::Ack5);
            self.acknowledge(Reply::Now);
            return Flow::Drop;
        }
        self.peer_is_alive();
        match self.tcb.state {
            State::TimeWait => {
                self.ack_in_time_wait(inside);
                Flow::Go
            }
            State::LastAck => {
                self.ack_in_last_ack(segment);
                if self.check_text_after_fin(segment) == Flow::Go {
                    self.counts_fin_again(segment);
                }
                Flow::Drop
            }
            _ => {
                if self.ack_of_data(segment) == Flow::Drop {
                    return Flow::Drop;
                }
                let flow = self.ack_of_fin();
                if flow == Flow::Drop && self.check_text_after_fin(segment) == Flow::Go {
                    self.counts_fin_again(segment);
                }
                flow
            }
        }
    }

    fn is_out_of_ack_range(&self, ack: Seq) -> bool {
        let snd = &self.tcb.snd;
        // Nobody can acknowledge what was before the beginning; the SYN counts where we have sent it first.
        let acked = (snd.una - snd.iss).saturating_sub(u32::from(self.tcb.origin == Origin::Passive));
        let floor = if self.profile.ack_floor_by_acked { snd.max_wnd.min(acked) } else { snd.max_wnd };
        ack.lt(snd.una - floor) || ack.gt(snd.nxt)
    }

    /// Older Linux: `tcp_ack` drops it, and who calls it on a connection gives no answer.
    pub(super) fn is_unsent_ack_unanswered(&self, ack: Seq) -> bool {
        self.profile.unsent_ack_unanswered && self.tcb.state == State::Established && ack.gt(self.tcb.snd.nxt)
    }

    /// Older Linux: to `tcp_rcv_state_process` an ACK is acceptable only when it is not old.
    fn is_refused_for_its_old_ack(&self, ack: Seq) -> bool {
        let full = !matches!(self.tcb.state, State::Established | State::TimeWait);
        self.profile.old_ack_refused && full && ack.lt(self.tcb.snd.una)
    }

    fn ack_in_syn_received(&mut self, segment: &Segment) -> Flow {
        let snd = self.tcb.snd;
        let acknowledges = segment.ack - snd.una;
        let old = acknowledges == 0 && self.profile.handshake_by_old_ack && self.tcb.origin == Origin::Active;
        if !old && (acknowledges == 0 || acknowledges > snd.nxt - snd.una) {
            self.take(Rule::Ack3);
            match self.profile.bad_ack {
                BadAck::Reset => self.reset(segment),
                BadAck::Ack => self.acknowledge(Reply::Now),
            }
            return Flow::Drop;
        }
        self.take(Rule::Ack2);
        if !old {
            self.accept_ack(segment.ack);
        }
        self.take_window(segment);
        self.tcb.former = None;
        self.enter(State::Established);
        self.signal(Signal::Established);
        if self.tcb.snd.fin == Fin::Wanted {
            // The CLOSE that close-5 put off.
            self.take(Rule::Close6);
            self.enter(State::FinWait1);
        }
        Flow::Go
    }

    /// ack-4 to ack-7, which many states share.
    fn ack_of_data(&mut self, segment: &Segment) -> Flow {
        let snd = self.tcb.snd;
        let ahead = segment.ack - snd.una;
        if ahead > 0 && ahead <= snd.nxt - snd.una {
            self.take(Rule::Ack4);
            self.accept_ack(segment.ack);
            self.recover();
        } else if segment.ack.le(snd.una) {
            self.take(Rule::Ack5);
        } else {
            self.take(Rule::Ack6);
            self.acknowledge(Reply::Now);
            return Flow::Drop;
        }
        if segment.ack == self.tcb.snd.una && self.is_window_news(segment, ahead > 0) {
            self.take(Rule::Ack7);
            self.take_window(segment);
        } else if self.profile.predicted_window && self.is_predicted(segment) {
            self.tcb.snd.wl1 = segment.seq;
        }
        if self.tcb.snd.wnd == 0 {
            // The peer answers probes: no reason to give up (MUST-37).
            self.tcb.rtt.retransmits = 0;
            self.stop(Timer::User);
        }
        Flow::Go
    }

    // Old segments must not bring old windows (3.10.7.4, fifth, ESTABLISHED).
    fn is_window_news(&self, segment: &Segment, acknowledges: bool) -> bool {
        let snd = &self.tcb.snd;
        let (later, same) = (snd.wl1.lt(segment.seq), snd.wl1 == segment.seq);
        if !self.profile.window_by_progress {
            return later || same && snd.wl2.le(segment.ack);
        }
        let window = self.segment_window(segment);
        let closes = window == 0 && !self.profile.closed_window_ignored;
        acknowledges || later || same && (window > snd.wnd || closes)
    }

    /// Linux: text in order with nothing new beside it takes the fast path, which notes its number unseen
    /// (`tcp_rcv_established`, `tcp_update_wl`).
    fn is_predicted(&self, segment: &Segment) -> bool {
        let (snd, rcv) = (&self.tcb.snd, &self.tcb.rcv);
        let as_foretold =
            segment.seq == rcv.nxt && segment.ack == snd.una && self.segment_window(segment) == snd.wnd;
        let plain = segment.flags.without(Flags::PSH) == Flags::ACK && segment.len > 0;
        self.tcb.state == State::Established && as_foretold && plain && rcv.held.is_empty()
    }

    // After a timeout each ACK that falls short of what was sent before it calls for the next segment (RFC 5681, 3.1:
    // the sender starts again from SND.UNA), instead of another timeout for each.
    fn recover(&mut self) {
        match self.tcb.rtt.recover {
            Some(until) if self.tcb.snd.una.lt(until) => self.resend = true,
            _ => self.tcb.rtt.recover = None,
        }
    }

    fn ack_of_fin(&mut self) -> Flow {
        let acked = self.tcb.fin_acked();
        match self.tcb.state {
            State::FinWait1 if acked => {
                self.take(Rule::Ack8);
                self.enter(State::FinWait2);
                self.take(Rule::Ack9);
                self.answer_close();
            }
            State::FinWait2 => {
                self.take(Rule::Ack9);
                self.answer_close();
            }
            State::Closing if acked => {
                self.take(Rule::Ack10);
                self.answer_close();
                self.enter_time_wait();
            }
            State::Closing => {
                self.take(Rule::Ack11);
                self.transmit = true;
                return Flow::Drop;
            }
            _ => {}
        }
        Flow::Go
    }

    fn ack_in_last_ack(&mut self, segment: &Segment) {
        let snd = self.tcb.snd;
        if snd.fin == Fin::Sent && segment.ack == snd.nxt {
            self.take(Rule::Ack12);
            self.answer_close();
            self.delete();
            return;
        }
        self.take(Rule::Ack13);
        if self.profile.partial_ack_in_last_ack && self.ack_of_data(segment) == Flow::Go {
            self.transmit = true;
        }
    }

    fn ack_in_time_wait(&mut self, inside: &Segment) {
        self.take(Rule::Ack14);
        if self.profile.time_wait_ack == TimeWaitAck::Anything || inside.has(Flags::FIN) {
            self.acknowledge(Reply::Now);
            self.restart_time_wait();
        }
    }

    fn answer_close(&mut self) {
        if !self.tcb.close_answered {
            self.tcb.close_answered = true;
            self.signal(Signal::Closed);
        }
    }

    fn peer_is_alive(&mut self) {
        self.tcb.rtt.keep_alive_probes = 0;
        if let (Some(idle), true) = (self.tcb.config.keep_alive, self.tcb.timers.has(Timer::KeepAlive)) {
            self.start(Timer::KeepAlive, idle);
        }
    }

    /// SND.UNA := SEG.ACK; measures, restarts the timers (RFC 6298, 5.2 and 5.3), completes SENDs.
    pub(in crate::step) fn accept_ack(&mut self, ack: Seq) {
        let snd = self.tcb.snd;
        if let Some((end, since)) = self.tcb.rtt.timing
            && ack.ge(end)
        {
            self.tcb.rtt.timing = None;
            self.measure(self.now.saturating_sub(since));
        }
        let syn = u32::from(snd.una == snd.iss);
        self.tcb.snd.una = ack;
        self.tcb.rtt.retransmits = 0;
        let fin = u32::from(self.tcb.fin_acked());
        if syn == 1 && self.tcb.rtt.syn_lost {
            // RFC 6298, 5.7: the network is slow or lossy; data begins carefully.
            self.tcb.rtt.syn_lost = false;
            self.tcb.rtt.rto = self.tcb.rtt.rto.max(3_000_000);
        }
        if ack - snd.una > syn + fin {
            self.signal(Signal::Sent(ack - fin));
        }
        if self.tcb.snd.up.is_some_and(|up| up.le(ack)) {
            self.tcb.snd.up = None;
        }
        // Started again, if anything is left, when the step ends.
        self.stop(Timer::Retransmit);
        self.stop(Timer::User);
    }

    // RFC 6298, 2.2 and 2.3.
    fn measure(&mut self, sample: u64) {
        let limits = &self.profile.limits;
        let rtt = &mut self.tcb.rtt;
        let (srtt, rttvar) = match rtt.srtt {
            None => (sample, sample / 2),
            Some(srtt) => {
                let error = srtt.abs_diff(sample);
                (
                    (srtt - srtt / 8).saturating_add(sample / 8),
                    (rtt.rttvar - rtt.rttvar / 4).saturating_add(error / 4),
                )
            }
        };
        (rtt.srtt, rtt.rttvar) = (Some(srtt), rttvar);
        let rto = srtt.saturating_add(limits.granularity.max(rttvar.saturating_mul(4)));
        rtt.rto = rto.max(limits.rto_min).min(limits.rto_max);
    }
}
