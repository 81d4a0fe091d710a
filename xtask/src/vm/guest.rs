//! One boot: qemu is started, watched and ended, and what the guest said is kept.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use super::{
    catalog::Arch,
    store::{Image, Qemu},
};
use crate::command;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot start `{command}`: {source}")]
    Start { command: String, source: io::Error },
    #[error("cannot write the guest's console to {path}: {source}")]
    Console { path: PathBuf, source: io::Error },
}

/// What the guest says last.
const RESULT: &str = "VM-RESULT ";

/// A guest to be booted.
#[derive(Debug)]
pub struct Guest<'a> {
    pub arch: Arch,
    pub image: &'a Image,
    pub qemu: &'a Qemu,
    pub initramfs: &'a Path,
    /// The guest's clock counts instructions and jumps ahead when there are none to run.
    pub fast_clock: bool,
    pub limit: Duration,
    /// Where its console is kept.
    pub console: &'a Path,
}

/// How a boot ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The guest ran its command, with this exit code.
    Finished(i32),
    /// It said nothing of an end: a panic, or a crash of qemu.
    Died,
    /// Its time was over.
    TimedOut,
}

impl Guest<'_> {
    /// Boots it and hands each line of its console to `line`.
    pub fn run(&self, line: impl FnMut(&str)) -> Result<(Ending, Duration), Error> {
        let start = Instant::now();
        let failed = |source| Error::Console { path: self.console.to_path_buf(), source };
        let console = File::create(self.console).map_err(failed)?;
        let qemu = Running::start(&self.command())?;
        let ending = qemu.watch(self.limit, console, line).map_err(failed)?;
        Ok((ending, start.elapsed()))
    }

    fn command(&self) -> Command {
        let mut qemu = self.qemu.command(self.arch);
        // KVM is not asked for: /dev/kvm may be there and not work.
        qemu.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"]);
        qemu.args(["-accel", "tcg", "-m", "1024"]);
        let console = match self.arch {
            Arch::X86_64 => {
                // "rep movsb" is one octet at a time here; without ERMS the kernel and the C library take words.
                qemu.args(["-M", "q35", "-cpu", "max,erms=off,fsrm=off"]);
                "ttyS0"
            }
            Arch::Aarch64 => {
                // "max" costs twice the time for pointer authentication.
                qemu.args(["-M", "virt", "-cpu", "cortex-a72"]);
                "ttyAMA0"
            }
        };
        if self.fast_clock {
            qemu.args(["-smp", "1", "-icount", "shift=0,sleep=off"]);
        } else {
            qemu.args(["-smp", "2"]);
        }
        qemu.arg("-kernel").arg(&self.image.vmlinuz).arg("-initrd").arg(self.initramfs);
        // On a busy machine the emulated timer may miss the kernel's early test of it, which is a panic.
        qemu.args(["-append", &format!("console={console} panic=-1 quiet no_timer_check")]);
        qemu
    }
}

/// qemu, ended when dropped.
struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Running {
    fn start(qemu: &Command) -> Result<Self, Error> {
        let mut command = with_us(qemu);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let started = command.spawn();
        let mut child =
            started.map_err(|source| Error::Start { command: command::line(&command), source })?;
        let (sink, lines) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                    let text = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
                    if sink.send(text).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self { child, lines })
    }

    /// Reads it to its end, or until its time is over.
    fn watch(
        self,
        limit: Duration,
        mut console: impl Write,
        mut line: impl FnMut(&str),
    ) -> io::Result<Ending> {
        let start = Instant::now();
        let mut ending = Ending::Died;
        loop {
            match self.lines.recv_timeout(limit.saturating_sub(start.elapsed())) {
                Ok(text) => {
                    writeln!(console, "{text}")?;
                    if let Some(code) = text.strip_prefix(RESULT).and_then(|code| code.parse().ok()) {
                        ending = Ending::Finished(code);
                    }
                    line(&text);
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(ending),
                Err(RecvTimeoutError::Timeout) => return Ok(Ending::TimedOut),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command, ended by the kernel should this process die without a word.
fn with_us(command: &Command) -> Command {
    let Some(setpriv) = command::find("setpriv") else {
        return copy(Command::new(command.get_program()), command);
    };
    let mut guarded = Command::new(setpriv);
    guarded.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program());
    copy(guarded, command)
}

fn copy(mut into: Command, command: &Command) -> Command {
    into.args(command.get_args());
    into.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    into
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(script: &str, limit: Duration) -> (Ending, String) {
        let running = Running::start(Command::new("sh").args(["-c", script])).unwrap();
        let mut console = Vec::new();
        let ending = running.watch(limit, &mut console, |_| {}).unwrap();
        (ending, String::from_utf8(console).unwrap())
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_guests_last_line_is_its_result() {
        let (ended, console) = ending("printf 'a test\\r\\nVM-RESULT 101\\r\\n'", LONG);
        assert_eq!((ended, console.as_str()), (Ending::Finished(101), "a test\nVM-RESULT 101\n"));
        assert_eq!(ending("echo Kernel panic", LONG).0, Ending::Died);
    }

    #[test]
    fn a_guest_that_hangs_is_ended() {
        let begin = Instant::now();
        assert_eq!(ending("exec sleep 60", Duration::from_millis(200)).0, Ending::TimedOut);
        assert!(begin.elapsed() < Duration::from_secs(30), "it was waited for");
    }
}
