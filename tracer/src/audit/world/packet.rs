//! Segments as IP packets and back. A forged packet may be wrong in any way that a scenario asks for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{
    IcmpEchoHeader, IpNumber, Ipv4Header, Ipv6Header, TcpHeader, TcpOptions as RawOptions, TcpSlice,
};
use model::{
    Flags, Segment, Seq,
    segment::{FastOpen, Options, Timestamps},
};

/// Both ends of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Addresses {
    /// Where it comes from.
    pub source: (IpAddr, u16),
    /// Where it goes.
    pub destination: (IpAddr, u16),
}

/// What is wrong or unusual about a packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forged {
    /// Added to the right TCP checksum.
    pub checksum: u16,
    /// The options' octets, instead of those of the segment.
    pub options: Option<Vec<u8>>,
    /// The IPv4 options' octets.
    pub ip_options: Vec<u8>,
    /// The traffic class (DSCP and ECN).
    pub traffic_class: u8,
    /// ECE (1) and CWR (2), which the model does not know.
    pub ecn_bits: u8,
}

/// A packet to be built.
pub type Packet<'a> = (&'a Addresses, &'a Segment, &'a Forged);

/// A built packet.
pub type Built = Vec<u8>;

/// A packet that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Both ends.
    pub addresses: Addresses,
    /// The segment.
    pub segment: Segment,
    /// ECE (1) and CWR (2).
    pub ecn_bits: u8,
    /// The TCP checksum is right.
    pub checksum_fits: bool,
    /// The options' octets.
    pub raw_options: Vec<u8>,
    /// The selective acknowledgments.
    pub sacks: Vec<(Seq, Seq)>,
    /// TTL or hop limit.
    pub hops: u8,
    /// The traffic class (DSCP and ECN).
    pub traffic_class: u8,
    /// Length of the IPv4 options.
    pub ip_options: usize,
}

/// Why some bytes are no TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Another protocol, as IPv6's own messages: no business of ours.
    #[error("no TCP")]
    OtherProtocol,
    /// IP header.
    #[error("no IP header")]
    Ip,
    /// TCP header.
    #[error("no TCP header")]
    Tcp,
}

const HOPS: u8 = 64;

/// The packet of a segment. Octet `n` of a stream is the low byte of its sequence number, so that text can be checked.
#[must_use]
pub fn build((addresses, segment, forged): Packet<'_>) -> Built {
    let Addresses { source, destination } = addresses;
    let options = forged.options.clone().unwrap_or_else(|| encode_options(&segment.options));
    let flags = segment.flags;
    let mut header = TcpHeader {
        source_port: source.1,
        destination_port: destination.1,
        sequence_number: segment.seq.0,
        acknowledgment_number: if segment.has(Flags::ACK) { segment.ack.0 } else { 0 },
        ns: false,
        fin: flags.has(Flags::FIN),
        syn: flags.has(Flags::SYN),
        rst: flags.has(Flags::RST),
        psh: flags.has(Flags::PSH),
        ack: flags.has(Flags::ACK),
        urg: flags.has(Flags::URG),
        ece: forged.ecn_bits & 1 != 0,
        cwr: forged.ecn_bits & 2 != 0,
        window_size: segment.window,
        checksum: 0,
        urgent_pointer: segment.urgent,
        // More than 40 octets do not fit into any header.
        options: RawOptions::try_from_slice(&options).unwrap_or_default(),
    };
    let first = segment.text_seq();
    let text: Vec<u8> = (0..segment.len).map(|n| (first + n).0.to_le_bytes()[0]).collect();
    let length = header.header_len() + text.len();
    let mut packet = Vec::new();
    match (source.0, destination.0) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            header.checksum = header.calc_checksum_ipv4_raw(from.octets(), to.octets(), &text).unwrap_or(0);
            packet.extend(ipv4(from, to, length, forged, IpNumber::TCP));
        }
        (from, to) => {
            let (from, to) = (v6(from), v6(to));
            header.checksum = header.calc_checksum_ipv6_raw(from.octets(), to.octets(), &text).unwrap_or(0);
            packet.extend(ipv6(from, to, length, forged.traffic_class, IpNumber::TCP));
        }
    }
    header.checksum = header.checksum.wrapping_add(forged.checksum);
    packet.extend_from_slice(&header.to_bytes());
    packet.extend_from_slice(&text);
    packet
}

