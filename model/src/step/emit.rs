//! Segments as they leave: the forms of RFC 9293, section 3.10.7.

use super::{Reply, Step};
use crate::effect::Effect;
use crate::event::Timer;
use crate::segment::{Flags, Options, Segment, Timestamps};
use crate::seq::Seq;
use crate::state::State;
use crate::tcb::Fin;

impl Step<'_> {
    /// Fills in what every segment of a connection carries, and sends it.
    pub(super) fn send(&mut self, flags: Flags, seq: Seq, len: u32) {
        let mut segment = Segment { seq, flags, len, ..Segment::default() };
        segment.compartment = self.tcb.config.compartment;
        if flags.has(Flags::ACK) {
            segment.ack = self.tcb.rcv.nxt;
            self.tcb.rcv.last_ack = self.tcb.rcv.nxt;
            self.tcb.rcv.unacked = 0;
            self.reply = Reply::None;
            self.stop(Timer::DelayedAck);
        }
        // The window of a SYN is never scaled (RFC 7323, section 2.2).
        let shift = match self.tcb.agreed.scale {
            Some((_, ours)) if !flags.has(Flags::SYN) => u32::from(ours),
            _ => 0,
        };
        let window = self.tcb.rcv.wnd.checked_shr(shift).unwrap_or(0);
        segment.window = u16::try_from(window).unwrap_or(u16::MAX);
        if let Some(urgent) = self.urgent_offset(seq, len) {
            segment.flags = segment.flags.with(Flags::URG);
            segment.urgent = urgent;
        }
        segment.options = if flags.has(Flags::SYN) { self.syn_options(flags) } else { self.options() };
        self.out.push(Effect::Send(segment));
    }

    // URG is set as long as urgent data is ahead of what this segment carries, or in it (3.8.5, MUST-62).
    fn urgent_offset(&self, seq: Seq, len: u32) -> Option<u16> {
        let up = self.tcb.snd.up?;
        (len > 0 && up.gt(seq)).then(|| u16::try_from(up - seq).unwrap_or(u16::MAX))
    }

    fn options(&self) -> Options {
        Options { timestamps: self.timestamps(), ..Options::default() }
    }

    fn timestamps(&self) -> Option<Timestamps> {
        let recent = self.tcb.agreed.timestamps?;
        Some(Timestamps { value: self.timestamp_clock(), echo: recent.value })
    }

    /// The timestamp clock: one tick per millisecond (RFC 7323, section 5.4).
    #[expect(clippy::cast_possible_truncation, reason = "the clock wraps by design")]
    pub(super) const fn timestamp_clock(&self) -> u32 {
        (self.now / 1_000) as u32
    }

    fn syn_options(&self, flags: Flags) -> Options {
        let config = &self.tcb.config;
        let answer = flags.has(Flags::ACK);
        // A SYN+ACK may only repeat what the SYN offered (RFC 7323, sections 2.2 and 3.2); a SYN offers.
        let scale = if answer { self.tcb.agreed.scale.map(|(_, ours)| ours) } else { config.window_scale };
        let timestamps = if answer {
            self.timestamps()
        } else {
            config.timestamps.then(|| Timestamps { value: self.timestamp_clock(), echo: 0 })
        };
        Options {
            mss: Some(config.mss),
            window_scale: scale,
            sack_permitted: if answer { self.tcb.agreed.sack } else { config.sack },
            timestamps,
            fast_open: if self.profile.fast_open { self.choices.fast_open } else { None },
        }
    }

    /// `<SEQ=ISS><CTL=SYN>`, with text when Fast Open or 3.10.2 lets it ride.
    pub(super) fn send_syn(&mut self, len: u32) {
        let iss = self.tcb.snd.iss;
        self.send(Flags::SYN, iss, len);
    }

    /// `<SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>`
    pub(super) fn send_syn_ack(&mut self) {
        let iss = self.tcb.snd.iss;
        self.send(Flags::SYN_ACK, iss, 0);
    }

    /// The same because the peer repeats its SYN.
    pub(super) fn send_syn_ack_again(&mut self) {
        self.tcb.rtt.timing = None;
        self.send_syn_ack();
    }

    /// `<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>`
    pub(super) fn send_ack(&mut self) {
        let nxt = self.tcb.snd.nxt;
        self.send(Flags::ACK, nxt, 0);
    }

    /// The same as a challenge (RFC 5961), as often as the throttle allows.
    pub(super) fn challenge(&mut self) {
        if let Some((limit, period)) = self.profile.limits.challenges {
            let throttle = &mut self.tcb.challenges;
            if self.now.saturating_sub(throttle.since) >= period {
                (throttle.since, throttle.count) = (self.now, 0);
            }
            if throttle.count >= limit {
                return;
            }
            throttle.count += 1;
        }
        self.send_ack();
    }

    /// The reset that answers a segment.
    pub(super) fn reset(&mut self, segment: &Segment) {
        debug_assert!(!segment.has(Flags::RST), "a reset never answers a reset");
        self.out.push(Effect::Send(segment.answering_reset()));
    }

    /// `<SEQ=SND.NXT><CTL=RST>`
    pub(super) fn reset_at_nxt(&mut self) {
        let snd = &self.tcb.snd;
        let edge = snd.una + snd.wnd;
        // A window that both agreed to scale cannot tell less.
        let agreed = self.tcb.agreed.scale.filter(|_| !self.tcb.agreed.scale_is_unasked);
        let step = agreed.map_or(1, |(_, ours)| 1 << ours.min(14));
        let withdrawn = edge.lt(snd.nxt) && snd.nxt - edge >= step;
        let reset = Segment {
            seq: if self.profile.reset_at_edge && withdrawn { edge } else { snd.nxt },
            flags: Flags::RST,
            compartment: self.tcb.config.compartment,
            ..Segment::default()
        };
        self.out.push(Effect::Send(reset));
    }

    /// The segment at the head of the retransmission queue, again: SYN and SYN+ACK without text (RFC 7413, 4.1.3).
    ///
    /// Karn: what was sent twice is not measured (RFC 6298, section 3).
    pub(super) fn retransmit_head(&mut self, at_most: u32) {
        let snd = self.tcb.snd;
        self.tcb.rtt.timing = None;
        if self.tcb.syn_unacked() {
            if self.tcb.state == State::SynSent {
                self.send_syn(0);
            } else {
                self.send_syn_ack();
            }
            return;
        }
        let fin = u32::from(snd.fin == Fin::Sent);
        let text = (snd.nxt - snd.una).saturating_sub(fin);
        let len = text.min(self.tcb.effective_mss()).min(at_most.max(1));
        let mut flags = Flags::ACK;
        if len == text {
            if fin == 1 {
                flags = flags | Flags::FIN;
            }
            if len > 0 {
                flags = flags | Flags::PSH;
            }
        }
        self.send(flags, snd.una, len);
    }
}
