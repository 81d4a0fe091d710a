//! A recording from the moment that the kernel side is attached to its end.

use tracer_ebpf::Hook;

use super::{Parts, Recorded, Recorder, Selection, WriteError};
use crate::{
    judge::Input,
    kernel::{counts::Fate, listing::Snapshot, load::Attached},
    pipeline::Config,
    recording::Header,
};

/// What a sink does that records: hand everything over that the pipeline says.
#[derive(Debug)]
pub struct Tape(State);

#[derive(Debug)]
enum State {
    Waiting(Parts, Selection),
    Running(Recorder),
    Failed(WriteError),
    Ended,
}

impl Tape {
    /// A recording that begins when the kernel side is attached.
    #[must_use]
    pub const fn new(parts: Parts, selection: Selection) -> Self {
        Self(State::Waiting(parts, selection))
    }

    /// Begins.
    pub fn attached(&mut self, attached: &Attached, config: &Config) {
        let State::Waiting(parts, selection) = std::mem::replace(&mut self.0, State::Ended) else { return };
        let sockets = &selection.sockets;
        let chosen = (!sockets.is_everything()).then(|| sockets.to_string());
        let header = Header::new(attached, config.limits, chosen);
        self.0 = Recorder::begin(parts, header, selection).map_or_else(State::Failed, State::Running);
    }

    /// Takes in what the judge is about to.
    pub fn input(&mut self, input: Input<'_>) {
        if let State::Running(recorder) = &mut self.0 {
            recorder.input(input);
        }
    }

    /// The listing of what was there before is complete.
    pub fn started(&mut self, adopted: &Snapshot) {
        if let State::Running(recorder) = &mut self.0 {
            recorder.listed(adopted);
        }
    }

    /// Hands over what is due; false when nothing more can be written. `now`: CLOCK_MONOTONIC nanoseconds.
    pub fn tick(&mut self, now: u64) -> bool {
        let State::Running(recorder) = &mut self.0 else { return false };
        recorder.tick(now);
        !recorder.has_failed()
    }

    /// Records that were taken in and will not be in the files.
    #[must_use]
    pub const fn unwritten(&self) -> u64 {
        match &self.0 {
            State::Running(recorder) => recorder.unwritten(),
            State::Waiting(..) | State::Failed(_) | State::Ended => 0,
        }
    }

    /// Writes the rest, and says how much it was.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when it never began. Later errors are in what is returned.
    pub fn finish(self, fates: &[(Hook, Fate)]) -> Result<Recorded, WriteError> {
        match self.0 {
            State::Running(recorder) => Ok(recorder.finish(fates)),
            State::Failed(error) => Err(error),
            State::Waiting(..) | State::Ended => Ok(Recorded::default()),
        }
    }
}
