//! What the test programs said, added up, and whether that is good enough.

use std::{fmt, process::ExitStatus};

/// The figures of one test program (of several, for documentation tests), read from what libtest prints.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
    pub ignored: usize,
    /// Reasons of the live tests that could not run; libtest counts these as passed.
    pub skipped: Vec<String>,
    /// Names of the tests that failed.
    pub failures: Vec<String>,
}

impl Tally {
    /// Takes in one line of output.
    pub fn read(&mut self, line: &str) {
        let line = line.trim_end();
        if let Some(figures) = line.strip_prefix("test result: ") {
            self.passed += figure(figures, "passed");
            self.failed += figure(figures, "failed");
            self.ignored += figure(figures, "ignored");
        } else if let Some(reason) = line.strip_prefix("skipped: ") {
            self.skipped.push(reason.to_owned());
        } else if let Some(name) =
            line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failures.push(name.to_owned());
        }
    }

    /// Tests that really did their work, with whatever result.
    fn ran(&self) -> usize {
        (self.passed + self.failed).saturating_sub(self.skipped.len())
    }
}

/// The number before a word, as in `ok. 5 passed; 0 failed; ...`.
fn figure(figures: &str, word: &str) -> usize {
    let mut words = figures.split_whitespace().map(|word| word.trim_end_matches(';'));
    let mut before = "0";
    words
        .find_map(|this| {
            if this == word {
                return before.parse().ok();
            }
            before = this;
            None
        })
        .unwrap_or(0)
}

/// How one test program ended.
#[derive(Debug)]
pub struct Outcome {
    title: String,
    tally: Tally,
    /// Why the program counts as failed.
    failure: Option<String>,
    /// Tests that failed and then passed.
    passed_later: Vec<String>,
}

impl Outcome {
    /// The program ran to an end, good or bad.
    pub fn ended(title: String, tally: Tally, status: ExitStatus) -> Self {
        let failure = if status.success() {
            None
        } else if tally.failures.is_empty() {
            Some(status.to_string())
        } else {
            Some(tally.failures.join(", "))
        };
        Self { title, tally, failure, passed_later: Vec::new() }
    }

    /// Names of the tests that failed.
    pub fn failures(&self) -> &[String] {
        &self.tally.failures
    }

    /// The tests that failed were run again.
    pub fn repeated(mut self, second: Self) -> Self {
        let Self { tally, failure, .. } = second;
        if failure.is_none() && tally.passed < self.tally.failures.len() {
            // Not all of them ran again.
            return self;
        }
        self.failure = failure;
        self.passed_later = self.tally.failures.clone();
        self.passed_later.retain(|name| !tally.failures.contains(name));
        self.tally.passed += self.passed_later.len();
        self.tally.failed = self.tally.failed.saturating_sub(self.passed_later.len());
        self.tally.failures = tally.failures;
        self
    }

    /// The program could not be started.
    pub fn not_started(title: String, reason: String) -> Self {
        Self { title, tally: Tally::default(), failure: Some(reason), passed_later: Vec::new() }
    }
}

/// Everything that ran.
#[derive(Debug, Default)]
pub struct Summary {
    pub host: Vec<Outcome>,
    pub docs: Option<Outcome>,
    pub live: Vec<Outcome>,
    /// Why no live test was started.
    pub live_obstacle: Option<String>,
}

/// Why the tests as a whole failed; the summary has the details.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("{0} test program(s) failed, see the summary above")]
    Tests(usize),
    #[error("live tests are required here, and {0} did not run, see the summary above")]
    Skipped(usize),
    #[error("live tests are required here, and none ran")]
    NoLive,
    #[error("no test has such a name")]
    Nothing,
}

impl Summary {
    /// Whether that was good enough; with `live_required` only if live tests ran and none was skipped.
    pub fn verdict(&self, live_required: bool) -> Result<(), Failure> {
        let live = self.live.iter().map(|outcome| &outcome.tally);
        let live_ran: usize = live.clone().map(Tally::ran).sum();
        let live_skipped: usize = live.map(|tally| tally.skipped.len()).sum();
        match self.outcomes().filter(|outcome| outcome.failure.is_some()).count() {
            0 => {}
            failed => return Err(Failure::Tests(failed)),
        }
        if live_required && live_ran == 0 {
            return Err(Failure::NoLive);
        }
        if live_required && live_skipped > 0 {
            return Err(Failure::Skipped(live_skipped));
        }
        if self.outcomes().all(|outcome| outcome.tally.passed + outcome.tally.ignored == 0) {
            return Err(Failure::Nothing);
        }
        Ok(())
    }

    fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.host.iter().chain(&self.docs).chain(&self.live)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Summary")?;
        write_figures(f, "host", &mut self.host.iter())?;
        write_figures(f, "docs", &mut self.docs.iter())?;
        match &self.live_obstacle {
            Some(obstacle) => writeln!(f, "  live  skipped: {obstacle}")?,
            None => write_figures(f, "live", &mut self.live.iter())?,
        }
        for outcome in self.outcomes() {
            for reason in &outcome.tally.skipped {
                writeln!(f, "  skipped in {}: {reason}", outcome.title)?;
            }
        }
        for outcome in self.outcomes().filter(|outcome| !outcome.passed_later.is_empty()) {
            let names = outcome.passed_later.join(", ");
            writeln!(f, "  failed first and then passed in {}: {names}", outcome.title)?;
        }
        for outcome in self.outcomes() {
            if let Some(failure) = &outcome.failure {
                writeln!(f, "  FAILED {}: {failure}", outcome.title)?;
            }
        }
        Ok(())
    }
}

