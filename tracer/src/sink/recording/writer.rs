//! The thread that packs frames and writes them.

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
    sync::mpsc::Receiver,
    time::{Duration, Instant},
};

use super::parts::{CreateError, Parts, Place};
use crate::{
    anchor::Anchor,
    judge::Input,
    recording::{
        End, Entry, Header,
        entry::{Encoder, Entries},
        frame::Packer,
    },
};

/// At most so much is only in the system's memory, and would be lost with its power.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// What is in the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The file that was written last.
    pub file: PathBuf,
    /// Records.
    pub records: u64,
    /// Files that were begun.
    pub parts: u64,
    /// Bytes in all of them.
    pub bytes: u64,
}

/// Why a recording ends early.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The next part cannot be begun.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The disk is full, or the like.
    #[error(
        "cannot write to {file}: {source}; what was written until then can be read ({records} records, {position} bytes in \
         this file)",
        file = file.display()
    )]
    Write {
        /// The file.
        file: PathBuf,
        /// Where it ends now, bytes.
        position: u64,
        /// Records that are in the files.
        records: u64,
        /// What the system said.
        source: io::Error,
    },
    /// No thread to write with.
    #[error("cannot start the thread that writes the recording: {0}")]
    Thread(#[source] io::Error),
}

/// The files, as they are being written.
#[derive(Debug)]
pub(super) struct Writer {
    file: File,
    place: Place,
    header: Header,
    packer: Packer,
    /// Number of the next frame.
    number: u64,
    /// Bytes of the file up to the last whole frame.
    size: u64,
    /// Bytes of the header, which every part has.
    head: u64,
    synced: Instant,
    written: Written,
}

impl Writer {
    pub(super) fn begin(parts: Parts, header: Header) -> Result<Self, WriteError> {
        let (file, place) = parts.open();
        let failed =
            |place: &Place, source| WriteError::Write { file: place.path(), position: 0, records: 0, source };
        let packer = Packer::new().map_err(|source| failed(&place, source))?;
        let synced = Instant::now();
        let written = Written { parts: 1, file: place.path(), ..Written::default() };
        let mut writer = Self { file, place, header, packer, number: 0, size: 0, head: 0, synced, written };
        writer.header().map_err(|source| failed(&writer.place, source))?;
        Ok(writer)
    }

    /// Writes frames until there are no more.
    pub(super) fn run(mut self, frames: &Receiver<Vec<u8>>) -> Result<Written, WriteError> {
        for entries in frames {
            if let Err(error) = self.frame(&entries) {
                return Err(self.fail(error));
            }
        }
        if let Err(error) = self.file.sync_all() {
            return Err(self.fail(error.into()));
        }
        Ok(self.written)
    }

    /// A file never ends within a frame, if that can be helped.
    fn fail(&self, failure: Failure) -> WriteError {
        let source = match failure {
            Failure::Create(error) => return error.into(),
            Failure::Write(source) => source,
        };
        if let Err(error) = self.file.set_len(self.size) {
            log::warn!("cannot cut {} off at byte {}: {error}", self.place.path().display(), self.size);
        }
        WriteError::Write {
            file: self.place.path(),
            position: self.size,
            records: self.written.records,
            source,
        }
    }

    fn frame(&mut self, entries: &[u8]) -> Result<(), Failure> {
        let frame = self.packer.pack(self.number, entries)?;
        // A part has one frame at least, however small its limit.
        if self.size > self.head && self.place.is_full(self.size, frame.len() as u64) {
            self.rotate()?;
            let frame = self.packer.pack(self.number, entries)?;
            self.write(&frame)?;
        } else {
            self.write(&frame)?;
        }
        self.written.records += records(entries);
        if self.synced.elapsed() >= SYNC_INTERVAL {
            self.file.sync_data()?;
            self.synced = Instant::now();
        }
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), Failure> {
        let mut encoder = Encoder::default();
        encoder.push(&Entry::End(End::Continued));
        let end = self.packer.pack(self.number, &encoder.take())?;
        self.write(&end)?;
        self.file.sync_data()?;
        self.file = self.place.next()?;
        self.written.parts += 1;
        self.written.file = self.place.path();
        self.size = 0;
        self.header.part = self.place.part();
        self.header.first_frame = self.number;
        self.header.begun = Anchor::now();
        self.header()?;
        Ok(())
    }

    fn header(&mut self) -> io::Result<()> {
        let header = self.header.encode()?;
        self.head = header.len() as u64;
        self.bytes(&header)
    }

    fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        self.bytes(frame)?;
        self.number += 1;
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.size += bytes.len() as u64;
        self.written.bytes += bytes.len() as u64;
        Ok(())
    }
}

enum Failure {
    Create(CreateError),
    Write(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl From<CreateError> for Failure {
    fn from(error: CreateError) -> Self {
        Self::Create(error)
    }
}

/// Records of the ring and of listings in a frame.
fn records(entries: &[u8]) -> u64 {
    let mut entries = Entries::new(entries);
    let mut records = 0;
    while let Ok(Some(entry)) = entries.next_entry() {
        records +=
            u64::from(matches!(entry, Entry::Input(Input::Listed(_) | Input::Record(_) | Input::Shown(_))));
    }
    records
}
