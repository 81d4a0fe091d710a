//! What came of one boot: read from the guest's console as it speaks.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    catalog::Kernel,
    guest::Ending,
    programs::{FAILED, KILLED, ONCE_MORE, PASSED, REPORT},
};
use crate::test::Tally;

/// Which tests a boot runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Set {
    /// Those of `--quick`.
    Quick,
    /// All, but for those that want another clock.
    Complete,
    /// Those that wait for the kernel's long timers, on a clock that runs fast.
    LongTimers,
    /// Those of `--test`.
    Chosen,
}

impl Set {
    /// As it is named in files and documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Complete => "complete",
            Self::LongTimers => "long-timers",
            Self::Chosen => "chosen",
        }
    }
}

/// What one kernel showed.
#[derive(Debug)]
pub struct Boot {
    pub kernel: Kernel,
    pub set: Set,
    pub package: String,
    pub ending: Ending,
    pub took: Duration,
    pub heard: Heard,
}

/// What a guest has said.
#[derive(Debug, Default)]
pub struct Heard {
    pub tally: Tally,
    /// Tests that failed and then, in the same guest, passed.
    pub passed_later: Vec<String>,
    /// What the agent says of this kernel: the JSON of `tcp-tracer doctor`.
    pub doctor: Option<Value>,
    /// What tests have seen of the kernel, with the name that each gives it.
    pub seen: Vec<(String, String)>,
    report: Option<String>,
    again: bool,
}

/// Begins a line by which a test tells what it saw of a kernel where kernels differ.
const SEEN: &str = "seen: ";

impl Heard {
    /// Takes in one line of the console.
    pub fn hear(&mut self, line: &str) {
        let [begin, end] = REPORT;
        if line == begin {
            self.report = Some(String::new());
        } else if line == end {
            self.doctor = self.report.take().and_then(|text| serde_json::from_str(&text).ok());
        } else if let Some(report) = &mut self.report {
            report.push_str(line);
            report.push('\n');
        } else if let Some((name, value)) = line.strip_prefix(SEEN).and_then(|seen| seen.split_once(": ")) {
            self.seen.retain(|(known, _)| known != name);
            self.seen.push((name.to_owned(), value.to_owned()));
        } else if line == ONCE_MORE {
            self.again = true;
        } else if self.again {
            if let Some(name) = line.strip_prefix(PASSED) {
                self.passes(name);
            }
        } else if let Some((status, name)) =
            line.strip_prefix(FAILED).and_then(|failed| failed.split_once(' '))
        {
            // libtest had no time to say it.
            self.tally.failed += usize::from(status == KILLED);
            // Where the kernel has spoken into libtest's line, this is the only word of it.
            if !self.tally.failures.iter().any(|known| known == name) {
                self.tally.failures.push(name.to_owned());
            }
        } else {
            self.tally.read(line);
        }
    }

    /// A test that failed at first has passed.
    fn passes(&mut self, name: &str) {
        if let Some(index) = self.tally.failures.iter().position(|failed| failed == name) {
            self.tally.failed = self.tally.failed.saturating_sub(1);
            self.tally.passed += 1;
            self.passed_later.push(self.tally.failures.remove(index));
        }
    }

    /// Tests that really did their work and passed.
    pub fn passed(&self) -> usize {
        self.tally.passed.saturating_sub(self.tally.skipped.len())
    }
}

impl Boot {
    /// True when the guest ran its tests to the end and none failed.
    pub fn is_good(&self) -> bool {
        self.ending == Ending::Finished(0) && self.heard.tally.failed == 0 && self.heard.passed() > 0
    }

    /// Tests that failed, and an end before its time.
    pub fn troubles(&self) -> Vec<String> {
        let mut troubles = self.heard.tally.failures.clone();
        match self.ending {
            Ending::Finished(_) => {}
            Ending::Died => troubles.push("the guest died".to_owned()),
            Ending::TimedOut => troubles.push("the guest's time was over".to_owned()),
        }
        troubles
    }
}

