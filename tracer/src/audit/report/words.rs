//! What every rendering calls the same things.

use std::{collections::BTreeMap, fmt};

use super::model::{Family, Outcome, Report, RequirementVerdict};

impl Outcome {
    /// Every outcome, from best to worst.
    pub const ALL: [Self; 5] = [Self::Pass, Self::Deviation, Self::Inconclusive, Self::Fail, Self::Error];

    /// One word, as in `report.json`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Deviation => "deviation",
            Self::Inconclusive => "inconclusive",
            Self::Fail => "fail",
            Self::Error => "error",
        }
    }

    /// The audit's verdict in a few words.
    #[must_use]
    pub const fn headline(self) -> &'static str {
        match self {
            Self::Pass => "Conforms to RFC 9293",
            Self::Deviation => "Conforms to RFC 9293, but for known deviations",
            Self::Inconclusive => "No verdict: something was lost",
            Self::Fail => "Conformance is not shown: something is unexplained",
            Self::Error => "The audit could not be completed",
        }
    }

    /// What that means, in a sentence.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Pass => "Everything that was seen is as the RFC wants it.",
            Self::Deviation => {
                "RFC 9293 and the deviations that Linux is known for explain everything that was seen; nothing is left over."
            }
            Self::Inconclusive => {
                "Some of it could not be judged: events, packets or time were lost while the audit ran, or what differed did not when it was played again. Run it again on a quieter host."
            }
            Self::Fail => {
                "Neither RFC 9293 nor a known deviation explains some of what was seen. The findings say what and where."
            }
            Self::Error => {
                "Some of the audit could not run at all, so that this report is incomplete. The scenarios marked error say why."
            }
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl RequirementVerdict {
    /// Every verdict, in the order in which counts are given.
    pub const ALL: [Self; 6] =
        [Self::Pass, Self::Deviation, Self::Fail, Self::NotRun, Self::NotObservable, Self::NotApplicable];

    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Deviation => "deviation",
            Self::Fail => "fail",
            Self::NotRun => "not run",
            Self::NotObservable => "not observable",
            Self::NotApplicable => "not applicable",
        }
    }

    /// What it means.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Pass => "Every step that decides it went as the RFC asks.",
            Self::Deviation => "Linux is known to do otherwise here, and did.",
            Self::Fail => "A step that decides it went otherwise, and no known deviation explains it.",
            Self::NotRun => "The steps that decide it did not run, or have no verdict.",
            Self::NotObservable => "It cannot be seen from outside of the kernel.",
            Self::NotApplicable => {
                "It speaks to applications, or of an option that this kernel need not have."
            }
        }
    }
}

impl fmt::Display for RequirementVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Family {
    /// Lower case, as in places of findings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }

    /// As people write it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Report {
    /// How many random conversations have something that nothing explains: each is a finding, and the first ones are
    /// among [`Random::differences`](super::model::Random::differences).
    #[must_use]
    pub fn unexplained_conversations(&self) -> usize {
        let drawn = self.random.as_ref().map_or(0, |random| random.differences.len());
        self.findings.iter().filter(|finding| finding.place.starts_with("random ")).count().max(drawn)
    }
}

/// How many of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Requirements by verdict.
    pub(super) requirements: BTreeMap<RequirementVerdict, usize>,
    /// Runs of scenarios by outcome.
    pub(super) scenarios: BTreeMap<Outcome, usize>,
    /// Cells of the matrix by outcome, those that are empty left out.
    pub(super) cells: BTreeMap<Outcome, usize>,
}

impl Counts {
    pub(super) fn of(report: &Report) -> Self {
        let mut counts = Self::default();
        for requirement in &report.requirements {
            *counts.requirements.entry(requirement.verdict).or_default() += 1;
        }
        for scenario in &report.scenarios {
            *counts.scenarios.entry(scenario.outcome).or_default() += 1;
        }
        if let Some(matrix) = &report.matrix {
            for answer in
                matrix.grids.iter().flat_map(|grid| &grid.cells).filter_map(|cell| matrix.answer(*cell))
            {
                *counts.cells.entry(answer.outcome).or_default() += 1;
            }
        }
        counts
    }
}

/// `62 pass, 3 fail`.
pub(super) fn counted<T: fmt::Display>(counts: &BTreeMap<T, usize>) -> String {
    let each: Vec<_> =
        counts.iter().map(|(what, count)| format!("{} {what}", thousands(*count as u64))).collect();
    each.join(", ")
}

/// `1 run`, `2 runs`, `1,234 runs`.
pub(super) fn several(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(count), if count == 1 { one } else { many })
}

/// `1,234,567`.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Microseconds for people: `0.054 ms`, `23.1 ms`, `1.050 s`, `2 min 10 s`.
pub(super) fn span(microseconds: u64) -> String {
    let (milliseconds, seconds) = (microseconds / 1_000, microseconds / 1_000_000);
    match microseconds {
        0..10_000 => format!("{milliseconds}.{:03} ms", microseconds % 1_000),
        10_000..1_000_000 => format!("{milliseconds}.{} ms", microseconds % 1_000 / 100),
        1_000_000..120_000_000 => format!("{seconds}.{:03} s", milliseconds % 1_000),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::{several, span, thousands};

    #[test]
    fn numbers_and_times_read_well() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(several(1, "run", "runs"), "1 run");
        assert_eq!(span(54), "0.054 ms");
        assert_eq!(span(23_149), "23.1 ms");
        assert_eq!(span(1_050_400), "1.050 s");
        assert_eq!(span(130_000_000), "2 min 10 s");
    }
}
