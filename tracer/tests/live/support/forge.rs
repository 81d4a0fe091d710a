//! TCP segments written by hand, for peers that do what no kernel does.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::OwnedFd,
};

use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket};

use super::namespace::Namespace;

/// FIN bit of the TCP header.
pub const FIN: u8 = 0x01;
/// SYN bit of the TCP header.
pub const SYN: u8 = 0x02;
/// RST bit of the TCP header.
pub const RST: u8 = 0x04;
/// ACK bit of the TCP header.
pub const ACK: u8 = 0x10;

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
        self.forge(&Segment { from, to, flags, seq, ack: 0 });
    }

    pub fn forge(&self, segment: &Segment) {
        sendto(&self.0, &segment.packet(), SendFlags::empty(), &segment.to).expect("a forged segment");
    }
}

/// A segment without data and without options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub from: SocketAddrV4,
    pub to: SocketAddrV4,
    pub flags: u8,
    pub seq: u32,
    pub ack: u32,
}

impl Segment {
    pub const fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// As an IPv4 packet.
    pub fn packet(&self) -> Vec<u8> {
        let Self { from, to, flags, seq, ack } = *self;
        let mut segment = Vec::from(from.port().to_be_bytes());
        segment.extend(to.port().to_be_bytes());
        segment.extend(seq.to_be_bytes());
        segment.extend(ack.to_be_bytes());
        // Five words of header; a window; checksum and urgent pointer still empty.
        segment.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
        let mut pseudo = Vec::from(from.ip().octets());
        pseudo.extend(to.ip().octets());
        pseudo.extend([0, 6, 0, 20]);
        pseudo.extend(&segment);
        segment[16..18].copy_from_slice(&checksum(&pseudo).to_be_bytes());
        let mut packet = ip_header(*from.ip(), *to.ip(), 6, segment.len());
        packet.extend(segment);
        packet
    }

    /// Reads an IPv4 packet; `None`: no TCP.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let [first, .., _] = packet else { return None };
        let words = usize::from(first & 0xf);
        if first >> 4 != 4 || packet.get(9) != Some(&6) {
            return None;
        }
        let octets = |at: usize| packet.get(at..at + 4)?.first_chunk::<4>().copied();
        let tcp = words * 4;
        let port = |at: usize| Some(u16::from_be_bytes(*packet.get(at..at + 2)?.first_chunk()?));
        Some(Self {
            from: SocketAddrV4::new(Ipv4Addr::from(octets(12)?), port(tcp)?),
            to: SocketAddrV4::new(Ipv4Addr::from(octets(16)?), port(tcp + 2)?),
            seq: u32::from_be_bytes(octets(tcp + 4)?),
            ack: u32::from_be_bytes(octets(tcp + 8)?),
            flags: *packet.get(tcp + 13)?,
        })
    }
}

/// "Host unreachable" for a packet of ours that `router` could not deliver.
pub fn host_unreachable(router: Ipv4Addr, undelivered: &[u8]) -> Vec<u8> {
    let sender = undelivered[12..16].first_chunk::<4>().copied().expect("an IPv4 header");
    // Type 3, code 1; the header and eight octets of the packet.
    let mut message = vec![3, 1, 0, 0, 0, 0, 0, 0];
    message.extend(&undelivered[..28]);
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut packet = ip_header(router, Ipv4Addr::from(sender), 1, message.len());
    packet.extend(message);
    packet
}

/// Version 4, five words, TTL 64.
fn ip_header(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, length: usize) -> Vec<u8> {
    let length = u16::try_from(20 + length).expect("a small packet").to_be_bytes();
    let mut header = vec![0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, protocol, 0, 0];
    header.extend(from.octets());
    header.extend(to.octets());
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
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

#[test]
fn a_packet_is_read_as_it_was_written() {
    let [from, to] = [1, 2].map(|host| SocketAddrV4::new(Ipv4Addr::new(198, 18, 0, host), 4000));
    let segment = Segment { from, to, flags: SYN | ACK, seq: 1 << 31, ack: 77 };
    assert_eq!(Segment::parse(&segment.packet()), Some(segment));
    assert_eq!(Segment::parse(&segment.packet()[..30]), None);
}
