//! A recording: everything that the judge took in, in its order, so that it can be judged again elsewhere.
//!
//! ```text
//! file    = MAGIC, format (u32), header length (u32), header checksum (u32), header (JSON), frame*
//! frame   = MARK, number (u64), unpacked length (u32), length (u32), checksum (u32), Zstandard data
//! unpacked = entry*, see [`entry`]
//! ```
//!
//! All numbers of the container are little-endian. The checksums are CRC-32: the header's over its JSON, a frame's over
//! everything of the frame behind its mark but the checksum itself. A frame stands for itself, so that whatever happens to
//! the writer, all whole frames can be read. Records are as the kernel side wrote them; the header tells their layout.

pub mod entry;
mod error;
pub mod frame;
pub mod header;
pub mod layout;
mod reader;

pub use self::{
    entry::{End, Entry},
    error::ReadError,
    header::Header,
    reader::Reader,
};

/// The first bytes of every recording. The first is no text, the next say what it is, the last show whether something
/// has translated line ends.
pub const MAGIC: [u8; 8] = *b"\x93TCPT\r\n\x1a";

/// Changes whenever a reader of this one could not read it.
pub const FORMAT: u32 = 1;

/// Bytes before the header.
const PREAMBLE: usize = MAGIC.len() + 3 * size_of::<u32>();

/// A header is a few kilobytes; more is damage.
const HEADER_LIMIT: u32 = 1 << 20;

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|word| word.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|word| word.try_into().ok()).map_or(0, u64::from_le_bytes)
}
