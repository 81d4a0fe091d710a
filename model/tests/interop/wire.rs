//! Segments of the model as IPv4 packets, and back.

use model::{Flags, Segment, Seq};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    IpAddress, IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};

pub const NATIVE: (Ipv4Address, u16) = (Ipv4Address::new(192, 0, 2, 1), 4_000);
pub const FOREIGN: (Ipv4Address, u16) = (Ipv4Address::new(192, 0, 2, 2), 5_000);

/// The packet of a segment, with this text.
pub fn encode(segment: &Segment, text: &[u8]) -> Vec<u8> {
    let control = if segment.has(Flags::SYN) {
        TcpControl::Syn
    } else if segment.has(Flags::RST) {
        TcpControl::Rst
    } else if segment.has(Flags::FIN) {
        TcpControl::Fin
    } else if segment.has(Flags::PSH) {
        TcpControl::Psh
    } else {
        TcpControl::None
    };
    let tcp = TcpRepr {
        src_port: NATIVE.1,
        dst_port: FOREIGN.1,
        control,
        seq_number: TcpSeqNumber(segment.seq.0.cast_signed()),
        ack_number: segment.has(Flags::ACK).then(|| TcpSeqNumber(segment.ack.0.cast_signed())),
        window_len: segment.window,
        window_scale: segment.options.window_scale,
        max_seg_size: segment.options.mss,
        sack_permitted: segment.options.sack_permitted,
        sack_ranges: [None, None, None],
        timestamp: None,
        payload: text,
    };
    let ip = Ipv4Repr {
        src_addr: NATIVE.0,
        dst_addr: FOREIGN.0,
        next_header: IpProtocol::Tcp,
        payload_len: tcp.buffer_len(),
        hop_limit: 64,
    };
    let checksums = ChecksumCapabilities::default();
    let mut buffer = vec![0; ip.buffer_len() + tcp.buffer_len()];
    let mut packet = Ipv4Packet::new_unchecked(&mut buffer);
    ip.emit(&mut packet, &checksums);
    let mut inner = TcpPacket::new_unchecked(packet.payload_mut());
    tcp.emit(&mut inner, &IpAddress::Ipv4(NATIVE.0), &IpAddress::Ipv4(FOREIGN.0), &checksums);
    buffer
}

/// The segment of a packet, and its text.
pub fn decode(buffer: &[u8]) -> Result<(Segment, Vec<u8>), String> {
    let checksums = ChecksumCapabilities::default();
    let bad = |what: smoltcp::wire::Error| format!("smoltcp sent what smoltcp cannot read: {what}");
    let packet = Ipv4Packet::new_checked(buffer).map_err(bad)?;
    let inner = TcpPacket::new_checked(packet.payload()).map_err(bad)?;
    let (from, to) = (IpAddress::Ipv4(FOREIGN.0), IpAddress::Ipv4(NATIVE.0));
    let tcp = TcpRepr::parse(&inner, &from, &to, &checksums).map_err(bad)?;
    let mut flags = match tcp.control {
        TcpControl::None => Flags::NONE,
        TcpControl::Psh => Flags::PSH,
        TcpControl::Syn => Flags::SYN,
        TcpControl::Fin => Flags::FIN,
        TcpControl::Rst => Flags::RST,
    };
    if tcp.ack_number.is_some() {
        flags = flags | Flags::ACK;
    }
    let number = |number: TcpSeqNumber| Seq(number.0.cast_unsigned());
    let mut segment = Segment {
        seq: number(tcp.seq_number),
        ack: tcp.ack_number.map(number).unwrap_or_default(),
        flags,
        window: tcp.window_len,
        len: u32::try_from(tcp.payload.len()).unwrap_or(u32::MAX),
        ..Segment::default()
    };
    segment.options.mss = tcp.max_seg_size;
    segment.options.window_scale = tcp.window_scale;
    segment.options.sack_permitted = tcp.sack_permitted;
    Ok((segment, tcp.payload.to_vec()))
}
