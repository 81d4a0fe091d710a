//! One frame: entries, packed, with a number and a checksum.

use std::io;

use super::{u32_at, u64_at};

/// Before each frame.
pub const MARK: [u8; 4] = *b"TCPF";

/// Bytes of a frame before its data.
pub const HEAD: usize = MARK.len() + 8 + 3 * 4;

/// The most that a frame unpacks to, bytes.
pub const UNPACKED_LIMIT: usize = 16 << 20;

/// The most that packed data can take, bytes.
#[must_use]
pub fn packed_limit() -> usize {
    zstd::zstd_safe::compress_bound(UNPACKED_LIMIT)
}

/// Fast, and about as small as slower levels make records.
const LEVEL: i32 = 1;

/// Packs frames.
pub struct Packer(zstd::bulk::Compressor<'static>);

impl Packer {
    /// A packer.
    ///
    /// # Errors
    ///
    /// Only without memory.
    pub fn new() -> io::Result<Self> {
        zstd::bulk::Compressor::new(LEVEL).map(Self)
    }

    /// A whole frame of these entries.
    ///
    /// # Errors
    ///
    /// Only without memory.
    pub fn pack(&mut self, number: u64, entries: &[u8]) -> io::Result<Vec<u8>> {
        let data = self.0.compress(entries)?;
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(io::Error::other);
        let mut frame = Vec::with_capacity(HEAD + data.len());
        frame.extend(MARK);
        frame.extend(number.to_le_bytes());
        frame.extend(length(entries)?.to_le_bytes());
        frame.extend(length(&data)?.to_le_bytes());
        let sum = checksum(&frame, &data);
        frame.extend(sum.to_le_bytes());
        frame.extend(data);
        Ok(frame)
    }
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

/// What stands before a frame's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of the frame in its stream.
    pub number: u64,
    /// Bytes of its entries.
    pub unpacked: usize,
    /// Bytes of its data.
    pub packed: usize,
    checksum: u32,
}

/// Why a frame cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// There is something else.
    #[error("no frame begins here")]
    Mark,
    /// A length that no frame has.
    #[error("a frame cannot be that long")]
    Length,
    /// The checksum is another one.
    #[error("its checksum is wrong")]
    Checksum,
    /// The data does not unpack.
    #[error("its data cannot be unpacked")]
    Data,
}

impl Head {
    /// Reads what stands before a frame's data.
    ///
    /// # Errors
    ///
    /// [`Damage`] when it is no such thing.
    pub fn parse(bytes: &[u8; HEAD]) -> Result<Self, Damage> {
        if bytes[..MARK.len()] != MARK {
            return Err(Damage::Mark);
        }
        let length = |at| usize::try_from(u32_at(bytes, at)).unwrap_or(usize::MAX);
        let (unpacked, packed) = (length(12), length(16));
        if unpacked > UNPACKED_LIMIT || packed > packed_limit() {
            return Err(Damage::Length);
        }
        Ok(Self { number: u64_at(bytes, 4), unpacked, packed, checksum: u32_at(bytes, 20) })
    }

    /// The entries.
    ///
    /// # Errors
    ///
    /// [`Damage`] when the data is not what was written.
    pub fn unpack(&self, head: &[u8; HEAD], data: &[u8]) -> Result<Vec<u8>, Damage> {
        if checksum(&head[..HEAD - 4], data) != self.checksum {
            return Err(Damage::Checksum);
        }
        let entries = zstd::bulk::decompress(data, self.unpacked).map_err(|_| Damage::Data)?;
        if entries.len() == self.unpacked { Ok(entries) } else { Err(Damage::Data) }
    }
}

/// `head`: from the mark to the checksum, which is not part of it.
fn checksum(head: &[u8], data: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&head[MARK.len()..]);
    hasher.update(data);
    hasher.finalize()
}