fn ipv4(from: Ipv4Addr, to: Ipv4Addr, length: usize, forged: &Forged, protocol: IpNumber) -> Vec<u8> {
    let mut header = Ipv4Header {
        time_to_live: HOPS,
        protocol,
        source: from.octets(),
        destination: to.octets(),
        ..Ipv4Header::default()
    };
    // Options that IP cannot carry are left out: a scenario's parser refuses them.
    if let Ok(options) = forged.ip_options.as_slice().try_into() {
        header.options = options;
    }
    let _ = header.set_payload_len(length);
    header.dont_fragment = true;
    let mut bytes = header.to_bytes().to_vec();
    if let Some(slot) = bytes.get_mut(1) {
        *slot = forged.traffic_class;
    }
    // The traffic class came last, so the header's sum comes after it.
    if let Some(slot) = bytes.get_mut(10..12) {
        slot.fill(0);
    }
    let sum = !ones_sum(&bytes, 0);
    if let Some(slot) = bytes.get_mut(10..12) {
        slot.copy_from_slice(&sum.to_be_bytes());
    }
    bytes
}

fn ipv6(from: Ipv6Addr, to: Ipv6Addr, length: usize, traffic_class: u8, protocol: IpNumber) -> Vec<u8> {
    let header = Ipv6Header {
        traffic_class,
        payload_length: u16::try_from(length).unwrap_or(u16::MAX),
        next_header: protocol,
        hop_limit: HOPS,
        source: from.octets(),
        destination: to.octets(),
        ..Ipv6Header::default()
    };
    header.to_bytes().to_vec()
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// The ICMP error of this type and code about a packet that the kernel sent, from its destination.
#[must_use]
pub fn icmp(kind: u8, code: u8, about: &[u8], addresses: &Addresses) -> Built {
    // Type, code, checksum, four octets that are unused, then as much of the packet as has to be quoted.
    let quoted = about.get(..about.len().min(IcmpEchoHeader::LEN + 88)).unwrap_or(about);
    let mut message = vec![kind, code, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(quoted);
    let Addresses { source, destination } = addresses;
    let mut packet = Vec::new();
    let seed = match (source.0, destination.0) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            packet.extend(ipv4(from, to, message.len(), &Forged::default(), IpNumber::ICMP));
            0
        }
        (from, to) => {
            let (from, to) = (v6(from), v6(to));
            packet.extend(ipv6(from, to, message.len(), 0, IpNumber::IPV6_ICMP));
            let length = u32::try_from(message.len()).unwrap_or(0);
            let pseudo =
                [&from.octets()[..], &to.octets()[..], &length.to_be_bytes()[..], &[0, 0, 0, 58][..]];
            ones_sum(&pseudo.concat(), 0)
        }
    };
    let sum = !ones_sum(&message, seed);
    if let Some(slot) = message.get_mut(2..4) {
        slot.copy_from_slice(&sum.to_be_bytes());
    }
    packet.extend(message);
    packet
}

fn ones_sum(bytes: &[u8], seed: u16) -> u16 {
    let mut sum = u32::from(seed);
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u32::from(u16::from_be_bytes([pair.first().copied().unwrap_or(0), low]));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

/// Reads an IP packet.
///
/// # Errors
///
/// [`Malformed`] when it holds no TCP segment.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let version = bytes.first().map_or(0, |byte| byte >> 4);
    if version == 4 {
        let (header, rest) = Ipv4Header::from_slice(bytes).map_err(|_| Malformed::Ip)?;
        if header.protocol != IpNumber::TCP {
            return Err(Malformed::OtherProtocol);
        }
        let length = usize::from(header.payload_len().map_err(|_| Malformed::Ip)?);
        let tcp =
            TcpSlice::from_slice(rest.get(..length).ok_or(Malformed::Ip)?).map_err(|_| Malformed::Tcp)?;
        let sum = tcp.calc_checksum_ipv4(header.source, header.destination).map_err(|_| Malformed::Tcp)?;
        let (from, to) = (Ipv4Addr::from(header.source).into(), Ipv4Addr::from(header.destination).into());
        let class = bytes.get(1).copied().unwrap_or(0);
        Ok(parsed(&tcp, (from, to), sum, (header.time_to_live, class, header.options.len())))
    } else if version == 6 {
        let (header, rest) = Ipv6Header::from_slice(bytes).map_err(|_| Malformed::Ip)?;
        if header.next_header != IpNumber::TCP {
            return Err(Malformed::OtherProtocol);
        }
        let length = usize::from(header.payload_length);
        let tcp =
            TcpSlice::from_slice(rest.get(..length).ok_or(Malformed::Ip)?).map_err(|_| Malformed::Tcp)?;
        let sum = tcp.calc_checksum_ipv6(header.source, header.destination).map_err(|_| Malformed::Tcp)?;
        let (from, to) = (header.source_addr().into(), header.destination_addr().into());
        Ok(parsed(&tcp, (from, to), sum, (header.hop_limit, header.traffic_class, 0)))
    } else {
        Err(Malformed::Ip)
    }
}

