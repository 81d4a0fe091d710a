//! How an audit says on standard error how far it is: on a terminal in one line that changes, elsewhere a line for each tenth.

use std::{
    fmt::Write as _,
    io::{IsTerminal, Write as _, stderr},
    sync::{Mutex, PoisonError},
};

use super::word;
use crate::audit::run::{Done, Progress};

/// Says it.
#[derive(Debug)]
pub struct Speaker {
    is_terminal: bool,
    told: Mutex<Told>,
}

/// What was told last: the stage, and how many tenths of it were done.
type Told = (&'static str, u64);

impl Speaker {
    pub fn new() -> Self {
        Self { is_terminal: stderr().is_terminal(), told: Mutex::default() }
    }

    /// Takes note of what has come. Threads may call it side by side: a line is written as a whole.
    pub fn say(&self, progress: &Progress) {
        let text = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            text(progress, self.is_terminal, &mut told)
        };
        // Where nobody listens the audit goes on.
        let _ = stderr().write_all(text.as_bytes());
    }

    /// Nothing more is to come.
    pub fn end(&self) {
        if self.is_terminal {
            let _ = stderr().write_all(CLEAR.as_bytes());
        }
    }
}

/// Goes to the beginning of the line and empties it.
const CLEAR: &str = "\r\x1b[K";

fn text(progress: &Progress, is_terminal: bool, told: &mut Told) -> String {
    let mut out = String::new();
    let (stage, done, all) = match progress {
        Progress::Scenario(Done { done, all, last, problem }) => {
            let (id, family, outcome) = last;
            if let Some(problem) = problem {
                let place = problem.line.map(|line| format!(":{line}")).unwrap_or_default();
                let _ = writeln!(
                    out,
                    "{id}/{}{place}: {}\n  expected {}\n  seen     {}",
                    family.name(),
                    word(*outcome),
                    problem.expected,
                    problem.seen
                );
            }
            ("runs of scenarios", number(*done), number(*all))
        }
        Progress::Matrix(done, all) => ("rows of the matrix", number(*done), number(*all)),
        Progress::Random(done, all) => ("random conversations", *done, *all),
    };
    if is_terminal {
        return format!("{CLEAR}{out}{done} of {all} {stage}");
    }
    let tenths = done.saturating_mul(10) / all.max(1);
    // What comes from several threads may come late.
    if told.0 != stage || told.1 < tenths {
        *told = (stage, tenths);
        let _ = writeln!(out, "{done} of {all} {stage}");
    }
    out
}

fn number(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::report::model::{Family, Outcome, Problem};

    fn scenario(done: usize, problem: Option<Problem>) -> Progress {
        let last = ("open/client".to_owned(), Family::Ipv6, Outcome::Fail);
        Progress::Scenario(Done { done, all: 40, last, problem })
    }

    #[test]
    fn each_tenth_is_a_line_where_there_is_no_terminal() {
        let mut told = Told::default();
        let mut say = |progress: &Progress| text(progress, false, &mut told);
        assert_eq!(say(&scenario(1, None)), "1 of 40 runs of scenarios\n");
        assert_eq!(say(&scenario(3, None)), "");
        assert_eq!(say(&scenario(5, None)), "5 of 40 runs of scenarios\n");
        // From a thread that was overtaken.
        assert_eq!(say(&scenario(2, None)), "");
        assert_eq!(say(&Progress::Random(200, 1_000)), "200 of 1000 random conversations\n");
        assert_eq!(say(&Progress::Matrix(320, 320)), "320 of 320 rows of the matrix\n");
    }

    #[test]
    fn what_went_wrong_is_told_at_once() {
        let problem = Problem { line: Some(7), expected: "kernel ACK".into(), seen: "RST".into() };
        let progress = scenario(3, Some(problem));
        let lines = "open/client/ipv6:7: FAIL\n  expected kernel ACK\n  seen     RST\n";
        let mut told = ("runs of scenarios", 9);
        assert_eq!(text(&progress, false, &mut told), lines);
        assert_eq!(text(&progress, true, &mut told), format!("\r\x1b[K{lines}3 of 40 runs of scenarios"));
    }
}
