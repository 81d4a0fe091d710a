//! What cannot work ends at once, with a sentence that says what is wrong and what to do.

use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::Command,
};

use crate::support::{
    agent::{BINARY, finish},
    scratch::Scratch,
    turn,
};

/// Asserts that the command fails, and that its message has all these words, in whatever case.
fn refuses(command: &mut Command, words: &[&str]) {
    let outcome = finish(command);
    let message = outcome.stderr.trim();
    let code = outcome.status.code();
    assert!(code.is_some_and(|code| code != 0), "{command:?} ended with {}: {message}", outcome.status);
    assert!(!message.contains("panicked") && !message.contains("RUST_BACKTRACE"), "{message}");
    assert!(!message.is_empty() && message.lines().count() <= 6, "{command:?} is not brief:\n{message}");
    for word in words {
        let found = message.to_lowercase().contains(&word.to_lowercase());
        assert!(found, "{command:?} does not say {word:?}:\n{message}");
    }
    assert_eq!(outcome.stdout, "", "{command:?}: what is wrong belongs on stderr");
}

fn tcp_tracer(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments);
    command
}

const RUN: [&str; 3] = ["run", "--web.listen-address", "127.0.0.1:0"];

#[test]
fn without_root() {
    let Some(_turn) = turn(&[]) else { return };
    // Where nobody may read it.
    let scratch = Scratch::new("nobody");
    let copy = scratch.path().join("tcp-tracer");
    fs::copy(BINARY, &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    for arguments in [&RUN[..], &["watch", "--output", "json"]] {
        let mut command = Command::new(&copy);
        refuses(command.args(arguments).uid(65534).gid(65534), &["root", "CAP_BPF"]);
    }
}

#[test]
fn without_btf() {
    let Some(_turn) = turn(&["unshare", "mount"]) else { return };
    let empty = Scratch::new("no-btf");
    for arguments in [&RUN[..], &["watch", "--output", "json"]] {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", "mount --bind \"$0\" /sys/kernel/btf && exec \"$@\""]);
        command.arg(empty.path()).arg(BINARY).args(arguments);
        refuses(&mut command, &["/sys/kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF"]);
    }
}

#[test]
fn on_an_occupied_port() {
    let Some(_turn) = turn(&[]) else { return };
    let occupant = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = occupant.local_addr().unwrap().to_string();
    refuses(
        &mut tcp_tracer(&["run", "--web.listen-address", &address]),
        &[&address, "in use", "--web.listen-address"],
    );
}

#[test]
fn with_an_unknown_flag_or_command() {
    let Some(_turn) = turn(&[]) else { return };
    refuses(&mut tcp_tracer(&["run", "--no-such-flag"]), &["--no-such-flag", "--help"]);
    refuses(&mut tcp_tracer(&["watch", "--no-such-flag"]), &["--no-such-flag", "--help"]);
    refuses(&mut tcp_tracer(&["no-such-command"]), &["no-such-command", "--help"]);
}

#[test]
fn with_a_bad_value() {
    let Some(_turn) = turn(&[]) else { return };
    for address in ["nonsense", "127.0.0.1", "127.0.0.1:99999"] {
        refuses(
            &mut tcp_tracer(&["run", "--web.listen-address", address]),
            &[address, "--web.listen-address"],
        );
    }
    for (filter, value) in [
        ("--port", "http"),
        ("--port", "65536"),
        ("--port", "-1"),
        ("--state", "nowhere"),
        ("--family", "ipv5"),
        ("--pid", "init"),
        ("--netns", "somewhere"),
        ("--address", "1.2.3"),
        ("--duration", "soon"),
        ("--output", "xml"),
    ] {
        let argument = format!("{filter}={value}");
        refuses(&mut tcp_tracer(&["watch", &argument]), &[filter, value]);
    }
}