fn parsed(tcp: &TcpSlice<'_>, (from, to): (IpAddr, IpAddr), sum: u16, ip: (u8, u8, usize)) -> Parsed {
    let mut flags = Flags::NONE;
    for (set, flag) in [
        (tcp.fin(), Flags::FIN),
        (tcp.syn(), Flags::SYN),
        (tcp.rst(), Flags::RST),
        (tcp.psh(), Flags::PSH),
        (tcp.ack(), Flags::ACK),
        (tcp.urg(), Flags::URG),
    ] {
        if set {
            flags = flags | flag;
        }
    }
    let (options, sacks) = decode_options(tcp.options());
    let (hops, traffic_class, ip_options) = ip;
    Parsed {
        addresses: Addresses { source: (from, tcp.source_port()), destination: (to, tcp.destination_port()) },
        segment: Segment {
            seq: Seq(tcp.sequence_number()),
            ack: Seq(tcp.acknowledgment_number()),
            flags,
            window: tcp.window_size(),
            urgent: tcp.urgent_pointer(),
            len: u32::try_from(tcp.payload().len()).unwrap_or(u32::MAX),
            options,
            compartment: 0,
        },
        ecn_bits: u8::from(tcp.ece()) | u8::from(tcp.cwr()) << 1,
        checksum_fits: tcp.checksum() == sum,
        raw_options: tcp.options().to_vec(),
        sacks,
        hops,
        traffic_class,
        ip_options,
    }
}

mod kind {
    pub const END: u8 = 0;
    pub const NOP: u8 = 1;
    pub const MSS: u8 = 2;
    pub const WINDOW_SCALE: u8 = 3;
    pub const SACK_PERMITTED: u8 = 4;
    pub const SACK: u8 = 5;
    pub const TIMESTAMPS: u8 = 8;
    pub const FAST_OPEN: u8 = 34;
}

/// The options' octets, each kind padded to four.
fn encode_options(options: &Options) -> Vec<u8> {
    let Options { mss, window_scale, sack_permitted, timestamps, fast_open } = options;
    let mut bytes = Vec::new();
    if let Some(mss) = mss {
        bytes.extend([kind::MSS, 4]);
        bytes.extend(mss.to_be_bytes());
    }
    if *sack_permitted {
        bytes.extend([kind::NOP, kind::NOP, kind::SACK_PERMITTED, 2]);
    }
    if let Some(timestamps) = timestamps {
        bytes.extend([kind::NOP, kind::NOP, kind::TIMESTAMPS, 10]);
        bytes.extend(timestamps.value.to_be_bytes());
        bytes.extend(timestamps.echo.to_be_bytes());
    }
    if let Some(shift) = window_scale {
        bytes.extend([kind::NOP, kind::WINDOW_SCALE, 3, *shift]);
    }
    match fast_open {
        Some(FastOpen::Request) => bytes.extend([kind::NOP, kind::NOP, kind::FAST_OPEN, 2]),
        Some(FastOpen::Cookie(cookie)) => {
            bytes.extend([kind::NOP, kind::NOP, kind::FAST_OPEN, 10]);
            bytes.extend(cookie.to_be_bytes());
        }
        None => {}
    }
    bytes
}

