//! TCP segments written by hand, for peers that do what no kernel does.

use std::{net::SocketAddrV4, os::fd::OwnedFd};

use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket};

use super::namespace::Namespace;

/// SYN bit of the TCP header.
pub const SYN: u8 = 0x02;
/// RST bit of the TCP header.
pub const RST: u8 = 0x04;

/// Sends segments in the name of any address to sockets of one namespace.
#[derive(Debug)]
pub struct Forger(OwnedFd);

impl Forger {
    pub fn new(namespace: &Namespace) -> Self {
        // IPPROTO_RAW: the IP header is ours too.
        Self(namespace.enter(|| {
            socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::RAW)).expect("a raw socket")
        }))
    }

    /// Sends one segment without data.
    pub fn send(&self, from: SocketAddrV4, to: SocketAddrV4, flags: u8, seq: u32) {
        let packet = packet(from, to, flags, seq);
        sendto(&self.0, &packet, SendFlags::empty(), &to).expect("a forged segment");
    }
}

fn packet(from: SocketAddrV4, to: SocketAddrV4, flags: u8, seq: u32) -> Vec<u8> {
    let mut segment = Vec::from(from.port().to_be_bytes());
    segment.extend(to.port().to_be_bytes());
    segment.extend(seq.to_be_bytes());
    // No acknowledgement; five words of header; a window; checksum and urgent pointer still empty.
    segment.extend([0, 0, 0, 0, 5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
    let mut pseudo = Vec::from(from.ip().octets());
    pseudo.extend(to.ip().octets());
    pseudo.extend([0, 6, 0, 20]);
    pseudo.extend(&segment);
    segment[16..18].copy_from_slice(&checksum(&pseudo).to_be_bytes());

    // Version 4, five words, TTL 64, TCP; the kernel fills in length, id and checksum.
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0];
    packet.extend(from.ip().octets());
    packet.extend(to.ip().octets());
    packet.extend(segment);
    packet
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded")
}

#[test]
fn the_checksum_makes_the_sum_zero() {
    let bytes = [0x45, 0x00, 0x12, 0x34, 0xff];
    let sum = checksum(&bytes).to_be_bytes();
    let mut whole = Vec::from(bytes);
    whole.extend([0, sum[0], sum[1]]);
    assert_eq!(checksum(&whole), 0);
}
