//! Sequence numbers: arithmetic modulo 2^32 (RFC 9293, section 3.4).

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

/// A TCP sequence number. Compared only through [`Seq::lt`] and its kin: there is no total order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seq(pub u32);

impl Seq {
    /// The signed distance from `other` to `self`: positive when `self` is later.
    #[must_use]
    pub const fn diff(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0).cast_signed()
    }

    /// True when `self` is earlier than `other`, by less than half the number space.
    ///
    /// Two numbers exactly 2^31 apart are each "earlier" than the other: within a window of at most 2^30
    /// (RFC 7323, section 2.3) that cannot happen.
    #[must_use]
    pub const fn lt(self, other: Self) -> bool {
        self.diff(other) < 0
    }

    /// True when `self` is later than `other`.
    #[must_use]
    pub const fn gt(self, other: Self) -> bool {
        other.lt(self)
    }

    /// True when `self` is not later than `other`.
    #[must_use]
    pub const fn le(self, other: Self) -> bool {
        !self.gt(other)
    }

    /// True when `self` is not earlier than `other`.
    #[must_use]
    pub const fn ge(self, other: Self) -> bool {
        !self.lt(other)
    }

    /// The later of two numbers.
    #[must_use]
    pub const fn max(self, other: Self) -> Self {
        if self.lt(other) { other } else { self }
    }

    /// True when `left <= self < left + size`; never for an empty window.
    #[must_use]
    pub const fn in_window(self, left: Self, size: u32) -> bool {
        self.0.wrapping_sub(left.0) < size
    }
}

impl Add<u32> for Seq {
    type Output = Self;

    fn add(self, octets: u32) -> Self {
        Self(self.0.wrapping_add(octets))
    }
}

impl AddAssign<u32> for Seq {
    fn add_assign(&mut self, octets: u32) {
        *self = *self + octets;
    }
}

impl Sub<u32> for Seq {
    type Output = Self;

    fn sub(self, octets: u32) -> Self {
        Self(self.0.wrapping_sub(octets))
    }
}

/// How many numbers lie from the right operand up to the left one, modulo 2^32.
impl Sub for Seq {
    type Output = u32;

    fn sub(self, other: Self) -> u32 {
        self.0.wrapping_sub(other.0)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The four acceptability tests of RFC 9293, section 3.10.7.4, first check (table 6).
///
/// `len` counts SYN and FIN. As in the RFC, a segment that begins before the window and ends after it, with
/// neither its first nor its last number inside, is not acceptable.
#[must_use]
pub fn acceptable(seq: Seq, len: u32, rcv_nxt: Seq, rcv_wnd: u32) -> bool {
    match (len, rcv_wnd) {
        (0, 0) => seq == rcv_nxt,
        (0, wnd) => seq.in_window(rcv_nxt, wnd),
        (_, 0) => false,
        (len, wnd) => seq.in_window(rcv_nxt, wnd) || (seq + (len - 1)).in_window(rcv_nxt, wnd),
    }
}