/// The options that the machine knows, and the selective acknowledgments. What is malformed ends the reading.
#[must_use]
pub fn decode_options(bytes: &[u8]) -> (Options, Vec<(Seq, Seq)>) {
    let mut options = Options::default();
    let mut sacks = Vec::new();
    let mut rest = bytes;
    while let Some((&kind, tail)) = rest.split_first() {
        if kind == kind::END {
            break;
        }
        if kind == kind::NOP {
            rest = tail;
            continue;
        }
        let Some(length) = tail.first().map(|length| usize::from(*length)).filter(|length| *length >= 2)
        else {
            break;
        };
        let Some(value) = rest.get(2..length) else { break };
        match (kind, value) {
            (kind::MSS, [high, low]) => options.mss = Some(u16::from_be_bytes([*high, *low])),
            (kind::WINDOW_SCALE, [shift]) => options.window_scale = Some(*shift),
            (kind::SACK_PERMITTED, []) => options.sack_permitted = true,
            (kind::SACK, blocks) => {
                sacks.extend(
                    blocks
                        .chunks_exact(8)
                        .map(|block| (number(block), number(block.get(4..).unwrap_or(&[])))),
                );
            }
            (kind::TIMESTAMPS, both) if both.len() == 8 => {
                let echo = number(both.get(4..).unwrap_or(&[])).0;
                options.timestamps = Some(Timestamps { value: number(both).0, echo });
            }
            (kind::FAST_OPEN, []) => options.fast_open = Some(FastOpen::Request),
            (kind::FAST_OPEN, cookie) => {
                let mut octets = [0; 8];
                for (slot, octet) in octets.iter_mut().zip(cookie) {
                    *slot = *octet;
                }
                options.fast_open = Some(FastOpen::Cookie(u64::from_be_bytes(octets)));
            }
            _ => {}
        }
        rest = rest.get(length..).unwrap_or(&[]);
    }
    (options, sacks)
}

fn number(bytes: &[u8]) -> Seq {
    let mut octets = [0; 4];
    for (slot, octet) in octets.iter_mut().zip(bytes) {
        *slot = *octet;
    }
    Seq(u32::from_be_bytes(octets))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use model::{
        Flags, Segment,
        segment::{FastOpen, Options, Timestamps},
    };

    use super::{Addresses, Forged, Malformed, build, decode_options, parse};
    use crate::audit::{report::model::Family, world::addresses};

    fn ends(family: Family) -> Addresses {
        let (kernel, peer): (IpAddr, IpAddr) = addresses(family);
        Addresses { source: (peer, 40_000), destination: (kernel, 7) }
    }

    #[test]
    fn what_is_built_is_read_back() {
        let options = Options {
            mss: Some(1400),
            window_scale: Some(7),
            sack_permitted: true,
            timestamps: Some(Timestamps { value: 1, echo: 2 }),
            fast_open: Some(FastOpen::Cookie(3)),
        };
        for family in [Family::Ipv4, Family::Ipv6] {
            for options in [Options::default(), options] {
                let mut segment = Segment::new(Flags::SYN | Flags::ACK | Flags::URG, 10, 20).text(5);
                segment.options = options;
                segment.urgent = 9;
                let packet = build((&ends(family), &segment, &Forged::default()));
                let parsed = parse(&packet).unwrap();
                assert_eq!((parsed.addresses, parsed.segment), (ends(family), segment));
                assert!(parsed.checksum_fits);
            }
        }
    }

    #[test]
    fn a_forged_checksum_does_not_fit() {
        for family in [Family::Ipv4, Family::Ipv6] {
            let forged = Forged { checksum: 1, traffic_class: 0xb8, ..Forged::default() };
            let parsed = parse(&build((&ends(family), &Segment::new(Flags::SYN, 1, 0), &forged))).unwrap();
            assert!(!parsed.checksum_fits);
            assert_eq!(parsed.traffic_class, 0xb8);
        }
    }

    #[test]
    fn options_that_lie_about_their_length_end_the_reading() {
        for lie in [&[2, 0, 5, 5][..], &[2], &[2, 1], &[8, 40, 1], &[0, 2, 4, 5, 180]] {
            assert_eq!(decode_options(lie).0, Options::default(), "{lie:?}");
        }
        assert_eq!(decode_options(&[254, 4, 1, 1, 2, 4, 5, 180]).0.mss, Some(1460));
    }

    #[test]
    fn other_bytes_are_refused() {
        assert_eq!(parse(&[]), Err(Malformed::Ip));
        assert_eq!(parse(&[0x45; 10]), Err(Malformed::Ip));
        assert_eq!(parse(&[0x60; 40]), Err(Malformed::OtherProtocol));
    }
}
