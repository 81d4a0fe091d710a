//! Writes what the judge takes in to files, on a thread of its own: the ring does not wait for a disk.

mod parts;
mod selection;
mod tape;
mod writer;

use std::{
    sync::mpsc::{SyncSender, TrySendError, sync_channel},
    thread::JoinHandle,
};

use tracer_ebpf::Hook;

pub use self::{
    parts::{CreateError, Parts, Rotation},
    selection::Selection,
    tape::Tape,
    writer::{WriteError, Written},
};
use self::{selection::Selected, writer::Writer};
use crate::{
    anchor::Anchor,
    judge::Input,
    kernel::{counts::Fate, listing::Snapshot},
    recording::{
        End, Entry, Header,
        entry::{Encoder, Unwritten},
    },
};

/// Bytes of entries that make a frame.
const FRAME: usize = 1 << 20;

/// What has been taken in is in the file after this time, nanoseconds.
pub const FLUSH_INTERVAL: u64 = 1_000_000_000;

/// Frames that may wait for the disk.
const QUEUE: usize = 64;

/// The sink. Drop it without [`finish`](Self::finish), and the recording lacks its end.
#[derive(Debug)]
pub struct Recorder {
    encoder: Encoder,
    selected: Selected,
    /// Gone when the writer has failed.
    queue: Option<SyncSender<Vec<u8>>>,
    writer: Option<JoinHandle<Result<Written, WriteError>>>,
    flushed: u64,
    /// Taken in since the last frame that found room in the queue.
    gap: Unwritten,
    unwritten: u64,
}

/// How much came of it.
#[derive(Debug)]
pub struct Recorded {
    /// What is in the files; an error when they could not be written to the end.
    pub written: Result<Written, WriteError>,
    /// Records that were taken in and are not in the files.
    pub unwritten: u64,
}

impl Default for Recorded {
    fn default() -> Self {
        Self { written: Ok(Written::default()), unwritten: 0 }
    }
}

impl Recorder {
    /// Begins: a file with a header.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when the header cannot be written.
    pub fn begin(parts: Parts, header: Header, selection: Selection) -> Result<Self, WriteError> {
        let selected = Selected::new(selection, header.decoder());
        let flushed = header.begun.monotonic_ns;
        let writer = Writer::begin(parts, header)?;
        let (queue, frames) = sync_channel::<Vec<u8>>(QUEUE);
        let thread = std::thread::Builder::new().name("recording".to_owned());
        let writer = thread.spawn(move || writer.run(&frames)).map_err(WriteError::Thread)?;
        let mut recorder = Self {
            encoder: Encoder::default(),
            selected,
            queue: Some(queue),
            writer: Some(writer),
            flushed,
            gap: Unwritten::default(),
            unwritten: 0,
        };
        recorder.encoder.push(&Entry::Anchor(Anchor::now()));
        Ok(recorder)
    }

    /// Takes in what the judge is about to.
    pub fn input(&mut self, input: Input<'_>) {
        if self.selected.wants(input) {
            self.encoder.push(&Entry::Input(input));
            if self.encoder.len() >= FRAME {
                self.send(Anchor::now());
            }
        }
    }

    /// The listing of what was there before is complete.
    pub fn listed(&mut self, listing: &Snapshot) {
        let count = |number| u32::try_from(number).unwrap_or(u32::MAX);
        let (namespaces, problems) = (count(listing.namespaces.len()), count(listing.problems.len()));
        self.encoder.push(&Entry::Listing { namespaces, problems });
    }

    /// Hands over what is due. `now`: CLOCK_MONOTONIC nanoseconds.
    pub fn tick(&mut self, now: u64) {
        if now.saturating_sub(self.flushed) >= FLUSH_INTERVAL {
            self.send(Anchor::now());
        }
    }

    /// Records that were taken in and will not be in the files.
    pub const fn unwritten(&self) -> u64 {
        self.unwritten
    }

    /// True when the files can no longer be written; [`finish`](Self::finish) says why.
    pub const fn has_failed(&self) -> bool {
        self.queue.is_none()
    }

    /// Writes the rest and the end, and waits until it is on the disk.
    pub fn finish(mut self, fates: &[(Hook, Fate)]) -> Recorded {
        for (hook, fate) in fates {
            self.encoder.push(&Entry::Fate(*hook, *fate));
        }
        self.encoder.push(&Entry::End(End::Stopped));
        let last = self.frame();
        if let Some((frame, records)) = last
            && self.queue.take().is_none_or(|queue| queue.send(frame).is_err())
        {
            self.unwritten += records;
        }
        let written = self.writer.take().map_or(Ok(Written::default()), |writer| {
            writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        Recorded { written, unwritten: self.unwritten }
    }

    /// Entries so far and how many records are in them, with what went missing before in front.
    fn frame(&mut self) -> Option<(Vec<u8>, u64)> {
        if self.encoder.is_empty() {
            return None;
        }
        let records = self.encoder.records();
        let entries = self.encoder.take();
        if self.gap.records == 0 {
            return Some((entries, records));
        }
        let mut noted = Encoder::default();
        noted.push(&Entry::Unwritten(std::mem::take(&mut self.gap)));
        let mut frame = noted.take();
        frame.extend(entries);
        Some((frame, records))
    }

    fn send(&mut self, now: Anchor) {
        self.flushed = now.monotonic_ns;
        let gap = self.gap;
        let Some((frame, records)) = self.frame() else { return };
        let Some(queue) = &self.queue else {
            self.unwritten += records;
            return;
        };
        match queue.try_send(frame) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.unwritten += records;
                self.gap = Unwritten { records: gap.records + records.max(1), until: now.monotonic_ns };
            }
            Err(TrySendError::Disconnected(_)) => {
                self.unwritten += records;
                self.queue = None;
            }
        }
        self.encoder.push(&Entry::Anchor(now));
    }
}
