//! What a SYN's options agree on (RFC 9293, 3.7.1; RFC 7323; RFC 2018).

use super::Step;
use crate::segment::Segment;
use crate::tcb::{Agreed, Recent};

/// RFC 7323, section 2.3: a larger shift count is used as 14.
const MAX_SHIFT: u8 = 14;

impl Step<'_> {
    /// Takes the peer's offer from its SYN; an option counts only when both sides have it.
    pub(super) fn agree(&mut self, syn: &Segment) {
        let config = &self.tcb.config;
        let options = &syn.options;
        let scale = match (options.window_scale, config.window_scale) {
            (Some(theirs), Some(ours)) => Some((theirs.min(MAX_SHIFT), ours.min(MAX_SHIFT))),
            _ => None,
        };
        let timestamps = match options.timestamps {
            Some(stamp) if config.timestamps && self.profile.rfc7323 => {
                Some(Recent { value: stamp.value, since: self.now })
            }
            _ => None,
        };
        self.tcb.agreed = Agreed {
            peer_mss: options.mss.unwrap_or(config.default_mss),
            scale,
            scale_is_unasked: false,
            timestamps,
            sack: options.sack_permitted && config.sack,
        };
        // Until now the window was one that fits the 16 bits of a SYN.
        if scale.is_none() {
            self.tcb.rcv.wnd = self.tcb.rcv.wnd.min(u32::from(u16::MAX));
        }
    }

    /// SEG.WND: the field, scaled unless the segment is a SYN (RFC 7323, section 2.2).
    pub(super) fn segment_window(&self, segment: &Segment) -> u32 {
        let shift = match self.tcb.agreed.scale {
            Some((theirs, _)) if !segment.has(crate::segment::Flags::SYN) => u32::from(theirs),
            _ => 0,
        };
        u32::from(segment.window).checked_shl(shift).unwrap_or(u32::MAX)
    }

    /// SND.WND, SND.WL1 and SND.WL2 from this segment.
    pub(super) fn take_window(&mut self, segment: &Segment) {
        let window = self.segment_window(segment);
        let snd = &mut self.tcb.snd;
        snd.wnd = window;
        snd.wl1 = segment.seq;
        snd.wl2 = segment.ack;
        snd.max_wnd = snd.max_wnd.max(window);
        if window > 0 {
            self.tcb.rtt.probes = 0;
        }
    }
}