fn write_figures(
    f: &mut fmt::Formatter<'_>,
    layer: &str,
    outcomes: &mut dyn Iterator<Item = &Outcome>,
) -> fmt::Result {
    let mut sum = Tally::default();
    for Outcome { tally, .. } in outcomes {
        sum.passed += tally.passed.saturating_sub(tally.skipped.len());
        sum.failed += tally.failed;
        sum.ignored += tally.ignored;
        sum.skipped.extend_from_slice(&tally.skipped);
    }
    let Tally { passed, failed, ignored, skipped, .. } = sum;
    writeln!(f, "  {layer}  {passed} passed, {failed} failed, {} skipped, {ignored} ignored", skipped.len())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn outcome(title: &str, output: &str) -> Outcome {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.read(line));
        let status = ExitStatus::from_raw(if tally.failed == 0 { 0 } else { 101 << 8 });
        Outcome::ended(title.into(), tally, status)
    }

    const GOOD: &str = "running 2 tests\ntest a ... ok\ntest b ... ok\n\n\
        test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.00s\n";
    const BAD: &str = "test a ... ok\ntest rows::b ... FAILED\n\
        test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
    const SKIPPED: &str = "test a ... ok\nsuccesses:\n\n---- a stdout ----\nskipped: needs nginx\n\n\
        test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";

    #[test]
    fn what_failed_has_one_more_chance_and_is_named() {
        let both = "test a ... FAILED\ntest b ... FAILED\n\
            test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        let again = outcome("live", both).repeated(outcome("live", GOOD));
        assert_eq!((again.failures(), &again.failure), (&[][..], &None));
        let summary = Summary { live: vec![again], ..Summary::default() };
        assert_eq!(summary.verdict(true), Ok(()));
        let shown = summary.to_string();
        assert!(
            shown.contains("live  3 passed, 0 failed") && shown.contains("then passed in live: a, b"),
            "{shown}"
        );

        let one = "test a ... ok\ntest b ... FAILED\n\
            test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        let again = outcome("live", both).repeated(outcome("live", one));
        assert_eq!((again.failures(), again.failure.as_deref()), (&["b".to_owned()][..], Some("b")));

        let lost = outcome("live", both).repeated(outcome("live", "test a ... ok\n"));
        assert_eq!(lost.failures().len(), 2, "what did not run again has failed");
    }

    #[test]
    fn figures_are_read_from_libtests_last_line() {
        let mut expected = Tally { passed: 2, ignored: 1, ..Tally::default() };
        assert_eq!(outcome("x", GOOD).tally, expected);
        expected = Tally { passed: 1, failed: 1, failures: vec!["rows::b".into()], ..Tally::default() };
        assert_eq!(outcome("x", BAD).tally, expected);
    }

    #[test]
    fn all_good_is_good() {
        let summary =
            Summary { host: vec![outcome("m", GOOD)], live: vec![outcome("l", GOOD)], ..Summary::default() };
        assert_eq!(summary.verdict(true), Ok(()));
        assert_eq!(
            summary.to_string(),
            "Summary\n  host  2 passed, 0 failed, 0 skipped, 1 ignored\n  \
             docs  0 passed, 0 failed, 0 skipped, 0 ignored\n  live  2 passed, 0 failed, 0 skipped, 1 ignored\n"
        );
    }

    #[test]
    fn a_failed_test_is_named() {
        let summary = Summary { host: vec![outcome("model/rows", BAD)], ..Summary::default() };
        assert_eq!(summary.verdict(false), Err(Failure::Tests(1)));
        assert!(summary.to_string().contains("  FAILED model/rows: rows::b\n"), "{summary}");
    }

    #[test]
    fn a_program_that_died_is_a_failure_without_any_figure() {
        let killed = Outcome::ended("live".into(), Tally::default(), ExitStatus::from_raw(9));
        let summary = Summary { host: vec![outcome("m", GOOD)], live: vec![killed], ..Summary::default() };
        assert_eq!(summary.verdict(false), Err(Failure::Tests(1)));
        assert!(summary.to_string().contains("FAILED live: signal: 9"), "{summary}");
    }

    #[test]
    fn a_skipped_live_test_is_no_passed_one() {
        let live = || vec![outcome("tracer/live_web", SKIPPED), outcome("tracer/live_tcp", GOOD)];
        let summary = Summary { live: live(), ..Summary::default() };
        assert_eq!(summary.verdict(false), Ok(()));
        assert_eq!(summary.verdict(true), Err(Failure::Skipped(1)));
        let text = summary.to_string();
        assert!(text.contains("live  2 passed, 0 failed, 1 skipped, 1 ignored"), "{text}");
        assert!(text.contains("skipped in tracer/live_web: needs nginx"), "{text}");
    }

    #[test]
    fn required_live_tests_must_run() {
        let obstacle = Some("they need root".to_owned());
        let summary =
            Summary { host: vec![outcome("m", GOOD)], live_obstacle: obstacle, ..Summary::default() };
        assert_eq!(summary.verdict(false), Ok(()));
        assert_eq!(summary.verdict(true), Err(Failure::NoLive));
        assert!(summary.to_string().contains("live  skipped: they need root"), "{summary}");
    }

    #[test]
    fn a_filter_that_matches_nothing_is_no_success() {
        let none = "running 0 tests\n\n\
            test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.00s\n";
        let summary = Summary { host: vec![outcome("m", none)], ..Summary::default() };
        assert_eq!(summary.verdict(false), Err(Failure::Nothing));
    }
}
