//! Recordings: written, cut into parts, joined again, and damaged in every way.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use proptest::prelude::*;
use tracer::{
    judge::Input,
    recording::{Reader, layout},
    replay::{self, Listener},
    sink::{
        recording::{Parts, Recorder, Rotation, Selection},
        summary::Summary,
    },
};

use crate::tape::{self, Taken, Tape};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tcp-tracer-replay-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(&self.0).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn summary(files: &[PathBuf]) -> Summary {
    let mut summary = Summary::default();
    replay::files(files, &mut summary);
    summary
}

pub fn summary_of(bytes: &[u8]) -> (Summary, bool) {
    let mut summary = Summary::default();
    match Reader::new(bytes, Path::new("bytes")) {
        Ok(reader) => replay::streams(vec![reader], &mut summary),
        Err(error) => summary.trouble(error.into()),
    }
    let is_whole = summary.is_whole();
    (summary, is_whole)
}

/// Writes the tape again, many times over so that there is something to cut.
fn write(folder: &Folder, rotation: Rotation, rounds: u64) -> u64 {
    let tape = Tape::load();
    let parts = Parts::fresh(folder.file("again"), rotation).unwrap();
    let mut recorder = Recorder::begin(parts, tape.header.clone(), Selection::default()).unwrap();
    let mut records = 0;
    for round in 0..rounds {
        // Each round is an hour later, with sockets of its own.
        let later = round * 3_600_000_000_000;
        for input in &tape.taken {
            match input {
                Taken::Listed(_) | Taken::Odd(_) | Taken::Lost(_) => {}
                Taken::Flush(time) => recorder.input(Input::Flush(time + later)),
                Taken::Record(record) => {
                    let mut record = *record;
                    record.time_ns += later;
                    record.socket += round << 40;
                    if record.cookie != 0 {
                        record.cookie += round << 40;
                    }
                    records += 1;
                    recorder.input(Input::Record(&layout::bytes(&record)));
                }
            }
        }
        // Frames leave in order, and none is left out for want of time.
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let recorded = recorder.finish(&[]);
    assert_eq!(recorded.unwritten, 0);
    assert_eq!(recorded.written.unwrap().records, records);
    records
}

#[test]
fn what_was_written_is_read_and_judged_the_same() {
    let folder = Folder::new("same");
    let records = write(&folder, Rotation::default(), 1);
    let [mut again, was] = [&folder.files()[..], &[tape::path()]].map(summary);
    assert!(again.is_whole() && was.is_whole(), "{:?} {:?}", again.troubles, was.troubles);
    assert_eq!(
        (again.records, again.transitions, &again.verdicts),
        (records, was.transitions, &was.verdicts)
    );
    assert_eq!((&again.deviations, &again.inconclusive), (&was.deviations, &was.inconclusive));
    again.streams.clear();
}

#[test]
fn parts_join_in_whatever_order_and_a_missing_one_is_a_loss() {
    let folder = Folder::new("parts");
    let records = write(&folder, Rotation { max_size: Some(300_000), max_files: None }, 12);
    let mut files = folder.files();
    assert!(files.len() >= 4, "{files:?}");
    let whole = summary(&files);
    assert!(whole.is_whole(), "{:?}", whole.troubles);
    assert_eq!((whole.records, whole.violated(), whole.streams.len()), (records, 0, 1));
    files.reverse();
    assert_eq!(summary(&files).verdicts, whole.verdicts);

    let again = [&files[..], &files[..1]].concat();
    assert!(summary(&again).troubles[0].contains("given already"), "{:?}", summary(&again).troubles);

    let without: Vec<_> = files.iter().filter(|file| !file.ends_with("again.1")).cloned().collect();
    let gap = summary(&without);
    assert_eq!(gap.violated(), 0, "{:?}", gap.violations);
    assert!(
        !gap.is_whole() && gap.troubles[0].contains("part 1 of the stream is missing"),
        "{:?}",
        gap.troubles
    );
    assert!(gap.inconclusive["lost_event"] > 0, "{:?}", gap.inconclusive);

    let without_last: Vec<_> = files[1..].to_vec();
    assert!(
        summary(&without_last).troubles[0].contains("not given"),
        "{:?}",
        summary(&without_last).troubles
    );
}

#[test]
fn of_many_parts_the_last_ones_stay() {
    let folder = Folder::new("kept");
    write(&folder, Rotation { max_size: Some(300_000), max_files: Some(2) }, 12);
    let files = folder.files();
    assert_eq!(files.len(), 2, "{files:?}");
    let kept = summary(&files);
    assert!(kept.is_whole() && kept.streams[0].first_part > 0, "{:?}", kept.troubles);
    assert_eq!(kept.violated(), 0);
    for file in files {
        assert!(fs::metadata(&file).unwrap().len() <= 300_000, "{}", file.display());
    }
}

#[test]
fn a_file_that_exists_is_not_written_over() {
    let folder = Folder::new("exists");
    fs::write(folder.file("one"), "precious").unwrap();
    let error = Parts::fresh(folder.file("one"), Rotation::default()).unwrap_err().to_string();
    assert!(error.contains("exists already"), "{error}");
    assert!(Parts::behind(folder.file("one"), Rotation::default()).is_ok());
    assert_eq!(fs::read_to_string(folder.file("one")).unwrap(), "precious");
    assert!(folder.file("one.1").exists());
    let error = Parts::fresh(folder.file("no/such"), Rotation::default()).unwrap_err().to_string();
    assert!(error.contains("no/such") && error.contains("cannot create"), "{error}");
}

/// `tcp-tracer check`: exit status, standard output, standard error.
fn check(arguments: &[&Path]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tcp-tracer"));
    let output = command.arg("check").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn each_damage_has_its_sentence_with_the_position() {
    let folder = Folder::new("damage");
    let good = fs::read(tape::path()).unwrap();
    let mut newer = good.clone();
    newer[8] = 2;
    let mut header = good.clone();
    header[100] ^= 1;
    let mut frame = good.clone();
    let last = good.len() - 200;
    frame[last] ^= 1;
    let mut other = good.clone();
    other.extend(b"something else");
    let cases: [(&str, &[u8], i32, &str); 9] = [
        ("empty", b"", 1, "is empty"),
        ("foreign", b"# a text file\n", 1, "is no recording: byte 0"),
        ("newer", &newer, 1, "has format 2 and this tcp-tracer reads up to 1 (byte 8)"),
        ("header", &header, 1, "is damaged at byte 20: its checksum is wrong"),
        ("short", &good[..15], 1, "is damaged at byte 15: it is cut off"),
        ("cut", &good[..good.len() - 5], 4, "is cut off at byte"),
        ("frame", &frame, 4, "is damaged: its checksum is wrong"),
        ("more", &other, 4, &format!("is cut off at byte {}", other.len())),
        ("good", &good, 0, ""),
    ];
    for (name, bytes, status, words) in cases {
        let file = folder.file(name);
        fs::write(&file, bytes).unwrap();
        let (code, page, error) = check(&[&file]);
        assert_eq!(code, Some(status), "{name}: {error}");
        assert!(error.contains(words), "{name}: {error}");
        assert!(name == "good" || error.contains(name), "{name} is named: {error}");
        assert_eq!(page.contains("NOT THE WHOLE"), status == 4, "{name}: {page}");
        assert_eq!(page.contains("\nNo violation.\n"), status == 0, "{name}: {page}");
    }
    let (code, _, error) = check(&[&folder.file("absent")]);
    assert!(code == Some(1) && error.contains("cannot open"), "{error}");
    let (code, page, _) = check(&[&folder.file("absent"), &folder.file("good")]);
    assert!(code == Some(4) && page.contains("3449  conforming"), "{page}");
}

#[test]
fn violations_have_their_own_exit_status_and_tell_their_story() {
    let folder = Folder::new("violation");
    let mut tape = Tape::load();
    let fin_wait2 = |record: &tracer_ebpf::Record| {
        record.hook == 0 && record.to == tracer_ebpf::uapi::tcp_state::FIN_WAIT2
    };
    let Some(Taken::Record(record)) =
        tape.taken.iter_mut().find(|taken| tape::record(taken).is_some_and(fin_wait2))
    else {
        panic!("no FIN-WAIT-2")
    };
    record.una = record.una.wrapping_sub(1);
    let parts = Parts::fresh(folder.file("bad"), Rotation::default()).unwrap();
    let mut recorder = Recorder::begin(parts, tape.header.clone(), Selection::default()).unwrap();
    for taken in &tape.taken {
        if let Taken::Record(record) = taken {
            recorder.input(Input::Record(&layout::bytes(record)));
        }
    }
    recorder.finish(&[]).written.unwrap();
    let (code, page, _) = check(&[&folder.file("bad")]);
    assert_eq!(code, Some(3), "{page}");
    assert!(page.contains("1  fin-wait-2-fin-unacknowledged") && page.ends_with("VIOLATIONS.\n"), "{page}");

    let (code, json, _) = check(&[Path::new("--output=json"), &folder.file("bad")]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let violation = &json["violations"][0];
    assert_eq!((code, &json["result"]), (Some(3), &"violations".into()));
    assert_eq!(violation["kernel"], "6.18.44");
    assert_eq!(violation["rule"], "fin-wait-2-fin-unacknowledged");
    assert_eq!(violation["transition"], "fin_wait1>fin_wait2");
    assert_eq!(violation["story_is_whole"], true);
    assert_eq!(violation["story"].as_array().unwrap().last().unwrap()["transition"], "fin_wait1>fin_wait2");
    let unacknowledged = |name: &str| violation["fields"][name].as_u64().unwrap();
    assert_eq!(unacknowledged("write_seq") - unacknowledged("snd_una"), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
        let (_, is_whole) = summary_of(&bytes);
        prop_assert!(!is_whole);
    }

    #[test]
    fn any_bytes_behind_a_header_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..4000), mark in any::<bool>()) {
        let good = fs::read(tape::path()).unwrap();
        let header = 20 + usize::try_from(u32::from_le_bytes(good[12..16].try_into().unwrap())).unwrap();
        let mut file = good[..header].to_vec();
        if mark {
            file.extend(b"TCPF");
        }
        file.extend(bytes);
        let (_, is_whole) = summary_of(&file);
        prop_assert!(!is_whole);
    }

    #[test]
    fn a_changed_recording_is_found_out_and_never_accuses(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..8),
    ) {
        let mut bytes = fs::read(tape::path()).unwrap();
        for (at, flip) in changes {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        prop_assume!(bytes != fs::read(tape::path()).unwrap());
        let (summary, is_whole) = summary_of(&bytes);
        prop_assert!(!is_whole);
        prop_assert_eq!(summary.violated(), 0);
    }

    #[test]
    fn a_recording_that_was_cut_off_is_judged_up_to_there(end in any::<prop::sample::Index>()) {
        let bytes = fs::read(tape::path()).unwrap();
        let (summary, is_whole) = summary_of(&bytes[..end.index(bytes.len())]);
        prop_assert!(!is_whole);
        prop_assert_eq!(summary.violated(), 0);
    }
}
