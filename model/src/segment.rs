//! A TCP segment as the machine sees it: header fields, decoded options, and the length of its text.
//!
//! Text carries no octets: octet `n` of a connection's stream *is* its sequence number, so delivery can be checked
//! (nothing lost, doubled or out of order) from numbers alone.

use core::fmt;
use core::ops::BitOr;

use crate::seq::Seq;

/// Control bits, at their places in the header (RFC 9293, section 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flags(pub u8);

impl Flags {
    /// No control bit.
    pub const NONE: Self = Self(0);
    /// No more data from the sender; takes one sequence number after the text.
    pub const FIN: Self = Self(0x01);
    /// Synchronize sequence numbers; takes one sequence number before the text.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push function.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment field is significant.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer field is significant.
    pub const URG: Self = Self(0x20);
    /// SYN and ACK together.
    pub const SYN_ACK: Self = Self(0x12);
    /// FIN and ACK together.
    pub const FIN_ACK: Self = Self(0x11);
    /// RST and ACK together.
    pub const RST_ACK: Self = Self(0x14);

    const NAMES: [(Self, &'static str); 6] = [
        (Self::SYN, "SYN"),
        (Self::FIN, "FIN"),
        (Self::RST, "RST"),
        (Self::PSH, "PSH"),
        (Self::ACK, "ACK"),
        (Self::URG, "URG"),
    ];

    /// True when every bit of `other` is set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These bits without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The union of two sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (flag, name) in Self::NAMES {
            if self.has(flag) {
                write!(f, "{separator}{name}")?;
                separator = ",";
            }
        }
        if separator.is_empty() { f.write_str("-") } else { Ok(()) }
    }
}

/// The Timestamps option (RFC 7323, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timestamps {
    /// The sender's timestamp clock.
    pub value: u32,
    /// The peer's clock, echoed.
    pub echo: u32,
}

/// The Fast Open option (RFC 7413, section 4.1.1), with cookies of eight octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FastOpen {
    /// An empty option: the client asks for a cookie.
    Request,
    /// A cookie: granted in a SYN+ACK, presented in a SYN.
    Cookie(u64),
}

/// The options that change the machine; any other is skipped by its length (MUST-6) before it gets here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options {
    /// Maximum segment size, in SYN segments only (MUST-65).
    pub mss: Option<u16>,
    /// Window scale shift count, in SYN segments only (RFC 7323, section 2).
    pub window_scale: Option<u8>,
    /// SACK-permitted (RFC 2018, section 2), in SYN segments only.
    pub sack_permitted: bool,
    /// Timestamps.
    pub timestamps: Option<Timestamps>,
    /// Fast Open, in SYN segments only.
    pub fast_open: Option<FastOpen>,
}

/// One segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Segment {
    /// Number of the first octet, or of the SYN.
    pub seq: Seq,
    /// The next number the sender expects; meaningful with ACK only.
    pub ack: Seq,
    /// Control bits.
    pub flags: Flags,
    /// The window field as it stands in the header, not yet scaled.
    pub window: u16,
    /// The urgent pointer, an offset from `seq`; meaningful with URG only.
    pub urgent: u16,
    /// Octets of text. 32 bits, because a kernel may hand over several wire segments as one.
    pub len: u32,
    /// Options.
    pub options: Options,
    /// Security compartment (RFC 9293, appendix A.1); zero outside multilevel-secure networks.
    pub compartment: u8,
}

impl Segment {
    /// A segment without text and options, with an open window.
    #[must_use]
    pub fn new(flags: Flags, seq: u32, ack: u32) -> Self {
        Self { seq: Seq(seq), ack: Seq(ack), flags, window: u16::MAX, ..Self::default() }
    }

    /// The same with `len` octets of text.
    #[must_use]
    pub const fn text(mut self, len: u32) -> Self {
        self.len = len;
        self
    }

    /// The same with another window field.
    #[must_use]
    pub const fn window(mut self, window: u16) -> Self {
        self.window = window;
        self
    }

    /// True when every given control bit is set.
    #[must_use]
    pub const fn has(&self, flags: Flags) -> bool {
        self.flags.has(flags)
    }

    /// The reset that answers this segment (3.5.2): at the number it acknowledges, or acknowledging it.
    #[must_use]
    pub fn answering_reset(&self) -> Self {
        let reset = if self.has(Flags::ACK) {
            Self { seq: self.ack, flags: Flags::RST, ..Self::default() }
        } else {
            Self { ack: self.end(), flags: Flags::RST_ACK, ..Self::default() }
        };
        Self { compartment: self.compartment, ..reset }
    }

    /// SEG.LEN of the RFC: octets of text, plus one for SYN and one for FIN.
    #[must_use]
    pub fn seq_len(&self) -> u32 {
        self.len
            .saturating_add(u32::from(self.has(Flags::SYN)))
            .saturating_add(u32::from(self.has(Flags::FIN)))
    }

    /// The number after the last one that this segment occupies.
    #[must_use]
    pub fn end(&self) -> Seq {
        self.seq + self.seq_len()
    }

    /// The number of the first octet of text: one later than `seq` when a SYN comes first.
    #[must_use]
    pub fn text_seq(&self) -> Seq {
        self.seq + u32::from(self.has(Flags::SYN))
    }
}

/// The RFC's own notation: `<SEQ=100><ACK=300><CTL=SYN,ACK>`, with `<TEXT=n>` for n octets.
impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<SEQ={}>", self.seq)?;
        if self.has(Flags::ACK) {
            write!(f, "<ACK={}>", self.ack)?;
        }
        if self.len > 0 {
            write!(f, "<TEXT={}>", self.len)?;
        }
        write!(f, "<CTL={}>", self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::{Flags, Segment};
    use crate::seq::Seq;

    #[test]
    fn a_reset_answers_at_the_number_that_was_acknowledged_or_acknowledges() {
        let with_ack = Segment { compartment: 3, ..Segment::new(Flags::FIN_ACK, 100, 300).text(5) };
        let reset = with_ack.answering_reset();
        assert_eq!((reset.seq, reset.flags, reset.compartment), (Seq(300), Flags::RST, 3));
        let without = Segment::new(Flags::SYN, 100, 300).text(5).answering_reset();
        assert_eq!((without.seq, without.ack, without.flags), (Seq(0), Seq(106), Flags::RST_ACK));
        assert_eq!((reset.len, without.window), (0, 0));
    }

    #[test]
    fn flags_are_a_set() {
        let syn_ack = Flags::SYN.with(Flags::ACK);
        assert_eq!(syn_ack, Flags::SYN_ACK);
        assert_eq!(syn_ack | Flags::ACK, Flags::SYN_ACK);
        assert_eq!(syn_ack.without(Flags::ACK | Flags::FIN), Flags::SYN);
        assert!(syn_ack.has(Flags::SYN) && !syn_ack.has(Flags::SYN | Flags::FIN));
    }
}
