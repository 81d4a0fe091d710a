//! Initial sequence numbers: a clock plus a keyed hash of the connection's addresses (RFC 9293, 3.4.1; RFC 6528).
//!
//! Time and key are arguments. SipHash-2-4 is the pseudorandom function: short keyed input is what it is for, and
//! Linux uses the same.

use core::net::SocketAddr;

use crate::seq::Seq;

/// A secret of 128 bits (MUST-9: the result must not be computable without it).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(pub [u64; 2]);

/// The clock component (MUST-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Clock {
    /// Nanoseconds per tick.
    pub tick_ns: u64,
}

impl Clock {
    /// RFC 9293: 4 microseconds. Its full cycle is 2^32 ticks = 17,179.87 s = 4.772 hours; the RFC's "4.55 hours"
    /// is 2^14 s, which needs a clock of exactly 2^18 Hz, 3.815 microseconds (contradiction 1).
    pub const RFC9293: Self = Self { tick_ns: 4_000 };
    /// Linux: 64 ns, a cycle of 274.9 s (`seq_scale`).
    pub const LINUX: Self = Self { tick_ns: 64 };

    /// How long until the number comes round again, in nanoseconds.
    #[must_use]
    pub const fn cycle_ns(self) -> u64 {
        self.tick_ns.saturating_mul(1 << 32)
    }

    /// The clock at `now`, in nanoseconds.
    #[must_use]
    pub const fn at(self, now_ns: u64) -> u32 {
        let ticks = match now_ns.checked_div(self.tick_ns) {
            Some(ticks) => ticks,
            None => now_ns,
        };
        low32(ticks)
    }
}

/// ISN = M + F(local address, local port, remote address, remote port, key).
#[must_use]
pub fn isn(clock: Clock, now_ns: u64, key: Key, local: SocketAddr, remote: SocketAddr) -> Seq {
    let mut input = [0_u8; 36];
    let (left, right) = input.split_at_mut(18);
    address(left, local);
    address(right, remote);
    Seq(clock.at(now_ns).wrapping_add(low32(siphash(key, &input))))
}

// IPv4 as mapped IPv6: the two families never share a connection.
fn address(out: &mut [u8], socket: SocketAddr) {
    let octets = match socket {
        SocketAddr::V4(v4) => v4.ip().to_ipv6_mapped().octets(),
        SocketAddr::V6(v6) => v6.ip().octets(),
    };
    let (ip, port) = out.split_at_mut(16);
    ip.copy_from_slice(&octets);
    port.copy_from_slice(&socket.port().to_be_bytes());
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
const fn low32(value: u64) -> u32 {
    value as u32
}

/// SipHash-2-4 (Aumasson and Bernstein, 2012).
#[must_use]
pub fn siphash(key: Key, input: &[u8]) -> u64 {
    let [k0, k1] = key.0;
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let (words, rest) = input.as_chunks::<8>();
    for word in words {
        absorb(&mut v, u64::from_le_bytes(*word));
    }
    let mut last = [0_u8; 8];
    for (slot, octet) in last.iter_mut().zip(rest) {
        *slot = *octet;
    }
    // The last word ends in the length modulo 256.
    last[7] = input.len().to_le_bytes()[0];
    absorb(&mut v, u64::from_le_bytes(last));
    v[2] ^= 0xff;
    for _ in 0..4 {
        round(&mut v);
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn absorb(v: &mut [u64; 4], word: u64) {
    v[3] ^= word;
    round(v);
    round(v);
    v[0] ^= word;
}

fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

#[cfg(test)]
mod tests {
    use core::net::SocketAddr;

    use super::{Clock, Key, isn, siphash};

    #[test]
    fn siphash_gives_the_authors_vectors() {
        let key = Key([0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908]);
        let input: [u8; 15] = core::array::from_fn(|n| u8::try_from(n).unwrap());
        assert_eq!(siphash(key, &input[..0]), 0x726f_db47_dd0e_0e31);
        assert_eq!(siphash(key, &input), 0xa129_ca61_49be_45e5);
    }

    #[test]
    fn the_cycle_is_4_77_hours_and_linux_has_275_seconds() {
        assert_eq!(Clock::RFC9293.cycle_ns() / 1_000_000, 17_179_869);
        assert_eq!(Clock::LINUX.cycle_ns() / 1_000_000, 274_877);
        assert_eq!(Clock::RFC9293.at(Clock::RFC9293.cycle_ns() + 4_000), 1);
    }

    #[test]
    fn the_same_addresses_move_with_the_clock_and_others_are_elsewhere() {
        let key = Key([1, 2]);
        let local: SocketAddr = "192.0.2.1:1000".parse().unwrap();
        let remote: SocketAddr = "192.0.2.2:80".parse().unwrap();
        let other: SocketAddr = "192.0.2.2:81".parse().unwrap();
        let first = isn(Clock::RFC9293, 0, key, local, remote);
        assert_eq!(isn(Clock::RFC9293, 40_000, key, local, remote) - first, 10);
        assert_ne!(isn(Clock::RFC9293, 0, key, local, other), first);
        assert_ne!(isn(Clock::RFC9293, 0, key, remote, local), first);
        assert_ne!(isn(Clock::RFC9293, 0, Key([1, 3]), local, remote), first);
    }
}
