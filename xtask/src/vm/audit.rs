//! `cargo xtask vm --audit`: the audit in each guest, and its report brought out.

pub mod compare;
pub mod document;
pub mod record;
mod report;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use self::{
    compare::{Compared, compare},
    record::{Kept, Record},
    report::Report,
};
use super::{
    catalog::{self, Kernel},
    guest::Ending,
    kept,
    machine::{self, Machine, Plan, by_machine},
    programs::{self, Agent, Load},
    store::{self, Image, Store},
};
use crate::{
    cargo, command,
    file::{self, failed},
};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Programs(#[from] programs::Error),
    #[error(transparent)]
    Machine(#[from] machine::Error),
    #[error(transparent)]
    Kept(#[from] kept::Error),
    #[error(transparent)]
    File(#[from] file::Error),
    #[error(transparent)]
    Compare(#[from] compare::Error),
    #[error("the report did not come out of the guest whole: {0}")]
    Unpack(#[from] command::Error),
    #[error("{path} is no report of an audit, or one of another version of it: {source}")]
    Report { path: PathBuf, source: serde_json::Error },
}

/// How much of an audit there is to be.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// The short scenarios alone: without the matrix and the random conversations, which take most of the time.
    pub quick: bool,
    /// The longest that a boot may take.
    pub limit: Duration,
}

/// So many random conversations in a whole audit. On the clock that runs fast nothing is late, however slow the machine is,
/// and waiting takes no time.
const RANDOM: &str = "400";

/// Scenarios side by side: the long ones, which only wait, and a few more, which one processor has to serve.
const JOBS: &str = "24";

/// Before the report's files, packed and as text, and after them.
const FILES: [&str; 2] = ["VM-FILES-BEGIN", "VM-FILES-END"];

/// An audit of one kernel.
#[derive(Debug)]
struct Audit {
    kernel: Kernel,
    package: String,
    ending: Ending,
    took: Duration,
    /// The report; none where the guest gave none.
    report: Option<Report>,
}

/// Audits these kernels, one after the other; says of each whether it gave a report without findings.
pub fn audit(store: &Store, kernels: &[Kernel], extent: Extent, folder: &Path) -> Result<Vec<bool>, Error> {
    let tree = kept::tree();
    let mut audits = Vec::new();
    for (arch, its) in by_machine(kernels) {
        let machine = Machine::new(store, arch)?;
        let agent = Agent::build(arch)?;
        let load = agent.load(script(&agent, extent.quick));
        for kernel in its {
            let image = store.kernel(kernel)?;
            let place = place(folder, kernel);
            clear(&place)?;
            let console = folder.join(format!("{}-{}-audit.console", kernel.tag, kernel.arch));
            let plan = Plan { fast_clock: true, limit: extent.limit, console };
            let audit = boot(&machine, (kernel, &image), &load, &plan, &place)?;
            println!("{audit}");
            if let Some(report) = &audit.report {
                let record = Record::new(kernel, &audit.package, &tree, report);
                kept::write(&place.join(record::NAME), &[record])?;
            }
            audits.push(audit.is_good());
        }
    }
    Ok(audits)
}

/// Puts what was kept of the audits here to what is documented already, and makes the page of it.
pub fn write_document(folder: &Path) -> Result<(), Error> {
    let docs = cargo::workspace().join("docs");
    let path = docs.join("kernels-audit.json");
    let Kept { mut audits, comparisons: mut documented } = kept::read(&path)?;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
        audits.extend(kept::read::<Vec<Record>>(&entry.path().join(record::NAME))?);
    }
    let audits = record::latest(audits);
    let mut agent = None;
    let mut comparisons = Vec::new();
    for [old, new] in both_ends(&audits) {
        let compared = [old, new].map(Compared::new);
        if let Some(known) = documented.iter().position(|known| known.audits == compared) {
            comparisons.push(documented.swap_remove(known));
            continue;
        }
        let places = [old, new].map(|record| place(folder, &record.kernel()));
        let are_here = places.iter().zip([old, new]).all(|(place, record)| {
            kept::read::<Vec<Record>>(&place.join(record::NAME)).is_ok_and(|kept| kept.contains(record))
        });
        if are_here {
            let agent = match &mut agent {
                Some(agent) => agent,
                none => none.insert(Agent::here()?),
            };
            let [older, newer] = &places;
            comparisons.push(compare(&agent.path, (older, newer), [old, new])?);
        } else {
            eprintln!(
                "note: {} and {} are not compared: their reports are not in {}",
                old.kernel,
                new.kernel,
                folder.display()
            );
        }
    }
    let kept = Kept { audits, comparisons };
    kept::write(&path, &kept)?;
    let page = docs.join("kernels-audit.md");
    Ok(fs::write(&page, document::document(&kept)).map_err(failed("write", &page))?)
}

/// The oldest and the newest audited kernel of each machine that has two.
fn both_ends(audits: &[Record]) -> Vec<[&Record; 2]> {
    let of = |arch| {
        let mut its = audits.iter().filter(move |record| record.machine == arch);
        Some([its.next()?, its.next_back()?])
    };
    catalog::ARCHES.into_iter().filter_map(of).collect()
}

/// The folder of a kernel's report.
fn place(folder: &Path, kernel: &Kernel) -> PathBuf {
    folder.join(format!("{}-{}-audit", kernel.tag, kernel.arch))
}

/// A report that is there is of this run, or there is none.
fn clear(place: &Path) -> Result<(), file::Error> {
    if place.is_dir() {
        fs::remove_dir_all(place).map_err(failed("empty", place))?;
    }
    fs::create_dir_all(place).map_err(failed("create", place))
}

fn script(agent: &Agent, quick: bool) -> String {
    let mut audit = Command::new(&agent.path);
    audit.args(["audit", "--jobs", JOBS, "--output-dir", "/tmp/audit"]);
    if quick {
        audit.arg("--quick");
    } else {
        audit.args(["--matrix", "--random", RANDOM]);
    }
    let audit = command::line(&audit);
    let [begin, end] = FILES;
    // Through a pipe: on a terminal the audit would draw its progress. From then on the kernel keeps quiet unless it dies:
    // a word of it within the files would break them.
    format!(
        r"
        {{ {audit}; echo $? > /tmp/status; }} 2>&1 | cat
        dmesg -n 1
        echo {begin}
        tar -cz -C /tmp/audit . | base64
        echo {end}
        exit $(cat /tmp/status)
        "
    )
}

fn boot(
    machine: &Machine,
    (kernel, image): (&Kernel, &Image),
    load: &Load,
    plan: &Plan,
    place: &Path,
) -> Result<Audit, Error> {
    eprintln!("== audit of {kernel} ({})", image.package);
    let mut files: Option<String> = None;
    let mut are_whole = false;
    let [begin, end] = FILES;
    let (ending, took) = machine.boot(image, load, plan, |line| match &mut files {
        _ if line == begin => files = Some(String::new()),
        _ if line == end => are_whole = true,
        Some(files) if !are_whole => {
            files.push_str(line);
            files.push('\n');
        }
        _ => eprintln!("{line}"),
    })?;
    let report = match files {
        Some(files) if are_whole => {
            unpack(&files, place)?;
            Some(Report::read(&place.join("report.json"))?)
        }
        _ => None,
    };
    Ok(Audit { kernel: kernel.clone(), package: image.package.clone(), ending, took, report })
}

/// Puts the guest's files into the folder.
fn unpack(files: &str, place: &Path) -> Result<(), Error> {
    let text = place.join("files.base64");
    let packed = place.join("files.tar.gz");
    fs::write(&text, files).map_err(failed("write", &text))?;
    let out = fs::File::create(&packed).map_err(failed("create", &packed))?;
    command::run(Command::new("base64").arg("--decode").arg(&text).stdout(out))?;
    command::run(Command::new("tar").arg("-xzf").arg(&packed).arg("-C").arg(place))?;
    for file in [text, packed] {
        fs::remove_file(&file).map_err(failed("remove", &file))?;
    }
    Ok(())
}

impl Audit {
    /// True when there is a report and nothing in it is a finding. Where a guest leaves something without a verdict, that
    /// is told, and no failure.
    fn is_good(&self) -> bool {
        self.report.as_ref().is_some_and(Report::is_explained)
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernel, package, ending, took, report } = self;
        let seconds = took.as_secs();
        write!(f, "{kernel} ({package}), audit: ")?;
        match (report, ending) {
            (Some(report), _) => write!(f, "{report}, {seconds} s"),
            (None, Ending::Finished(code)) => {
                write!(f, "no report after {seconds} s, the audit ended with {code}")
            }
            (None, Ending::Died) => write!(f, "no report, the guest died after {seconds} s"),
            (None, Ending::TimedOut) => write!(f, "no report, stopped after {seconds} s, its time was over"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::catalog::Arch;

    #[test]
    fn files_leave_a_guest_as_text_and_are_unpacked_here() {
        let folder = std::env::temp_dir().join(format!("tcp-tracer-files-{}", std::process::id()));
        let guest = folder.join("guest");
        fs::create_dir_all(&guest).unwrap();
        fs::write(guest.join("report.json"), "{}").unwrap();
        // As the guest's script does it.
        let mut pack = Command::new("sh");
        pack.args(["-c", "tar -cz -C \"$0\" . | base64"]).arg(&guest);
        let files = command::output(&mut pack).unwrap();
        let place = folder.join("here");
        clear(&place).unwrap();
        unpack(&files, &place).unwrap();
        let names: Vec<_> = fs::read_dir(&place).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names, ["report.json"], "nothing else is left");
        assert_eq!(fs::read_to_string(place.join("report.json")).unwrap(), "{}");
        assert!(matches!(unpack("a word of the kernel\n", &place), Err(Error::Unpack(_))));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_quick_audit_leaves_the_matrix_out() {
        let agent = Agent { path: "/w/tcp-tracer".into() };
        let [quick, whole] = [true, false].map(|quick| script(&agent, quick));
        assert!(
            quick.contains("{ /w/tcp-tracer audit --jobs 24 --output-dir /tmp/audit --quick; echo $?"),
            "{quick}"
        );
        assert!(whole.contains(" --output-dir /tmp/audit --matrix --random 400; echo $?"), "{whole}");
    }

    #[test]
    fn a_guest_without_a_report_is_not_good_and_says_why() {
        let audit = |ending| Audit {
            kernel: Kernel { tag: "6.1".into(), arch: Arch::X86_64 },
            package: "linux-image".into(),
            ending,
            took: Duration::from_secs(9),
            report: None,
        };
        let died = audit(Ending::Died);
        assert!(!died.is_good());
        assert_eq!(died.to_string(), "6.1 x86_64 (linux-image), audit: no report, the guest died after 9 s");
        let refused = audit(Ending::Finished(1)).to_string();
        assert!(refused.ends_with("no report after 9 s, the audit ended with 1"), "{refused}");
    }

    #[test]
    fn the_oldest_and_the_newest_of_each_machine_are_compared() {
        let of =
            |kernel: &str, machine| Record { kernel: kernel.into(), machine, ..record::tests::record("abc") };
        let all = [
            of("5.10", Arch::X86_64),
            of("6.1", Arch::X86_64),
            of("7.3", Arch::X86_64),
            of("6.1", Arch::Aarch64),
        ];
        let ends: Vec<_> = both_ends(&all).iter().map(|ends| ends.map(|end| end.kernel.as_str())).collect();
        assert_eq!(ends, [["5.10", "7.3"]]);
    }
}
