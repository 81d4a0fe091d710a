//! capture.pcapng, read back by a parser that is not ours.

use pcap_parser::{
    Block, Linktype, PcapBlockOwned, PcapError, PcapNGOption, PcapNGReader,
    pcapng::{EnhancedPacketBlock, OptionCode},
    traits::PcapReaderIterator,
};

use crate::{fixture::NASTY, support::file};

/// A packet as it was read: interface, nanoseconds since 1970, octets, comments, direction.
#[derive(Debug)]
struct Packet {
    interface: u32,
    time: u64,
    bytes: Vec<u8>,
    comments: Vec<String>,
    way: u32,
}

#[derive(Default)]
struct Capture {
    interfaces: Vec<String>,
    packets: Vec<Packet>,
}

fn texts(options: &[PcapNGOption<'_>], code: OptionCode) -> Vec<String> {
    let these = options.iter().filter(|option| option.code == code);
    these.map(|option| String::from_utf8(option.value[..usize::from(option.len)].to_vec()).unwrap()).collect()
}

impl Capture {
    fn take(&mut self, block: &Block<'_>) {
        match block {
            Block::SectionHeader(header) => assert_eq!((header.major_version, header.minor_version), (1, 0)),
            Block::InterfaceDescription(interface) => {
                assert_eq!(interface.linktype, Linktype::RAW);
                assert_eq!(interface.if_tsresol, 9);
                self.interfaces.extend(texts(&interface.options, OptionCode::IfName));
            }
            Block::EnhancedPacket(packet) => self.packets.push(read(packet)),
            other => panic!("{other:?}"),
        }
    }
}

fn read(packet: &EnhancedPacketBlock<'_>) -> Packet {
    assert_eq!(packet.caplen, packet.origlen);
    let flags = packet.options.iter().find(|option| option.code == OptionCode(2)).unwrap();
    Packet {
        interface: packet.if_id,
        time: u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low),
        bytes: packet.data[..packet.caplen as usize].to_vec(),
        comments: texts(&packet.options, OptionCode::Comment),
        way: u32::from_ne_bytes(flags.value[..4].try_into().unwrap()),
    }
}

fn capture(test: &str) -> Capture {
    let bytes = file(test, "capture.pcapng");
    let mut reader = PcapNGReader::new(65_536, &*bytes).unwrap();
    let mut capture = Capture::default();
    loop {
        match reader.next() {
            Ok((length, PcapBlockOwned::NG(block))) => {
                capture.take(&block);
                reader.consume(length);
            }
            Ok(_) => panic!("no pcapng"),
            Err(PcapError::Eof) => return capture,
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn each_run_is_an_interface() {
    let names = ["open/client ipv4", "open/client ipv6", "open/refused ipv4", "random 42 ipv6"];
    assert_eq!(capture("capture-interfaces").interfaces, names);
}

#[test]
fn packets_come_in_the_order_of_time_to_the_nanosecond() {
    let packets = capture("capture-times").packets;
    let times: Vec<_> = packets.iter().map(|packet| packet.time).collect();
    assert!(times.is_sorted(), "{times:?}");
    // Two of each of three ladders, and the ICMP message; what was lost was never on the wire.
    assert_eq!(times.len(), 7);
    assert_eq!(times[0], 1_795_253_400_123_456_789);
    assert_eq!(times[6], 1_795_253_460_123_456_790);
    // Out of the kernel first, to the kernel last.
    assert_eq!((packets[0].way, packets[6].way), (2, 1));
    assert!(packets.iter().all(|packet| packet.bytes.len() == 40 && packet.bytes[0] == 0x45));
}

#[test]
fn comments_tell_the_step_the_states_and_the_verdict() {
    let packets = capture("capture-comments").packets;
    assert_eq!(packets[0].interface, 0);
    assert_eq!(
        packets[0].comments,
        ["line 2: kernel SYN seq=0 [MUST-14] => MUST-14 pass", "kernel SYN-SENT, peer LISTEN"]
    );
    let icmp = packets.iter().find(|packet| packet.interface == 2).unwrap();
    assert_eq!(icmp.comments[2], format!("violation: {NASTY}"));
    assert_eq!(packets[6].comments[0], "forged on purpose: bad checksum");
}
