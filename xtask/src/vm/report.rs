//! What came of the boots: a line for each, a verdict, and the table of docs/kernels.md.

use std::{fmt, time::Duration};

use serde_json::Value;

use super::{
    catalog::{self, Kernel},
    guest::Ending,
    programs::{KILLED, REPORT},
};
use crate::test::Tally;

/// Which tests a boot ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All, but for those that want another clock.
    Complete,
    /// Those of `--quick`.
    Quick,
    /// Those of `--test`.
    Chosen,
}

/// What one kernel showed.
#[derive(Debug)]
pub struct Boot {
    pub kernel: Kernel,
    pub scope: Scope,
    pub package: String,
    pub fast_clock: bool,
    pub ending: Ending,
    pub took: Duration,
    pub tally: Tally,
    /// What the agent says of this kernel: the JSON of `tcp-tracer doctor`.
    pub doctor: Option<Value>,
}

/// Reads a console line by line.
#[derive(Debug, Default)]
pub struct Listener {
    pub tally: Tally,
    report: Option<String>,
    pub doctor: Option<Value>,
}

impl Listener {
    pub fn hear(&mut self, line: &str) {
        let [begin, end] = REPORT;
        if line == begin {
            self.report = Some(String::new());
        } else if line == end {
            self.doctor = self.report.take().and_then(|text| serde_json::from_str(&text).ok());
        } else if let Some(report) = &mut self.report {
            report.push_str(line);
            report.push('\n');
        } else if let Some(name) = line.strip_prefix(KILLED) {
            // libtest had no time to say it.
            self.tally.failed += 1;
            self.tally.failures.push(format!("{name} (its time was over)"));
        } else {
            self.tally.read(line);
        }
    }
}

/// Begins the line that we add to a guest's console.
const NOTE: &str = "VM-BOOTED ";

impl Boot {
    /// What a kept console does not say by itself: the package, how the boot ended, and its seconds.
    pub fn note(&self) -> String {
        let ending = match self.ending {
            Ending::Finished(code) => code.to_string(),
            Ending::Died => "died".to_owned(),
            Ending::TimedOut => "timed-out".to_owned(),
        };
        format!("{NOTE}{} {ending} {}", self.package, self.took.as_secs())
    }

    /// A boot from its kept console; `None`: it was never watched to its end.
    pub fn read(kernel: Kernel, scope: Scope, fast_clock: bool, console: &str) -> Option<Self> {
        let mut words = console.lines().last()?.strip_prefix(NOTE)?.split(' ');
        let package = words.next()?.to_owned();
        let ending = match words.next()? {
            "died" => Ending::Died,
            "timed-out" => Ending::TimedOut,
            code => Ending::Finished(code.parse().ok()?),
        };
        let took = Duration::from_secs(words.next()?.parse().ok()?);
        let mut listener = Listener::default();
        console.lines().for_each(|line| listener.hear(line));
        let Listener { tally, doctor, .. } = listener;
        Some(Self { kernel, scope, package, fast_clock, ending, took, tally, doctor })
    }

    /// True when the guest ran its tests to the end and none failed.
    pub fn is_good(&self) -> bool {
        self.ending == Ending::Finished(0) && self.tally.failed == 0 && self.ran() > 0
    }

    /// Tests that really did their work and passed.
    fn ran(&self) -> usize {
        self.tally.passed.saturating_sub(self.tally.skipped.len())
    }

    fn checks(&self) -> impl Iterator<Item = &Value> {
        self.doctor.iter().filter_map(|doctor| doctor["checks"].as_array()).flatten()
    }

    /// Hooks that attach, of all.
    fn hooks(&self) -> String {
        let hooks: Vec<_> = self.checks().filter(|check| check["section"] == "Hooks").collect();
        let good = hooks.iter().filter(|check| check["mark"] == "ok").count();
        format!("{good} of {}", hooks.len())
    }

    /// Fields that this kernel lacks.
    fn missing_fields(&self) -> Vec<&str> {
        let fields = self.checks().filter(|check| check["section"] == "Fields" && check["mark"] != "ok");
        fields.filter_map(|check| check["name"].as_str()).collect()
    }

