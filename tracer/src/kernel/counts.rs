//! What became of every firing, from the programs' own counts and the kernel's.

use std::os::unix::fs::FileExt;

use aya::maps::{MapData, PerCpuArray};
use tracer_ebpf::{Hook, Outcome};

use super::load::{Attached, Loaded};

/// The fate of every firing of one hook since it was attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fate {
    /// Records that went into the ring.
    pub delivered: u64,
    /// Not ours.
    pub filtered: u64,
    /// Lost for want of room.
    pub ring_full: u64,
    /// Firings that no copy could handle: each was active on that CPU already.
    pub missed: u64,
    /// Firings that the first copy could not handle and another one did.
    pub recovered: u64,
}

impl Fate {
    /// How often the hook fired.
    #[must_use]
    pub const fn firings(&self) -> u64 {
        self.delivered + self.filtered + self.ring_full + self.missed
    }

    /// Events that concern us and never arrived.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.ring_full + self.missed
    }
}

/// What the kernel says about one program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgramStats {
    /// Firings skipped because the program was active on that CPU.
    pub recursion_misses: u64,
    /// Nanoseconds spent; 0 unless kernel.bpf_stats_enabled is on.
    pub run_time_ns: u64,
    /// Runs; 0 unless kernel.bpf_stats_enabled is on.
    pub runs: u64,
}

/// Reads the fates of all hooks. Counts of a busy system move while they are read.
#[must_use]
pub fn fates(attached: &Attached) -> Vec<(Hook, Fate)> {
    attached
        .hooks
        .iter()
        .filter(|status| status.hook != Hook::Snapshot)
        .map(|status| (status.hook, fate(attached, status.hook)))
        .collect()
}

fn fate(attached: &Attached, hook: Hook) -> Fate {
    // First what the first copy skipped: a firing in between is then recovered before it was missed, never the other
    // way round, and a count of losses that only grows stays true.
    let skipped = attached
        .programs
        .iter()
        .find(|program| program.hook == hook && program.copy == 0)
        .map_or(0, |first| stats(first).recursion_misses);
    let copies = attached.hooks.iter().find(|status| status.hook == hook).map_or(0, |status| status.copies);
    let by_copies = |copies: std::ops::Range<u32>, outcome| -> u64 {
        copies.map(|copy| count(&attached.counts, hook, copy, outcome)).sum()
    };
    let by_first = |outcome| by_copies(0..copies.min(1), outcome);
    let by_others = |outcome| by_copies(1..copies.max(1), outcome);
    let both = Outcome::ALL.map(|outcome| (by_first(outcome), by_others(outcome)));
    let [delivered, filtered, ring_full] = both.map(|(first, others)| first + others);
    // What the first copy skipped, a later copy handled or nobody did.
    let recovered = both.iter().map(|(_, others)| others).sum();
    Fate { delivered, filtered, ring_full, missed: skipped.saturating_sub(recovered), recovered }
}

fn count(counts: &PerCpuArray<MapData, u64>, hook: Hook, copy: u32, outcome: Outcome) -> u64 {
    counts.get(&hook.count_index(copy, outcome), 0).map_or(0, |values| values.iter().sum())
}

/// A number that changes whenever an event was lost for want of room: one cheap look before each batch.
#[must_use]
pub fn loss_mark(attached: &Attached) -> u64 {
    attached.counts.get(&Hook::LOSSES, 0).map_or(0, |values| values.iter().sum())
}

/// Statistics of one program, from `/proc/self/fdinfo`; zeros where the kernel does not tell.
#[must_use]
pub fn stats(program: &Loaded) -> ProgramStats {
    // More than all of its lines take.
    let mut text = [0; 2048];
    let size = program.info.as_ref().and_then(|info| info.read_at(&mut text, 0).ok()).unwrap_or(0);
    parse(std::str::from_utf8(&text[..size]).unwrap_or_default())
}

fn parse(fdinfo: &str) -> ProgramStats {
    let mut stats = ProgramStats::default();
    for line in fdinfo.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let Ok(value) = value.trim().parse() else { continue };
        match key {
            "recursion_misses" => stats.recursion_misses = value,
            "run_time_ns" => stats.run_time_ns = value,
            "run_cnt" => stats.runs = value,
            _ => {}
        }
    }
    stats
}

#[cfg(test)]
mod tests {
    use super::{ProgramStats, parse};

    #[test]
    fn fdinfo_of_a_program() {
        let text = "pos:\t0\nprog_type:\t26\nprog_tag:\t0af8c2\nrun_time_ns:\t1200\nrun_cnt:\t7\nrecursion_misses:\t3\n";
        assert_eq!(parse(text), ProgramStats { recursion_misses: 3, run_time_ns: 1200, runs: 7 });
    }
}
