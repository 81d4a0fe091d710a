//! Recordings through the judge: the same code as live, with files for a kernel.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use tracer_ebpf::Hook;

use crate::{
    judge::{Audience, Input, Judge, Loss},
    recording::{
        End, Entry, Header, ReadError, Reader,
        entry::{Entries, Unwritten},
    },
};

/// Longer than anything waits for its next event, nanoseconds.
const SETTLES: u64 = 1_000_000_000;

/// Who is told of recordings.
pub trait Listener: Audience {
    /// A stream begins, with this part. Its kernel has nothing to do with that of the stream before.
    fn stream(&mut self, _header: &Header) {}
    /// What stands in the recording, before it is judged.
    fn entry(&mut self, _entry: &Entry<'_>) {}
    /// Something of the recording is missing.
    fn trouble(&mut self, trouble: Trouble);
}

/// Something of a recording is missing: what was judged is not the whole.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// A file cannot be read, or not to its end.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Parts between two others.
    #[error(
        "{} missing before {file}; what they would have shown is inconclusive",
        parts(*.from, *.to),
        file = file.display()
    )]
    Missing {
        /// The first that is missing.
        from: u64,
        /// The last.
        to: u64,
        /// The file after them.
        file: PathBuf,
    },
    /// The same part a second time.
    #[error("{file} is part {part} of its stream, which was given already; it is left out", file = file.display())]
    Twice {
        /// The file.
        file: PathBuf,
        /// Which part.
        part: u64,
    },
    /// The recording was not ended.
    #[error(
        "{file} has no end: recording was killed, or goes on; it was judged up to byte {position}",
        file = file.display()
    )]
    Unfinished {
        /// The file.
        file: PathBuf,
        /// Its size, bytes.
        position: u64,
    },
    /// The last part that was given is not the last.
    #[error("{file} goes on in part {next}, which was not given", file = file.display())]
    Continues {
        /// The file.
        file: PathBuf,
        /// What comes next.
        next: u64,
    },
    /// The disk was too slow.
    #[error(
        "{records} records were not written to {file}, the disk being too slow; what they would have shown is inconclusive",
        file = file.display()
    )]
    Unwritten {
        /// The file.
        file: PathBuf,
        /// How many.
        records: u64,
    },
}

fn parts(from: u64, to: u64) -> String {
    if from == to {
        format!("part {from} of the stream is")
    } else {
        format!("parts {from} to {to} of the stream are")
    }
}

/// Judges files. Parts of one stream join, whatever their order; streams do not.
pub fn files(files: &[PathBuf], listener: &mut impl Listener) {
    let mut readers = Vec::new();
    for file in files {
        match Reader::open(file) {
            Ok(reader) => readers.push(reader),
            Err(error) => listener.trouble(error.into()),
        }
    }
    streams::<BufReader<File>>(readers, listener);
}

/// As [`files`], for what is open already.
pub fn streams<R: Read>(mut parts: Vec<Reader<R>>, listener: &mut impl Listener) {
    // Streams in the order of their first file; each in the order of its parts.
    let order: Vec<String> = parts.iter().map(|part| part.header().stream.clone()).collect();
    let place = |stream: &str| order.iter().position(|other| other == stream);
    parts.sort_by_key(|part| (place(&part.header().stream), part.header().part));
    let mut stream: Option<Stream> = None;
    for part in parts {
        let same = stream.as_ref().is_some_and(|stream| stream.name == part.header().stream);
        if !same {
            if let Some(done) = stream.take() {
                done.finish(listener);
            }
            listener.stream(part.header());
        }
        stream.get_or_insert_with(|| Stream::new(part.header())).part(part, listener);
    }
    if let Some(done) = stream {
        done.finish(listener);
    }
}

/// One stream.
struct Stream {
    name: String,
    judge: Judge,
    /// The part that should come next.
    next: u64,
    /// Something is missing before what comes next.
    gap: bool,
    /// The last file went on in another one.
    continued: Option<PathBuf>,
}

impl Stream {
    fn new(header: &Header) -> Self {
        Self {
            name: header.stream.clone(),
            judge: Judge::new(header.decoder(), header.limits(), header.visible()),
            next: header.part,
            gap: false,
            continued: None,
        }
    }

    fn part<R: Read>(&mut self, mut reader: Reader<R>, listener: &mut impl Listener) {
        let Header { part, begun, .. } = *reader.header();
        let file = reader.file().to_owned();
        if part < self.next {
            return listener.trouble(Trouble::Twice { file, part });
        }
        if part > self.next {
            listener.trouble(Trouble::Missing { from: self.next, to: part - 1, file: file.clone() });
            self.gap = true;
        }
        self.next = part.saturating_add(1);
        self.continued = None;
        let mut end = None;
        loop {
            match reader.next_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    let mut entries = Entries::new(&frame.entries);
                    loop {
                        match entries.next_entry() {
                            Ok(None) => break,
                            Ok(Some(Entry::End(found))) => end = Some(found),
                            Ok(Some(entry)) => self.entry(entry, begun.monotonic_ns, &file, listener),
                            Err(reason) => {
                                let (file, position) = (file.clone(), frame.position);
                                self.gap = true;
                                return listener.trouble(ReadError::Entry { file, position, reason }.into());
                            }
                        }
                    }
                }
                Err(error) => {
                    self.gap = true;
                    return listener.trouble(error.into());
                }
            }
        }
        match end {
            Some(End::Stopped) => {}
            Some(End::Continued) => self.continued = Some(file),
            None => {
                self.gap = true;
                listener.trouble(Trouble::Unfinished { file, position: reader.position() });
            }
        }
    }

    fn entry(&mut self, entry: Entry<'_>, begun: u64, file: &Path, listener: &mut impl Listener) {
        if std::mem::take(&mut self.gap) {
            let until = if let Entry::Anchor(anchor) = entry { anchor.monotonic_ns } else { begun };
            self.lose(until, listener);
        }
        listener.entry(&entry);
        match entry {
            Entry::Input(input) => self.judge.take(input, listener),
            Entry::Unwritten(Unwritten { records, until }) => {
                self.lose(until, listener);
                listener.trouble(Trouble::Unwritten { file: file.to_owned(), records });
            }
            Entry::Anchor(_) | Entry::Listing { .. } | Entry::Fate(..) | Entry::End(_) => {}
        }
    }

    /// Anything may have happened until then.
    fn lose(&mut self, until: u64, listener: &mut impl Listener) {
        let settled = self.judge.latest().saturating_add(SETTLES);
        // The first flush says that the batch is over, the second that nothing came after it.
        for _ in 0..2 {
            self.judge.take(Input::Flush(settled), listener);
        }
        for hook in Hook::ALL {
            self.judge.take(Input::Lost(Loss { hook, until, ring_full: 0, missed: 0 }), listener);
        }
    }

    fn finish(self, listener: &mut impl Listener) {
        if let Some(file) = self.continued {
            listener.trouble(Trouble::Continues { file, next: self.next });
        }
    }
}