    /// What else the agent names as lost on this kernel.
    fn losses(&self) -> Vec<String> {
        self.checks()
            .filter(|check| {
                check["section"] != "Fields" && (check["mark"] == "degraded" || check["mark"] == "missing")
            })
            .map(|check| {
                let notes = check["notes"].as_array().into_iter().flatten().map(text);
                let said: Vec<_> = std::iter::once(text(&check["text"])).chain(notes).collect();
                format!("{}: {}", text(&check["name"]), said.join(". "))
            })
            .collect()
    }

    fn title(&self) -> String {
        format!("{}{}", self.kernel, if self.fast_clock { ", fast clock" } else { "" })
    }

    /// Tests that failed, and an end before its time.
    fn troubles(&self) -> Vec<String> {
        let mut troubles = self.tally.failures.clone();
        match self.ending {
            Ending::Finished(_) => {}
            Ending::Died => troubles.push("the guest died".to_owned()),
            Ending::TimedOut => troubles.push("the guest's time was over".to_owned()),
        }
        troubles
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

impl fmt::Display for Boot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs();
        write!(f, "{} ({}): ", self.title(), self.package)?;
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.ran(),
            self.tally.failed,
            self.tally.skipped.len()
        )?;
        match self.ending {
            Ending::Finished(_) => write!(f, ", {seconds} s")?,
            Ending::Died => write!(f, "; the guest died after {seconds} s")?,
            Ending::TimedOut => write!(f, "; stopped after {seconds} s, its time was over")?,
        }
        for failure in &self.tally.failures {
            write!(f, "\n  FAILED {failure}")?;
        }
        Ok(())
    }
}

/// The document: what the last boots showed.
pub fn document(boots: &[Boot]) -> String {
    let real: Vec<_> = boots.iter().filter(|boot| !boot.fast_clock).collect();
    let mut page = String::from(
        "# Kernels\n\n\
         `cargo xtask vm --all --document` boots each of these stock Debian kernels in QEMU, runs the live tests inside, and\n\
         writes this page. What a kernel lacks is what `tcp-tracer doctor` says there; nothing is derived from a version.\n\n\
         | kernel | machine | Debian's package | hooks | fields missing | live tests passed | long timers, on a fast clock |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for boot in &real {
        let fast = boots.iter().find(|other| other.fast_clock && other.kernel == boot.kernel);
        let missing = boot.missing_fields();
        let missing =
            if missing.is_empty() { "none".to_owned() } else { format!("`{}`", missing.join("`, `")) };
        let Kernel { tag, arch } = &boot.kernel;
        page.push_str(&format!(
            "| {tag} | {arch} | {} | {} | {missing} | {} | {} |\n",
            boot.package,
            boot.hooks(),
            figures(boot),
            fast.map_or_else(|| "not run".to_owned(), figures),
        ));
    }
    let matrix = catalog::ARCHES.into_iter().flat_map(catalog::matrix);
    for Kernel { tag, arch } in matrix.filter(|kernel| real.iter().all(|boot| boot.kernel != *kernel)) {
        page.push_str(&format!("| {tag} | {arch} | not run | | | | |\n"));
    }
    page.push_str("\n## What differs\n\nIn the words of `tcp-tracer doctor` on each kernel:\n\n");
    for boot in &real {
        let losses = boot.losses();
        if losses.is_empty() {
            page.push_str(&format!("- {}: nothing is missing.\n", boot.kernel));
            continue;
        }
        page.push_str(&format!("- {}:\n", boot.kernel));
        losses.iter().for_each(|loss| page.push_str(&format!("  - {loss}\n")));
    }
    page.push_str("\n## What failed\n\n");
    let failures: Vec<_> = boots
        .iter()
        .flat_map(|boot| {
            boot.troubles().into_iter().map(|trouble| format!("- {}: {trouble}\n", boot.title()))
        })
        .collect();
    page.push_str(&if failures.is_empty() { "Nothing.\n".to_owned() } else { failures.concat() });
    page.push_str("\n## What does not run in a guest\n\n");
    let mut reasons: Vec<_> = boots.iter().flat_map(|boot| &boot.tally.skipped).collect();
    reasons.sort_unstable();
    reasons.dedup();
    if reasons.is_empty() {
        page.push_str("Of these tests none was skipped.\n");
    }
    for reason in reasons {
        page.push_str(&format!("- {reason}\n"));
    }
    page
}

