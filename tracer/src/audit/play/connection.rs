//! One connection as the wire shows it: where each side's counters stand.

use std::collections::VecDeque;

use model::{
    Flags, Segment, Seq,
    segment::{FastOpen, Timestamps},
};

use crate::audit::{
    account::Ports,
    scenario::{Cookie, Forgery, Number, Stamp},
    world::Parsed,
};

/// What the peer remembers of a connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Both ends.
    pub ports: Ports,
    /// The kernel's ISS, once seen.
    pub kernel_iss: Option<Seq>,
    /// How far the kernel's ISS lies beyond the one before.
    pub iss_gap: Option<u32>,
    /// The end of the kernel's text that a scenario has waited for.
    pub kernel_taken: Seq,
    /// The end of everything that the kernel has sent.
    pub kernel_nxt: Seq,
    /// The right edge that the kernel has offered.
    pub kernel_edge: Seq,
    /// The peer's ISS.
    pub peer_iss: Seq,
    /// The next number of the peer.
    pub peer_nxt: Seq,
    /// The kernel's segments that no step has waited for yet, with the time.
    pub unread: VecDeque<(u64, Parsed)>,
    /// The last packet that the kernel sent.
    pub last_packet: Vec<u8>,
    window: u16,
    kernel_scale: Option<u8>,
    peer_scale: Option<u8>,
    /// Whether each side has offered timestamps.
    stamps: (bool, bool),
    /// The kernel's last timestamp.
    kernel_stamp: u32,
    cookie: Option<u64>,
    begun: bool,
}

/// Where the peer's numbers begin.
const PEER_ISS: Seq = Seq(1_000_000);

impl Connection {
    /// A connection of which nothing was seen yet.
    #[must_use]
    pub fn new(ports: Ports) -> Self {
        Self {
            ports,
            kernel_iss: None,
            iss_gap: None,
            kernel_taken: Seq(0),
            kernel_nxt: Seq(0),
            kernel_edge: Seq(0),
            peer_iss: PEER_ISS,
            peer_nxt: PEER_ISS,
            unread: VecDeque::new(),
            last_packet: Vec::new(),
            window: 65_535,
            kernel_scale: None,
            peer_scale: None,
            stamps: (false, false),
            kernel_stamp: 0,
            cookie: None,
            begun: false,
        }
    }

    /// The kernel has sent this.
    pub fn sent(&mut self, time: u64, parsed: &Parsed, bytes: &[u8]) {
        let segment = &parsed.segment;
        let options = &segment.options;
        if segment.has(Flags::SYN) {
            if self.kernel_iss != Some(segment.seq) {
                self.iss_gap = self.kernel_iss.map(|before| segment.seq - before);
                self.kernel_iss = Some(segment.seq);
                self.kernel_taken = segment.seq;
                self.kernel_nxt = segment.seq;
            }
            self.kernel_scale = options.window_scale;
            self.stamps.0 = options.timestamps.is_some();
            if let Some(FastOpen::Cookie(cookie)) = options.fast_open {
                self.cookie = Some(cookie);
            }
        }
        if let Some(Timestamps { value, .. }) = options.timestamps {
            self.kernel_stamp = value;
        }
        // A reset without ACK takes its number from what it answers.
        let numbered = self.kernel_iss.is_some() && !segment.has(Flags::RST);
        if numbered && segment.end().gt(self.kernel_nxt) {
            self.kernel_nxt = segment.end();
        }
        if segment.has(Flags::ACK) && !segment.has(Flags::RST) {
            let scaled = !segment.has(Flags::SYN) && self.peer_scale.is_some();
            let shift = if scaled { self.kernel_scale.unwrap_or(0).min(14) } else { 0 };
            self.kernel_edge = segment.ack + (u32::from(segment.window) << shift);
        }
        self.unread.push_back((time, parsed.clone()));
        bytes.clone_into(&mut self.last_packet);
    }

