//! Sending: what window, Nagle, silly-window avoidance and congestion control let go; and the timers that follow
//! from what is left (RFC 9293, section 3.8).

use super::{Reply, Step};
use crate::effect::MAX_BURST;
use crate::event::{Origin, Timer};
use crate::rule::Rule;
use crate::segment::Flags;
use crate::state::State;
use crate::tcb::Fin;

impl Step<'_> {
    /// Ends every step: what is due again, new text, the ACK if nothing carried it, then timers.
    pub(super) fn finish(&mut self) {
        let mut burst = self.choices.burst.min(MAX_BURST);
        if self.resend && burst > 0 {
            self.retransmit_head(u32::MAX);
            burst -= 1;
        }
        if self.transmit {
            self.output(burst, false);
        }
        match self.reply {
            Reply::None => {}
            Reply::Now => self.send_ack(),
            Reply::Delayable if self.tcb.timers.has(Timer::DelayedAck) => {}
            Reply::Delayable => self.start(Timer::DelayedAck, self.profile.limits.delayed_ack),
        }
        if self.tcb.state != State::TimeWait {
            self.arm();
        }
    }

    /// Sends new text and the FIN in at most `burst` segments; with `override_sws` also what silly-window avoidance
    /// would hold back.
    pub(super) fn output(&mut self, burst: u8, override_sws: bool) {
        if !self.may_send() {
            return;
        }
        for _ in 0..burst {
            if self.tcb.snd.queued > 0 {
                if !self.send_text(override_sws) {
                    return;
                }
            } else {
                if self.tcb.snd.fin == Fin::Wanted && self.window_room() > 0 {
                    self.send_fin(0);
                }
                return;
            }
        }
    }

    fn may_send(&self) -> bool {
        match self.tcb.state {
            State::Established | State::CloseWait | State::FinWait1 | State::Closing | State::LastAck => {
                !self.tcb.syn_unacked()
            }
            // A Fast Open server may answer before the handshake ends (RFC 7413, section 4.2.2).
            State::SynReceived => {
                self.profile.fast_open
                    && self.tcb.origin == Origin::Passive
                    && self.tcb.rcv.nxt != self.tcb.rcv.irs + 1
            }
            _ => false,
        }
    }

    // The usable window: zero, too, where the peer shrank it below what is in flight (MUST-34).
    fn window_room(&self) -> u32 {
        let snd = &self.tcb.snd;
        snd.wnd.saturating_sub(snd.nxt - snd.una)
    }

    /// One segment of text, if the rules of 3.8.6.2.1 allow it.
    fn send_text(&mut self, override_sws: bool) -> bool {
        let snd = self.tcb.snd;
        let in_flight = snd.nxt - snd.una;
        let congestion_room = self.choices.congestion_window.saturating_sub(in_flight);
        let window_room = self.window_room();
        let mss = self.tcb.effective_mss();
        let len = snd.queued.min(mss).min(window_room).min(congestion_room);
        let last = len == snd.queued;
        let nagle = in_flight == 0 || !self.tcb.config.nagle;
        let closing = snd.fin == Fin::Wanted;
        let goes = len == mss
            || (last && nagle && snd.pushed > 0)
            || (last && closing)
            || (nagle && snd.max_wnd > 1 && len >= snd.max_wnd / 2)
            || override_sws;
        if len == 0 || !goes {
            return false;
        }
        if last && closing && window_room > len {
            self.send_fin(len);
            return false;
        }
        let flags = if last { Flags::ACK | Flags::PSH } else { Flags::ACK };
        self.send(flags, snd.nxt, len);
        self.advance(len);
        true
    }

    /// FIN, with the last `len` octets of text. In CLOSE-WAIT this is what enters LAST-ACK (close-9).
    fn send_fin(&mut self, len: u32) {
        let push = if len > 0 { Flags::PSH } else { Flags::NONE };
        self.send(Flags::FIN_ACK | push, self.tcb.snd.nxt, len);
        self.tcb.snd.fin = Fin::Sent;
        // First the FIN's own number: a round trip is measured to the ACK of the FIN, not of the text before it, which
        // may have been sent twice (Karn).
        self.tcb.snd.nxt += 1;
        self.advance(len);
        if self.tcb.state == State::CloseWait {
            self.enter(State::LastAck);
        }
    }

    fn advance(&mut self, len: u32) {
        let snd = &mut self.tcb.snd;
        snd.nxt += len;
        snd.queued = snd.queued.saturating_sub(len);
        snd.pushed = snd.pushed.saturating_sub(len);
        self.time_segment();
    }

    /// Begins an RTT measurement with what was just sent, unless one is under way (RFC 6298, section 3).
    pub(super) fn time_segment(&mut self) {
        if self.tcb.rtt.timing.is_none() {
            self.tcb.rtt.timing = Some((self.tcb.snd.nxt, self.now));
        }
    }

    /// Opens the window over what the user has read, once that is worth telling: half the buffer or a full segment
    /// (3.8.6.2.2, MUST-39). True when the peer should be told now and not with the next ACK.
    pub(super) fn open_window(&mut self) -> bool {
        let config = &self.tcb.config;
        let limit = if self.tcb.agreed.scale.is_some() { u32::MAX } else { u32::from(u16::MAX) };
        let rcv = &mut self.tcb.rcv;
        let space = config.receive_buffer.saturating_sub(rcv.readable).min(limit);
        let threshold = (config.receive_buffer / 2).min(u32::from(config.mss)).max(1);
        if space.saturating_sub(rcv.wnd) < threshold {
            return false;
        }
        let was = rcv.wnd;
        rcv.wnd = space;
        was < (config.receive_buffer / 2).min(2 * u32::from(config.mss)).max(1)
    }

    /// Something that the user gave has not left yet.
    fn unsent(&self) -> bool {
        self.tcb.snd.queued > 0 || self.tcb.snd.fin == Fin::Wanted
    }

    // The timers that must run, from what the TCB holds; each keeps running unless an ACK stopped it.
    fn arm(&mut self) {
        let state = self.tcb.state;
        let limits = self.profile.limits;
        let in_flight = self.tcb.in_flight();
        let sending = matches!(
            state,
            State::Established | State::CloseWait | State::FinWait1 | State::Closing | State::LastAck
        );
        let unsent = sending && self.unsent();
        let window_closed = sending && self.tcb.snd.wnd == 0 && !self.tcb.syn_unacked();
        let persist = window_closed && (in_flight || unsent);
        self.keep(Timer::Persist, persist, self.persist_interval());
        self.keep(Timer::Retransmit, in_flight && !persist, self.tcb.rtt.rto);
        let held_back = sending && self.tcb.snd.queued > 0 && !in_flight && !window_closed;
        self.keep(Timer::SwsOverride, held_back, limits.sws_override);
        let half_open_passive = state == State::SynReceived && self.tcb.origin == Origin::Passive;
        let user = (in_flight || unsent) && !half_open_passive;
        if let Some(after) = self.tcb.config.user_timeout {
            self.keep(Timer::User, user, after);
        }
        if let Some(idle) = self.tcb.config.keep_alive {
            let open = matches!(state, State::Established | State::CloseWait | State::FinWait2);
            self.keep(Timer::KeepAlive, open && !in_flight && !unsent, idle);
        }
        if let Some(after) = self.profile.fin_wait_2 {
            self.keep(Timer::FinWait2, state == State::FinWait2 && self.tcb.rcv.reader_gone, after);
        }
    }

    fn keep(&mut self, timer: Timer, wanted: bool, after: u64) {
        if !wanted {
            self.stop(timer);
        } else if !self.tcb.timers.has(timer) {
            self.start(timer, after);
        }
    }

    /// The first probe after one RTO (SHLD-29), each next one after twice the time (SHLD-30).
    fn persist_interval(&self) -> u64 {
        let factor = 1_u64.checked_shl(u32::from(self.tcb.rtt.probes)).unwrap_or(u64::MAX);
        self.tcb.rtt.rto.saturating_mul(factor).min(self.profile.limits.rto_max)
    }

    /// One octet, or the FIN, into a closed window: its ACK tells the window (MUST-36).
    pub(super) fn probe_window(&mut self) {
        self.take(Rule::TmoPersist);
        self.tcb.rtt.probes = self.tcb.rtt.probes.saturating_add(1);
        let snd = self.tcb.snd;
        if self.tcb.in_flight() {
            self.retransmit_head(1);
        } else if snd.queued > 0 {
            self.send(Flags::ACK, snd.nxt, 1);
            self.advance(1);
        } else if snd.fin == Fin::Wanted {
            self.send_fin(0);
        }
    }
}
