//! What a recording came to, for an auditor: how much was judged, how, and what was missing.

use std::collections::BTreeMap;

use model::{Verdict, linux::DeviationId};
use serde::Serialize;
use tracer_ebpf::Hook;

use super::violations::{Scene, Violation};
use crate::{
    anchor::Anchor,
    decode::Malformed,
    judge::{Audience, Input, Loss},
    recording::{Entry, Header},
    replay::{Listener, Trouble},
    step::{Finding, StepKind},
};

/// Violations that are kept with their story. All of them are counted.
pub const KEPT: usize = 10_000;

/// The sink of `check`.
#[derive(Debug, Default, Serialize)]
pub struct Summary {
    /// Where the recordings come from.
    pub streams: Vec<Source>,
    /// Records: of the ring, of sweeps and of listings.
    pub records: u64,
    /// Transitions that the kernel announced.
    pub transitions: u64,
    /// Verdicts by class: of transitions, and of ends of TIME_WAIT minisockets.
    pub verdicts: BTreeMap<&'static str, u64>,
    /// Deviations by id: what the RFC wants otherwise.
    pub deviations: BTreeMap<&'static str, u64>,
    /// Habits of Linux that the RFC leaves room for, by id; the verdict is conforming.
    pub noted: BTreeMap<&'static str, u64>,
    /// Inconclusive verdicts by cause.
    pub inconclusive: BTreeMap<&'static str, u64>,
    /// Violations by rule.
    pub broken: BTreeMap<&'static str, u64>,
    /// Events that were lost before they could be recorded, by hook.
    pub lost: BTreeMap<&'static str, u64>,
    /// Records that the disk was too slow for.
    pub unwritten: u64,
    /// Records that two copies of a handler made of one event.
    pub doubled: u64,
    /// Records that cannot be read.
    pub malformed: u64,
    /// What is missing; empty: all that was given was judged to its end.
    pub troubles: Vec<String>,
    /// The first [`KEPT`] violations, with their stories.
    pub violations: Vec<Violation>,
    #[serde(skip)]
    scene: Scene,
}

/// Where a stream comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Source {
    /// The kernel's release.
    pub kernel: String,
    /// Its machine.
    pub machine: String,
    /// Version of the agent that recorded.
    pub agent: String,
    /// The first part that was given; above 0 the beginning is missing.
    pub first_part: u64,
    /// Which sockets were recorded; absent: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selection: Option<String>,
    /// Hooks that were not attached.
    pub missing_hooks: Vec<String>,
    /// When it begins, RFC 3339.
    pub begun: String,
    /// How much time it covers.
    pub seconds: f64,
    #[serde(skip)]
    from: Anchor,
}

impl Summary {
    /// True when everything that was given could be read and judged to its end.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.troubles.is_empty() && self.malformed == 0
    }

    /// Violations in all.
    #[must_use]
    pub fn violated(&self) -> u64 {
        self.broken.values().sum()
    }

    /// Verdicts of a class.
    #[must_use]
    pub fn verdicts_of(&self, class: &str) -> u64 {
        self.verdicts.get(class).copied().unwrap_or(0)
    }

    fn deviation(counts: &mut BTreeMap<&'static str, u64>, id: DeviationId) {
        *counts.entry(id.name()).or_default() += 1;
    }

    fn reaches(&mut self, time: u64) {
        if let Some(source) = self.streams.last_mut() {
            let span = time.saturating_sub(source.from.monotonic_ns);
            source.seconds = source.seconds.max(span as f64 / 1e9);
        }
    }
}

impl Audience for Summary {
    fn finding(&mut self, finding: &Finding<'_>) {
        match finding.step.kind {
            StepKind::Transition { .. } => self.transitions += 1,
            StepKind::Duplicate => self.doubled += 1,
            _ => {}
        }
        let Some(judgement) = &finding.judgement else { return };
        *self.verdicts.entry(judgement.verdict.class()).or_default() += 1;
        if let Some(id) = judgement.noted {
            Self::deviation(&mut self.noted, id);
        }
        match judgement.verdict {
            Verdict::Conforming(_) => {}
            Verdict::Deviation(id) => Self::deviation(&mut self.deviations, id),
            Verdict::Inconclusive(cause) => *self.inconclusive.entry(cause.name()).or_default() += 1,
            Verdict::Violation(id) => {
                *self.broken.entry(id.name()).or_default() += 1;
                if self.violations.len() < KEPT {
                    self.violations.extend(Violation::of(finding, &self.scene));
                }
            }
        }
    }

    fn malformed(&mut self, _: &Malformed, _: Option<Hook>) {
        self.malformed += 1;
    }
}

impl Listener for Summary {
    fn stream(&mut self, header: &Header) {
        let missing = header.hooks.iter().filter(|hook| hook.copies == 0);
        self.scene = Scene { kernel: header.kernel.release.clone(), anchor: header.begun };
        for class in Verdict::CLASSES {
            self.verdicts.entry(class).or_default();
        }
        self.streams.push(Source {
            kernel: header.kernel.release.clone(),
            machine: header.kernel.machine.clone(),
            agent: header.agent.clone(),
            first_part: header.part,
            selection: header.selection.clone(),
            missing_hooks: missing.map(|hook| hook.name.clone()).collect(),
            begun: header.begun.wall_at(header.begun.monotonic_ns).to_string(),
            seconds: 0.0,
            from: header.begun,
        });
    }

    fn entry(&mut self, entry: &Entry<'_>) {
        match entry {
            Entry::Input(Input::Listed(_) | Input::Record(_) | Input::Shown(_)) => self.records += 1,
            Entry::Input(Input::Lost(Loss { hook, ring_full, missed, .. })) => {
                let lost = self.lost.entry(hook.name()).or_default();
                *lost = lost.saturating_add(*ring_full).saturating_add(*missed);
            }
            Entry::Input(Input::Flush(time)) => self.reaches(*time),
            Entry::Anchor(anchor) => {
                self.scene.anchor = *anchor;
                self.reaches(anchor.monotonic_ns);
            }
            Entry::Unwritten(gap) => self.unwritten = self.unwritten.saturating_add(gap.records),
            Entry::Input(Input::Listing | Input::Walked(_) | Input::Complete(_))
            | Entry::Listing { .. }
            | Entry::Fate(..)
            | Entry::End(_) => {}
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble.to_string());
    }
}