    /// A step has waited for this segment.
    pub fn take(&mut self, segment: &Segment) {
        if !segment.has(Flags::RST) && segment.end().gt(self.kernel_taken) {
            self.kernel_taken = segment.end();
        }
    }

    /// The segment of a forgery; the peer's counter moves when it was the next one.
    pub fn forge(&mut self, forgery: &Forgery, clock: u32) -> Segment {
        if let Some(distance) = forgery.new_iss {
            let base = if self.begun { self.peer_nxt } else { Seq(0) };
            self.peer_iss = shifted(base, distance);
            self.peer_nxt = self.peer_iss;
        }
        self.begun = true;
        if let Some(window) = forgery.window {
            self.window = window;
        }
        let flags = forgery.flags;
        let mut segment = Segment {
            seq: self.number(forgery.seq.unwrap_or(Number::Relative(0)), (self.peer_iss, self.peer_nxt)),
            flags,
            window: self.window,
            urgent: forgery.urgent,
            len: forgery.len,
            ..Segment::default()
        };
        if flags.has(Flags::ACK) {
            let kernel = (self.kernel_iss.unwrap_or(Seq(0)), self.kernel_nxt);
            segment.ack = self.number(forgery.ack.unwrap_or(Number::Relative(0)), kernel);
        }
        if flags.has(Flags::SYN) {
            self.peer_scale = forgery.window_scale;
            self.stamps.1 = matches!(forgery.timestamps, Stamp::Offer | Stamp::Shifted(_));
            segment.options.mss = forgery.mss;
            segment.options.window_scale = forgery.window_scale;
            segment.options.sack_permitted = forgery.sack_permitted;
            segment.options.fast_open = forgery.fast_open.map(|cookie| match cookie {
                Cookie::Request => FastOpen::Request,
                Cookie::Granted => FastOpen::Cookie(self.cookie.unwrap_or(0)),
                Cookie::Wrong => FastOpen::Cookie(!self.cookie.unwrap_or(0)),
            });
        }
        segment.options.timestamps = self.stamp(forgery, clock);
        if segment.seq == self.peer_nxt && !flags.has(Flags::RST) {
            self.peer_nxt = segment.end();
        }
        segment
    }

    fn stamp(&self, forgery: &Forgery, clock: u32) -> Option<Timestamps> {
        // A peer that offers and a kernel that has not spoken yet, or both have.
        let offering = forgery.flags.has(Flags::SYN) && self.stamps.1;
        let agreed = self.stamps == (true, true) || offering;
        let shift = match forgery.timestamps {
            Stamp::Missing => return None,
            Stamp::Shifted(shift) => shift,
            Stamp::Agreed | Stamp::Offer => 0,
        };
        let value = shifted(Seq(clock), shift).0;
        agreed.then_some(Timestamps { value, echo: self.kernel_stamp })
    }

    /// A number of a side whose ISS and counter are these.
    #[must_use]
    pub fn number(&self, number: Number, (iss, nxt): (Seq, Seq)) -> Seq {
        match number {
            Number::Absolute(n) => shifted(iss, n),
            Number::Relative(n) => shifted(nxt, n),
            Number::Edge(n) => shifted(self.kernel_edge, n),
        }
    }

    /// A number of the kernel, counted from its ISS.
    #[must_use]
    pub fn of_kernel(&self, seq: Seq) -> i64 {
        distance(self.kernel_iss.unwrap_or(Seq(0)), seq)
    }

    /// A number of the peer, counted from its ISS.
    #[must_use]
    pub fn of_peer(&self, seq: Seq) -> i64 {
        distance(self.peer_iss, seq)
    }
}

fn shifted(base: Seq, by: i64) -> Seq {
    // Sequence numbers count modulo 2^32.
    Seq(u32::try_from((i64::from(base.0) + by).rem_euclid(1 << 32)).unwrap_or(0))
}

fn distance(base: Seq, seq: Seq) -> i64 {
    i64::from((seq - base).cast_signed())
}
