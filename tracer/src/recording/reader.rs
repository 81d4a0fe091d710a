//! Reads one file, frame by frame.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use super::{
    FORMAT, HEADER_LIMIT, Header, MAGIC, PREAMBLE, ReadError,
    error::HeaderDamage,
    frame::{Damage, HEAD, Head},
    u32_at,
};

/// One part of a recording. Nothing in the bytes can make it panic, or take more memory than a frame may have.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    file: PathBuf,
    position: u64,
    header: Header,
    next: u64,
}

/// The entries of a frame, and where it begins.
#[derive(Debug)]
pub struct Frame {
    /// Bytes from the begin of the file.
    pub position: u64,
    /// See [`super::entry::Entries`].
    pub entries: Vec<u8>,
}

impl Reader<BufReader<File>> {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when it is no recording of this version.
    pub fn open(file: &Path) -> Result<Self, ReadError> {
        let input = File::open(file).map_err(|source| ReadError::Open { file: file.to_owned(), source })?;
        Self::new(BufReader::with_capacity(1 << 16, input), file)
    }
}

impl<R: Read> Reader<R> {
    /// Reads the header. `file`: what errors call it.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when it is no recording of this version.
    pub fn new(input: R, file: &Path) -> Result<Self, ReadError> {
        let mut source = Source { input, file: file.to_owned(), position: 0 };
        let file = || file.to_owned();
        let preamble = source.up_to(PREAMBLE)?;
        if preamble.is_empty() {
            return Err(ReadError::Empty { file: file() });
        }
        let same = preamble.iter().zip(MAGIC).take_while(|(found, expected)| **found == *expected).count();
        if same < preamble.len().min(MAGIC.len()) {
            return Err(ReadError::Foreign { file: file() });
        }
        let damaged = |position, reason| ReadError::Header { file: file(), position, reason };
        if preamble.len() < PREAMBLE {
            return Err(damaged(source.position, HeaderDamage::Short));
        }
        let [found, length, checksum] = [8, 12, 16].map(|at| u32_at(&preamble, at));
        if found > FORMAT {
            return Err(ReadError::Newer { file: file(), found });
        }
        if found < FORMAT {
            return Err(damaged(8, HeaderDamage::Format(found)));
        }
        if length > HEADER_LIMIT {
            return Err(damaged(12, HeaderDamage::Length(length)));
        }
        let begin = source.position;
        let json = source.up_to(length as usize)?;
        if json.len() < length as usize {
            return Err(damaged(source.position, HeaderDamage::Short));
        }
        if crc32fast::hash(&json) != checksum {
            return Err(damaged(begin, HeaderDamage::Checksum));
        }
        let header: Header = serde_json::from_slice(&json).map_err(|error| damaged(begin, error.into()))?;
        if !header.records.is_own() {
            let Header { records, agent, .. } = header;
            let (version, size, byte_order) = (records.version, records.size, records.byte_order);
            return Err(ReadError::Records { file: file(), version, size, byte_order, agent });
        }
        let Source { input, file, position } = source;
        Ok(Self { input, file, position, next: header.first_frame, header })
    }

    /// What the file says of itself.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Bytes that have been read.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// Number of the frame that comes next.
    #[must_use]
    pub const fn next_number(&self) -> u64 {
        self.next
    }

    /// The next frame; `None` at the end of the file.
    ///
    /// # Errors
    ///
    /// [`ReadError`] when the file is damaged or cut off; what was read before is good.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, ReadError> {
        let begin = self.position;
        let file = self.file.clone();
        let mut source = Source { input: &mut self.input, file: file.clone(), position: begin };
        let head = source.up_to(HEAD)?;
        if head.is_empty() {
            return Ok(None);
        }
        let cut_off = |position, missing: usize| ReadError::Truncated {
            file: file.clone(),
            begin,
            position,
            missing: missing as u64,
        };
        let Ok(bytes) = <[u8; HEAD]>::try_from(head.as_slice()) else {
            return Err(cut_off(source.position, HEAD - head.len()));
        };
        let damaged = |damage: Damage| ReadError::Frame { file: file.clone(), position: begin, damage };
        let head = Head::parse(&bytes).map_err(damaged)?;
        let data = source.up_to(head.packed)?;
        if data.len() < head.packed {
            return Err(cut_off(source.position, head.packed - data.len()));
        }
        let entries = head.unpack(&bytes, &data).map_err(damaged)?;
        if head.number != self.next {
            let (expected, found) = (self.next, head.number);
            return Err(ReadError::Order { file, position: begin, expected, found });
        }
        self.position = source.position;
        self.next = self.next.wrapping_add(1);
        Ok(Some(Frame { position: begin, entries }))
    }
}

struct Source<R> {
    input: R,
    file: PathBuf,
    position: u64,
}

impl<R: Read> Source<R> {
    /// So many bytes; fewer at the end of the file.
    fn up_to(&mut self, length: usize) -> Result<Vec<u8>, ReadError> {
        let mut bytes = Vec::new();
        let read = (&mut self.input).take(length as u64).read_to_end(&mut bytes);
        self.position += bytes.len() as u64;
        let error =
            |source: io::Error| ReadError::Read { file: self.file.clone(), position: self.position, source };
        read.map_err(error)?;
        Ok(bytes)
    }
}
