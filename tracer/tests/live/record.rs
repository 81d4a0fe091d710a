//! What is recorded is the truth, whatever happens to the recorder, and is judged as it was live.

use std::{
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    agent::{BINARY, finish},
    guest::{patience, share},
    load::{Ending, Family, Load},
    mixed::Mixed,
    namespace::Namespace,
    process::Process,
    scratch::Scratch,
    turn,
    wait::until,
};

/// A running `tcp-tracer record`.
struct Recorder(Process);

impl Recorder {
    fn start(file: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::new(BINARY);
        command.arg("record").arg(file).args(arguments).args(["--log.level", "error"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let process = Process::start(&mut command, Signal::KILL);
        // It records once the listing of what was there before is in the file.
        until(Duration::from_secs(30), || match file.metadata() {
            Ok(found) if found.len() > 4096 => Ok(()),
            other => Err(format!("no recording yet: {other:?}")),
        });
        sleep(Duration::from_millis(1500));
        Self(process)
    }

    /// Stops it; what it says at the end.
    fn stop(mut self, signal: Signal) -> String {
        self.0.signal(signal);
        self.said()
    }

    fn said(&mut self) -> String {
        let mut stderr = self.0.child().stderr.take().expect("a pipe");
        self.0.wait(patience(Duration::from_secs(20))).expect("the end of the recorder");
        let mut said = String::new();
        std::io::Read::read_to_string(&mut stderr, &mut said).expect("what it said");
        said
    }
}

/// `tcp-tracer check --output json`.
fn check(files: &[&Path]) -> (Option<i32>, Value) {
    let outcome = finish(Command::new(BINARY).args(["check", "--output", "json"]).args(files));
    let page = serde_json::from_str(&outcome.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}\n{}", outcome.stdout, outcome.stderr));
    (outcome.status.code(), page)
}

/// The number before `word`.
fn number(text: &str, word: &str) -> u64 {
    let (before, _) = text.split_once(word).unwrap_or_else(|| panic!("no {word:?} in {text:?}"));
    before.trim().rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

/// Connections of one load.
fn each() -> u64 {
    share(3_000)
}

fn load(ending: Ending) -> Load {
    Load { connections: each(), lanes: 2, family: Family::Ipv6, ending, exchanges: 1 }
}

/// Transitions of a load that ends in order: ten a connection, and two of each listener.
fn transitions() -> Value {
    (10 * each() + 4).into()
}

#[test]
fn a_recording_is_judged_as_it_was_live() {
    let Some(_turn) = turn(&["python3"]) else { return };
    let (namespace, scratch) = (Namespace::new(), Scratch::new("record"));
    let file = scratch.path().join("one.rec");
    let recorder = Recorder::start(&file, &["--max-size", "300K"]);
    for ending in [Ending::Client, Ending::Server, Ending::Reset] {
        load(ending).run(&namespace);
    }
    Mixed::start(&namespace, 20, Duration::from_secs(20), 1).finish();
    let said = recorder.stop(Signal::INT);
    assert!(said.contains("none lost"), "{said}");
    let mut files: Vec<_> =
        std::fs::read_dir(scratch.path()).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let files: Vec<&Path> = files.iter().map(std::path::PathBuf::as_path).collect();
    assert!(files.len() > 1, "{files:?}");
    let (status, page) = check(&files);
    assert_eq!(status, Some(0), "{page}");
    assert_eq!(page["transitions"], number(&said, " transitions"), "{said}");
    assert_eq!(page["records"], number(&said, " records"), "{said}");
    assert!(page["transitions"].as_u64().unwrap() > 23 * each(), "{said}");

    // One namespace alone, by the same recorder with a filter.
    let file = scratch.path().join("filtered.rec");
    let recorder = Recorder::start(&file, &["--netns", namespace.name(), "--family", "ipv6"]);
    load(Ending::Client).run(&namespace);
    recorder.stop(Signal::TERM);
    let (status, page) = check(&[&file]);
    assert_eq!((status, &page["verdicts"]["violation"]), (Some(0), &0.into()), "{page}");
    assert_eq!(page["transitions"], transitions(), "{page}");
}

#[test]
fn a_recorder_that_is_killed_leaves_all_but_the_last_second() {
    let Some(_turn) = turn(&[]) else { return };
    let (namespace, scratch) = (Namespace::new(), Scratch::new("killed"));
    let file = scratch.path().join("killed.rec");
    let recorder = Recorder::start(&file, &["--netns", namespace.name()]);
    load(Ending::Client).run(&namespace);
    sleep(Duration::from_millis(2500));
    recorder.stop(Signal::KILL);
    let (status, page) = check(&[&file]);
    assert_eq!(status, Some(4), "{page}");
    assert!(page["troubles"][0].as_str().unwrap().contains("has no end"), "{page}");
    assert_eq!((&page["transitions"], &page["verdicts"]["violation"]), (&transitions(), &0.into()), "{page}");
}

#[test]
fn a_recorder_that_slept_lost_much_and_accuses_nobody() {
    let Some(_turn) = turn(&[]) else { return };
    let (namespace, scratch) = (Namespace::new(), Scratch::new("slept"));
    let file = scratch.path().join("slept.rec");
    let recorder = Recorder::start(&file, &["--ring-bytes", "65536"]);
    load(Ending::Client).run(&namespace);
    recorder.0.signal(Signal::STOP);
    load(Ending::Server).run(&namespace);
    sleep(Duration::from_secs(3));
    recorder.0.signal(Signal::CONT);
    load(Ending::Reset).run(&namespace);
    sleep(Duration::from_secs(2));
    let said = recorder.stop(Signal::INT);
    assert!(said.contains("LOST"), "{said}");
    let (status, page) = check(&[&file]);
    assert_eq!((status, &page["verdicts"]["violation"]), (Some(0), &0.into()), "{page}");
    let lost: u64 = page["lost"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert!(lost > 3 * each(), "{page}");
    assert_eq!(lost, number(&said, " LOST"), "{said}");
}

#[test]
fn a_full_disk_is_said_and_what_was_written_can_be_judged() {
    let Some(_turn) = turn(&["unshare", "mount"]) else { return };
    let (namespace, scratch) = (Namespace::new(), Scratch::new("full"));
    // A disk of 64 KiB, which nobody else sees.
    let script = "mount -t tmpfs -o size=64k none \"$0\" && \"$1\" record \"$0/full.rec\" --duration 60; status=$?; \
                  cp \"$0/full.rec\" \"$0.rec\"; exit $status";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(scratch.path()).arg(BINARY);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut recorder = Recorder(Process::start(&mut command, Signal::KILL));
    sleep(patience(Duration::from_secs(4)));
    for ending in [Ending::Client, Ending::Server, Ending::Client] {
        load(ending).run(&namespace);
    }
    let said = recorder.said();
    let copy = scratch.path().with_extension("rec");
    let (status, page) = check(&[&copy]);
    std::fs::remove_file(&copy).unwrap();
    assert!(said.contains("No space left on device") && said.contains("can be read"), "{said}");
    assert_eq!(status, Some(4), "{page}");
    assert!(page["troubles"][0].as_str().unwrap().contains("has no end"), "{page}");
    assert_eq!(page["records"], number(&said.replace('(', " "), " records"), "{said}");
    assert_eq!(page["verdicts"]["violation"], 0);
}

#[test]
fn a_path_that_cannot_be_written_to_is_said_before_anything_is_attached() {
    let Some(_turn) = turn(&[]) else { return };
    let scratch = Scratch::new("nowhere");
    let file = scratch.file("there", "already");
    for (path, words) in
        [(scratch.path().join("no/such/folder"), "cannot create"), (file.clone(), "exists already")]
    {
        let outcome = finish(Command::new(BINARY).arg("record").arg(&path));
        assert_eq!(outcome.status.code(), Some(1));
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), "already");
}