impl fmt::Display for Boot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernel, set, package, ending, took, heard } = self;
        let (tally, seconds) = (&heard.tally, took.as_secs());
        write!(f, "{kernel} ({package}), {}: ", set.name())?;
        write!(f, "{} passed, {} failed, {} skipped", heard.passed(), tally.failed, tally.skipped.len())?;
        match ending {
            Ending::Finished(_) => write!(f, ", {seconds} s")?,
            Ending::Died => write!(f, "; the guest died after {seconds} s")?,
            Ending::TimedOut => write!(f, "; stopped after {seconds} s, its time was over")?,
        }
        for name in &heard.passed_later {
            write!(f, "\n  passed only when run once more: {name}")?;
        }
        for failure in &tally.failures {
            write!(f, "\n  FAILED {failure}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::vm::catalog::Arch;

    /// What a guest said.
    pub const CONSOLE: &str = "VM-REPORT-BEGIN\n{\"checks\": [\n\
        {\"section\": \"Hooks\", \"name\": \"tcp_destroy_sock\", \"mark\": \"ok\", \"text\": \"\"},\n\
        {\"section\": \"Fields\", \"name\": \"tcp_sock.is_mptcp\", \"mark\": \"degraded\", \"text\": \"\"},\n\
        {\"section\": \"Kernel\", \"name\": \"reset reasons\", \"mark\": \"degraded\", \"text\": \"none\"}]}\n\
        VM-REPORT-END\nskipped: needs prometheus\nseen: repetitions of a SYN: 6\n\
        test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s\n";

    /// A boot of 6.1.
    pub fn boot(console: &str, ending: Ending) -> Boot {
        let mut heard = Heard::default();
        console.lines().for_each(|line| heard.hear(line));
        Boot {
            kernel: Kernel { tag: "6.1".into(), arch: Arch::X86_64 },
            set: Set::Complete,
            package: "linux-image-6.1.0-1-cloud-amd64_6.1.1-1_amd64".into(),
            ending,
            took: Duration::from_secs(7),
            heard,
        }
    }

    #[test]
    fn a_guest_that_ends_well_is_good() {
        let boot = boot(CONSOLE, Ending::Finished(0));
        assert!(boot.is_good());
        assert_eq!(boot.heard.seen, [("repetitions of a SYN".to_owned(), "6".to_owned())]);
        let line = "6.1 x86_64 (linux-image-6.1.0-1-cloud-amd64_6.1.1-1_amd64), complete: \
                    2 passed, 0 failed, 1 skipped, 7 s";
        assert_eq!(boot.to_string(), line);
    }

    #[test]
    fn a_guest_that_dies_or_runs_nothing_is_not() {
        assert!(!boot(CONSOLE, Ending::Died).is_good());
        assert!(!boot(CONSOLE, Ending::TimedOut).is_good());
        assert!(!boot(CONSOLE, Ending::Finished(101)).is_good());
        assert!(!boot("", Ending::Finished(0)).is_good());
        let nothing =
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 42 filtered out; finished in 0.0s";
        assert!(!boot(nothing, Ending::Finished(0)).is_good());
    }

    #[test]
    fn what_passes_the_second_time_has_passed_and_is_named() {
        let failed = |name: &str| {
            format!(
                "test {name} ... [ 342.8] the kernel has a word\nFAILED\n\
                 test result: FAILED. 0 passed; 1 failed; 0 ignored\nVM-FAILED 101 {name}\n"
            )
        };
        let first = format!("{CONSOLE}{}{}VM-FAILED 137 c::hangs\n", failed("a::b"), failed("a::c"));
        let second = format!(
            "VM-ONCE-MORE\ntest a::b ... ok\ntest result: ok. 1 passed; 0 failed\nVM-PASSED a::b\n{}VM-FAILED 137 c::hangs\n",
            failed("a::c")
        );
        let boot = boot(&(first + &second), Ending::Finished(1));
        assert_eq!(boot.heard.passed_later, ["a::b"]);
        assert_eq!(boot.troubles(), ["a::c", "c::hangs"]);
        let Heard { tally, .. } = &boot.heard;
        assert_eq!((boot.heard.passed(), tally.failed, tally.skipped.len()), (3, 2, 1));
        assert!(!boot.is_good());
    }
}
