//! pcapng files: <https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html>.

/// Raw IP, version 4 or 6 by its first nibble.
const LINKTYPE_RAW: u16 = 101;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const ENHANCED_PACKET: u32 = 6;

const END_OF_OPTIONS: u16 = 0;
const COMMENT: u16 = 1;
const SECTION_OS: u16 = 3;
const SECTION_APPLICATION: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const INTERFACE_DESCRIPTION: u16 = 3;
const INTERFACE_TIME_RESOLUTION: u16 = 9;
const PACKET_FLAGS: u16 = 2;

/// Time stamps count nanoseconds: 10^-9 seconds.
const NANOSECONDS: u8 = 9;

/// Which way a packet went, as seen from its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To the kernel.
    Inbound = 1,
    /// From the kernel.
    Outbound = 2,
}

/// A packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    /// The number of its interface, in the order of [`File::interface`].
    pub(super) interface: u32,
    /// Nanoseconds since 1970.
    pub(super) time: u64,
    /// Which way it went.
    pub(super) way: Way,
    /// What is to be said of it.
    pub(super) comments: Vec<String>,
    /// From the IP header on.
    pub(super) bytes: Vec<u8>,
}

/// A file that grows: a section, its interfaces, and then its packets.
pub(super) struct File {
    bytes: Vec<u8>,
}

impl File {
    /// With what wrote it, on which system, and a remark on the whole.
    pub(super) fn new(application: &str, system: &str, comment: &str) -> Self {
        let mut body = Vec::new();
        body.extend(0x1a2b_3c4d_u32.to_ne_bytes());
        // Version 1.0, and a section whose length is not given.
        body.extend(1_u16.to_ne_bytes());
        body.extend(0_u16.to_ne_bytes());
        body.extend((-1_i64).to_ne_bytes());
        for (code, text) in [(COMMENT, comment), (SECTION_OS, system), (SECTION_APPLICATION, application)] {
            option(&mut body, code, text.as_bytes());
        }
        option(&mut body, END_OF_OPTIONS, &[]);
        let mut file = Self { bytes: Vec::new() };
        file.block(SECTION_HEADER, &body);
        file
    }

    /// Adds an interface.
    pub(super) fn interface(&mut self, name: &str, description: &str) {
        let mut body = Vec::new();
        body.extend(LINKTYPE_RAW.to_ne_bytes());
        body.extend(0_u16.to_ne_bytes());
        // Packets are never cut.
        body.extend(0_u32.to_ne_bytes());
        option(&mut body, INTERFACE_NAME, name.as_bytes());
        option(&mut body, INTERFACE_DESCRIPTION, description.as_bytes());
        option(&mut body, INTERFACE_TIME_RESOLUTION, &[NANOSECONDS]);
        option(&mut body, END_OF_OPTIONS, &[]);
        self.block(INTERFACE, &body);
    }

    /// Adds a packet.
    pub(super) fn packet(&mut self, packet: &Packet) {
        let Packet { interface, time, way, comments, bytes } = packet;
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let mut body = Vec::new();
        let time = time.to_be_bytes();
        let [a, b, c, d, e, f, g, h] = time;
        let (high, low) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
        for field in [*interface, high, low, length, length] {
            body.extend(field.to_ne_bytes());
        }
        body.extend(bytes);
        pad(&mut body);
        for comment in comments {
            option(&mut body, COMMENT, comment.as_bytes());
        }
        option(&mut body, PACKET_FLAGS, &(*way as u32).to_ne_bytes());
        option(&mut body, END_OF_OPTIONS, &[]);
        self.block(ENHANCED_PACKET, &body);
    }

    /// The whole file.
    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        // Type, length, body, and the length again.
        let length = u32::try_from(body.len() + 12).unwrap_or(u32::MAX).to_ne_bytes();
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(length);
        self.bytes.extend(body);
        self.bytes.extend(length);
    }
}

/// Adds an option. What does not fit into its 16-bit length is cut off, at the end of a letter.
fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let mut length = value.len().min(usize::from(u16::MAX));
    while length < value.len() && value.get(length).is_some_and(|octet| octet & 0xc0 == 0x80) {
        length -= 1;
    }
    body.extend(code.to_ne_bytes());
    body.extend(u16::try_from(length).unwrap_or(u16::MAX).to_ne_bytes());
    body.extend(value.iter().take(length));
    pad(body);
}

/// Blocks and options consist of 32-bit words.
fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}
