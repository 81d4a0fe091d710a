//! Why a recording cannot be read, or not to its end.

use std::{io, path::PathBuf};

use tracer_ebpf::RECORD_VERSION;

use super::{FORMAT, entry, frame::Damage};

/// Why a recording cannot be read, or not to its end. Positions are bytes from the begin of the file.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not to be opened.
    #[error("cannot open {file}: {source}", file = file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused to read on.
    #[error("cannot read {file} at byte {position}: {source}", file = file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Where.
        position: u64,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing in it.
    #[error("{file} is empty: recording ended before anything was written", file = file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// Something else.
    #[error("{file} is no recording: byte 0 does not begin with the mark of `tcp-tracer record`", file = file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// Of a later version of this program.
    #[error(
        "{file} has format {found} and this tcp-tracer reads up to {FORMAT} (byte 8); use the version that recorded it, \
         or a newer one",
        file = file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Of a version, or a machine, with other records.
    #[error(
        "{file} has records of version {version} ({size} bytes, {byte_order}-endian), recorded by tcp-tracer {agent}, and \
         this one reads version {RECORD_VERSION}; use that version, on a machine of that byte order",
        file = file.display()
    )]
    Records {
        /// The file.
        file: PathBuf,
        /// Version of its records.
        version: u32,
        /// Their size, bytes.
        size: usize,
        /// Their byte order.
        byte_order: String,
        /// Who recorded it.
        agent: String,
    },
    /// The header is damaged.
    #[error("the header of {file} is damaged at byte {position}: {reason}; nothing in it can be judged", file = file.display())]
    Header {
        /// The file.
        file: PathBuf,
        /// Where.
        position: u64,
        /// In what way.
        reason: HeaderDamage,
    },
    /// The file ends too early.
    #[error(
        "{file} is cut off at byte {position}, {missing} bytes before the end of what begins at byte {begin}; everything \
         before that is judged",
        file = file.display()
    )]
    Truncated {
        /// The file.
        file: PathBuf,
        /// Where what is cut off begins.
        begin: u64,
        /// Where the file ends.
        position: u64,
        /// Bytes that should follow at least.
        missing: u64,
    },
    /// A frame is damaged.
    #[error("the frame at byte {position} of {file} is damaged: {damage}; everything before it is judged", file = file.display())]
    Frame {
        /// The file.
        file: PathBuf,
        /// Where the frame begins.
        position: u64,
        /// In what way.
        damage: Damage,
    },
    /// A frame is not the one that should follow.
    #[error(
        "the frame at byte {position} of {file} has number {found} instead of {expected}: frames are missing; everything \
         before it is judged",
        file = file.display()
    )]
    Order {
        /// The file.
        file: PathBuf,
        /// Where the frame begins.
        position: u64,
        /// The number that should be there.
        expected: u64,
        /// The number that is.
        found: u64,
    },
    /// A frame holds something that is no entry.
    #[error(
        "the frame at byte {position} of {file} holds something that this tcp-tracer does not know: {reason}; everything \
         before it is judged",
        file = file.display()
    )]
    Entry {
        /// The file.
        file: PathBuf,
        /// Where the frame begins.
        position: u64,
        /// What.
        reason: entry::Invalid,
    },
}

/// What is wrong with a header.
#[derive(Debug, thiserror::Error)]
pub enum HeaderDamage {
    /// The file ends within it.
    #[error("it is cut off")]
    Short,
    /// A format that never was.
    #[error("there is no format {0}")]
    Format(u32),
    /// A length that no header has.
    #[error("it cannot be {0} bytes long")]
    Length(u32),
    /// Its checksum is another one.
    #[error("its checksum is wrong")]
    Checksum,
    /// It says something else than a header does.
    #[error("{0}")]
    Content(#[from] serde_json::Error),
}
