//! Findings as they come, for eyes or for programs: a table, or one JSON object per line.

mod json;
mod table;

use std::{
    io::{self, Write},
    ops::ControlFlow,
};

pub use self::table::Table;
use crate::{
    anchor::Anchor,
    decode::Kernel,
    event::{Event, What},
    filter::Filter,
    sink::violations::Scene,
    step::{Finding, StepKind},
};

/// How findings are written.
#[derive(Clone, Debug)]
pub enum Format {
    /// Aligned columns.
    Table(Table),
    /// One object per line.
    Json,
}

/// What to show of all that is found.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Which sockets and transitions.
    pub filter: Filter,
    /// Not transitions only: handshakes, resets, retransmissions, half-open requests and TIME_WAIT minisockets too.
    pub all: bool,
    /// Stop after so many.
    pub limit: Option<u64>,
}

/// How much was shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Lines written.
    pub shown: u64,
    /// Findings that were looked at for it, those that the filter kept out included.
    pub seen: u64,
}

/// The output broke.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output: {0}")]
pub struct WriteError(#[from] io::Error);

/// The sink of `watch`. Lines are gathered and written once per batch.
#[derive(Debug)]
pub struct Stream<W> {
    out: W,
    lines: Vec<u8>,
    format: Format,
    selection: Selection,
    scene: Scene,
    kernel: Kernel,
    counts: Shown,
    failure: Option<io::Error>,
}

impl<W: Write> Stream<W> {
    /// A stream that has written nothing.
    pub fn new(out: W, format: Format, selection: Selection, epoch: Anchor) -> Self {
        let (kernel, counts) = (Kernel::default(), Shown::default());
        let scene = Scene { anchor: epoch, ..Scene::here() };
        Self { out, lines: Vec::new(), format, selection, scene, kernel, counts, failure: None }
    }

    /// Says where time begins and what the kernel's numbers mean; the table gets its titles.
    pub fn start(&mut self, epoch: Anchor, kernel: &Kernel) {
        self.scene.anchor = epoch;
        self.kernel = kernel.clone();
        if let Format::Table(table) = &self.format {
            table.header(&mut self.lines);
        }
    }

    /// Takes a finding; writes nothing yet.
    pub fn finding(&mut self, finding: &Finding<'_>) {
        let wanted = match finding.step.kind {
            StepKind::Transition { .. } => true,
            StepKind::Duplicate => false,
            _ => self.selection.all,
        };
        if !wanted || self.full() {
            return;
        }
        self.counts.seen += 1;
        if !self.selection.filter.matches(finding) {
            return;
        }
        self.counts.shown += 1;
        match &self.format {
            Format::Table(table) => table.row(&mut self.lines, finding, &self.scene.anchor, &self.kernel),
            Format::Json => {
                if let Err(error) = json::line(&mut self.lines, finding, &self.scene, &self.kernel) {
                    self.failure = Some(error.into());
                }
            }
        }
    }

    /// Writes what has gathered. `Break`: there is nothing more to do, since the limit is reached or nobody reads.
    pub fn flush(&mut self) -> ControlFlow<()> {
        if self.failure.is_none() {
            self.failure = self.out.write_all(&self.lines).and_then(|()| self.out.flush()).err();
        }
        self.lines.clear();
        if self.full() || self.failure.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Writes the rest. A reader that has gone away, like `head`, has seen enough: that is no error.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when the output failed, now or earlier.
    pub fn finish(mut self) -> Result<Shown, WriteError> {
        let _full_or_failed = self.flush();
        match self.failure {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(self.counts),
        }
    }

    fn full(&self) -> bool {
        self.selection.limit.is_some_and(|limit| self.counts.shown >= limit)
    }
}

/// Why an RST was sent, as the metrics spell it; `None` where the kernel does not say.
pub(super) fn reset_reason(event: &Event, kernel: &Kernel) -> Option<String> {
    let What::ResetSent { number, .. } = event.what else { return None };
    let (_, name) = kernel.reset_reasons.iter().find(|(known, _)| *known == number)?;
    Some(name.to_ascii_lowercase())
}

/// Nanoseconds as seconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "53 bits of nanoseconds are exact for 104 days, and fine beyond"
)]
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

#[cfg(test)]
mod tests;
