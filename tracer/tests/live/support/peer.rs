//! A host on a link of its own that does what the test says, when the test says it: the far end of a TUN device.

use std::{
    fs::File,
    io::{ErrorKind, Read, Write},
    mem::zeroed,
    net::{Ipv4Addr, SocketAddrV4},
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
    thread::sleep,
    time::{Duration, Instant},
};

use super::{
    forge::{ACK, FIN, SYN, Segment},
    namespace::Namespace,
};

/// Our address on the link.
pub const HERE: Ipv4Addr = Ipv4Addr::new(198, 18, 7, 1);
/// The peer's.
pub const THERE: Ipv4Addr = Ipv4Addr::new(198, 18, 7, 2);

const NAME: &str = "tun0";

/// How long an answer of the kernel may take.
const ANSWER: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Peer(File);

impl Peer {
    /// Makes the link in this namespace.
    pub fn new(namespace: &Namespace) -> Self {
        let file = namespace.enter(|| {
            let file = File::options()
                .read(true)
                .write(true)
                .custom_flags(libc::O_NONBLOCK)
                .open("/dev/net/tun")
                .expect("/dev/net/tun");
            // SAFETY: all zeros is a valid ifreq.
            let mut request: libc::ifreq = unsafe { zeroed() };
            for (slot, byte) in request.ifr_name.iter_mut().zip(NAME.bytes()) {
                *slot = libc::c_char::from_ne_bytes([byte]);
            }
            let flags = libc::IFF_TUN | libc::IFF_NO_PI;
            request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).expect("sixteen bits");
            // SAFETY: TUNSETIFF reads and fills an ifreq, and the pointer is to one.
            let done = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
            assert_eq!(done, 0, "TUNSETIFF: {}", std::io::Error::last_os_error());
            file
        });
        namespace.ip(&["address", "add", &format!("{HERE}/24"), "dev", NAME]);
        namespace.ip(&["link", "set", NAME, "up"]);
        Self(file)
    }

    /// What it says has been processed by the kernel when this returns.
    pub fn send(&self, segment: &Segment) {
        self.send_packet(&segment.packet());
    }

    pub fn send_packet(&self, packet: &[u8]) {
        (&self.0).write_all(packet).expect("a packet to the kernel");
    }

    /// The next segment that the kernel sends.
    ///
    /// # Panics
    ///
    /// When none comes within some seconds.
    pub fn receive(&self) -> Segment {
        self.receive_within(ANSWER).expect("a segment from the kernel")
    }

    /// As [`Peer::receive`]; `None` when there is none.
    pub fn receive_within(&self, limit: Duration) -> Option<Segment> {
        let start = Instant::now();
        let mut packet = [0; 2048];
        loop {
            match (&self.0).read(&mut packet) {
                Ok(length) => {
                    if let Some(segment) = Segment::parse(&packet[..length]) {
                        return Some(segment);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if start.elapsed() >= limit {
                        return None;
                    }
                    sleep(Duration::from_millis(1));
                }
                Err(error) => panic!("the link is broken: {error}"),
            }
        }
    }

    /// The next segment with these flags.
    pub fn receive_with(&self, flags: u8) -> Segment {
        loop {
            let segment = self.receive();
            if segment.has(flags) {
                return segment;
            }
        }
    }

    /// Opens a connection to a listener, up to the kernel's SYN,ACK.
    pub fn open(&self, port: u16, to: SocketAddrV4, iss: u32) -> Conversation<'_> {
        let from = SocketAddrV4::new(THERE, port);
        self.send(&Segment { from, to, flags: SYN, seq: iss, ack: 0 });
        let answer = self.receive_with(SYN | ACK);
        Conversation { peer: self, from, to, seq: iss + 1, ack: answer.seq + 1 }
    }
}

/// One connection from the peer's side.
#[derive(Clone, Copy, Debug)]
pub struct Conversation<'a> {
    peer: &'a Peer,
    from: SocketAddrV4,
    to: SocketAddrV4,
    /// SND.NXT.
    pub seq: u32,
    /// RCV.NXT.
    pub ack: u32,
}

impl Conversation<'_> {
    /// A segment at SND.NXT.
    pub fn say(&mut self, flags: u8) {
        self.say_at(flags, self.seq);
        self.seq += u32::from(flags & (SYN | FIN) != 0);
    }

    pub fn say_at(&self, flags: u8, seq: u32) {
        let Self { peer, from, to, ack, .. } = *self;
        peer.send(&Segment { from, to, flags, seq, ack });
    }

    /// Waits for the kernel's FIN, and answers it with ours: the kernel is in TIME_WAIT then.
    pub fn close_second(&mut self) {
        let fin = self.peer.receive_with(FIN);
        self.ack = fin.seq + 1;
        self.say(FIN | ACK);
    }

    /// The kernel's answer to the SYN, as an ICMP error would quote it.
    pub fn syn_ack(&self) -> Segment {
        let Self { from, to, seq, ack, .. } = *self;
        Segment { from: to, to: from, flags: SYN | ACK, seq: ack - 1, ack: seq }
    }
}
