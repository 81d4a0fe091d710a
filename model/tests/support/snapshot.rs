//! Reviewed texts in `tests/snapshots`.

use std::path::PathBuf;

/// Compares with the stored text; `UPDATE_SNAPSHOTS=1` stores it anew. `command` says how in the message.
#[track_caller]
#[allow(clippy::panic, clippy::expect_used, clippy::allow_attributes, reason = "a test's helper")]
pub fn matches(name: &str, text: &str, command: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, text).expect("write the snapshot");
        return;
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    if stored != text {
        let same = stored.lines().zip(text.lines()).take_while(|(old, new)| old == new).count();
        panic!(
            "{name} differs from line {} on:\n  stored: {}\n  now:    {}\nIf that is meant: UPDATE_SNAPSHOTS=1 {command}",
            same + 1,
            stored.lines().nth(same).unwrap_or("(nothing)"),
            text.lines().nth(same).unwrap_or("(nothing)"),
        );
    }
}