fn figures(boot: &Boot) -> String {
    let all = boot.ran() + boot.tally.failed;
    let quick = if boot.scope == Scope::Quick { " of the quick set" } else { "" };
    format!("{} of {all}{quick}, {} skipped", boot.ran(), boot.tally.skipped.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::catalog::Arch;

    fn boot(console: &str, ending: Ending) -> Boot {
        let mut listener = Listener::default();
        console.lines().for_each(|line| listener.hear(line));
        Boot {
            kernel: Kernel { tag: "6.1".into(), arch: Arch::X86_64 },
            scope: Scope::Complete,
            package: "linux-image-6.1.0-1-cloud-amd64_6.1.1-1_amd64".into(),
            fast_clock: false,
            ending,
            took: Duration::from_secs(7),
            tally: listener.tally,
            doctor: listener.doctor,
        }
    }

    const CONSOLE: &str = "VM-REPORT-BEGIN\n{\"checks\": [\n\
        {\"section\": \"Hooks\", \"name\": \"tcp_destroy_sock\", \"mark\": \"ok\", \"text\": \"\"},\n\
        {\"section\": \"Fields\", \"name\": \"tcp_sock.is_mptcp\", \"mark\": \"degraded\", \"text\": \"\"},\n\
        {\"section\": \"Kernel\", \"name\": \"reset reasons\", \"mark\": \"degraded\", \"text\": \"none\"}]}\n\
        VM-REPORT-END\nskipped: needs prometheus\n\
        test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s\n";

    #[test]
    fn a_guest_that_ends_well_is_good_and_its_kernel_is_described() {
        let boot = boot(CONSOLE, Ending::Finished(0));
        assert!(boot.is_good());
        let line =
            "6.1 x86_64 (linux-image-6.1.0-1-cloud-amd64_6.1.1-1_amd64): 2 passed, 0 failed, 1 skipped, 7 s";
        assert_eq!(boot.to_string(), line);
        let page = document(&[boot]);
        assert!(page.contains("| 1 of 1 | `tcp_sock.is_mptcp` | 2 of 2, 1 skipped | not run |"), "{page}");
        assert!(page.contains("- 6.1 x86_64:\n  - reset reasons: none\n"), "{page}");
        assert!(page.contains("## What failed\n\nNothing.\n"), "{page}");
        assert!(page.contains("| 6.1 | aarch64 | not run | | | | |\n"), "{page}");
        assert!(!page.contains("| 6.1 | x86_64 | not run"), "{page}");
        assert!(page.contains("- needs prometheus\n"), "{page}");
    }

    #[test]
    fn a_kept_console_is_read_as_it_was_heard() {
        let console = CONSOLE.replace("ok. 3 passed; 0 failed", "FAILED. 3 passed; 1 failed")
            + "test x::y ... FAILED\n";
        let heard = boot(&console, Ending::Finished(101));
        let read =
            Boot::read(heard.kernel.clone(), Scope::Complete, false, &format!("{console}{}\n", heard.note()))
                .unwrap();
        assert_eq!(read.to_string(), heard.to_string());
        assert!(read.to_string().contains("1 failed, 1 skipped, 7 s\n  FAILED x::y"), "{read}");
        assert_eq!(read.doctor, heard.doctor);
        assert!(document(&[read]).contains("- 6.1 x86_64: x::y\n"));
        let died = boot(&console, Ending::Died);
        let read =
            Boot::read(died.kernel.clone(), Scope::Quick, false, &format!("{console}{}\n", died.note()))
                .unwrap();
        assert_eq!(read.ending, Ending::Died);
        assert!(Boot::read(died.kernel, Scope::Complete, false, &console).is_none());
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
}
