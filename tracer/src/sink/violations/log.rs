//! Violations as log lines, never so many that they drown the log.

use std::io;

use serde::Serialize;

use super::Violation;

/// Lines in one window.
const LINES: u32 = 20;

/// Length of a window, nanoseconds of the events' own time.
const WINDOW: u64 = 60_000_000_000;

/// Decides which violations get a line. Those that do not are counted, and the next line says how many they were.
#[derive(Debug, Default)]
pub struct Log {
    begun: u64,
    lines: u32,
    left_out: u64,
}

/// One line.
#[derive(Debug, Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    violation: &'a Violation,
    /// Violations without a line since the last one that has one; all of them are counted in the metrics.
    not_logged_before: u64,
}

impl Log {
    /// One JSON object, or `None` when there have been enough lines for now.
    ///
    /// # Errors
    ///
    /// None that is known: it is text and numbers.
    pub fn line(&mut self, violation: &Violation) -> io::Result<Option<String>> {
        if violation.time_ns.saturating_sub(self.begun) >= WINDOW {
            self.begun = violation.time_ns;
            self.lines = 0;
        }
        if self.lines == LINES {
            self.left_out += 1;
            return Ok(None);
        }
        self.lines += 1;
        let line = Line { violation, not_logged_before: std::mem::take(&mut self.left_out) };
        Ok(Some(serde_json::to_string(&line)?))
    }

    /// Violations without a line since the last one that has one.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use model::{Verdict, linux::ViolationId};

    use super::*;
    use crate::{fixture::Seen, sink::violations::Scene};

    fn violation(time: u64) -> Violation {
        let seen = Seen::transition("10.0.0.1:40000", "10.0.0.2:80", "listen", "established")
            .at(time)
            .verdict(Verdict::Violation(ViolationId::IllegalEdge));
        seen.with_finding(|finding| Violation::of(finding, &Scene::here())).unwrap()
    }

    #[test]
    fn a_flood_leaves_its_number_and_not_its_lines() {
        let mut log = Log::default();
        let lines = |log: &mut Log, times: std::ops::Range<u64>| {
            times.filter_map(|time| log.line(&violation(time)).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(lines(&mut log, WINDOW..WINDOW + 1_000).len(), LINES as usize);
        assert_eq!(log.left_out(), 980);
        let later = lines(&mut log, 3 * WINDOW..3 * WINDOW + 2);
        let parsed: Vec<serde_json::Value> =
            later.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(parsed[0]["not_logged_before"], 980);
        assert_eq!(parsed[1]["not_logged_before"], 0);
        assert_eq!(parsed[0]["rule"], "illegal-edge");
        assert!(!later[0].contains('\n'), "one line");
    }
}
