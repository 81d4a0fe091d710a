//! The system's programs that the live tests use (a web server, its client, network tools, Prometheus), and those that
//! the agent is measured against.

use std::{fmt, fs::File, path::Path, process::Command};

use crate::{command, privilege};

/// A program, or a file by its whole path, and where it comes from.
struct Program {
    name: &'static str,
    /// Debian's and Ubuntu's package.
    package: &'static str,
    /// The service that the package would start at the next boot.
    service: Option<&'static str>,
}

const LIVE_TESTS: Needs = Needs {
    who: "the live tests miss",
    programs: &[
        Program { name: "nginx", package: "nginx-light", service: Some("nginx.service") },
        Program { name: "curl", package: "curl", service: None },
        Program { name: "ip", package: "iproute2", service: None },
        Program { name: "ss", package: "iproute2", service: None },
        Program { name: "python3", package: "python3", service: None },
        Program { name: "prometheus", package: "prometheus", service: Some("prometheus.service") },
        Program { name: "promtool", package: "prometheus", service: Some("prometheus.service") },
        Program {
            name: "prometheus-node-exporter",
            package: "prometheus-node-exporter",
            service: Some("prometheus-node-exporter.service"),
        },
    ],
};

const BENCH: Needs = Needs {
    who: "the bench misses",
    programs: &[
        Program { name: "ip", package: "iproute2", service: None },
        Program { name: "bpftrace", package: "bpftrace", service: None },
    ],
};

const CC: Needs = Needs {
    who: "building for this machine's guests misses",
    programs: &[Program { name: "cc", package: "gcc", service: None }],
};

/// Crates bring C code, which includes the C library's headers.
const CC_AARCH64: Needs = Needs {
    who: "building for aarch64 misses",
    programs: &[
        Program { name: "aarch64-linux-gnu-gcc", package: "gcc-aarch64-linux-gnu", service: None },
        Program {
            name: "/usr/aarch64-linux-gnu/include/stdlib.h",
            package: "libc6-dev-arm64-cross",
            service: None,
        },
    ],
};

const CC_X86_64: Needs = Needs {
    who: "building for x86_64 misses",
    programs: &[
        Program { name: "x86_64-linux-gnu-gcc", package: "gcc-x86-64-linux-gnu", service: None },
        Program {
            name: "/usr/x86_64-linux-gnu/include/stdlib.h",
            package: "libc6-dev-amd64-cross",
            service: None,
        },
    ],
};

/// Programs that belong together.
struct Needs {
    /// The beginning of a sentence about what is missing.
    who: &'static str,
    programs: &'static [Program],
}

/// Whether all programs were found.
#[derive(Debug)]
pub enum Availability {
    Complete,
    Missing(Missing),
}

/// What is missing, why it was not installed, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub struct Missing {
    who: &'static str,
    programs: Vec<&'static str>,
    packages: Vec<&'static str>,
    obstacle: Obstacle,
}

#[derive(Debug, PartialEq, Eq)]
enum Obstacle {
    NotDebian,
    NotRoot,
    Failed(String),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (programs, packages) = (self.programs.join(", "), self.packages.join(" "));
        write!(f, "{} {programs}", self.who)?;
        match &self.obstacle {
            Obstacle::NotDebian => write!(
                f,
                ", and there is no apt-get here: install them with this system's package manager \
                 (Debian calls the packages {packages})"
            ),
            Obstacle::NotRoot => {
                write!(f, ": run `sudo apt-get install --no-install-recommends {packages}`")
            }
            Obstacle::Failed(error) => write!(
                f,
                " ({error}): run `apt-get update && apt-get install --no-install-recommends {packages}` as root"
            ),
        }
    }
}

/// What the live tests talk to.
pub fn for_live_tests() -> Availability {
    ensure(&LIVE_TESTS)
}

/// What the agent is measured against.
pub fn for_bench() -> Availability {
    ensure(&BENCH)
}

/// A C compiler whose objects run on the machine: its name.
pub fn for_guest(machine: &str) -> Result<&'static str, Missing> {
    let needs = match machine {
        own if own == std::env::consts::ARCH => &CC,
        "aarch64" => &CC_AARCH64,
        _ => &CC_X86_64,
    };
    match ensure(needs) {
        Availability::Complete => Ok(needs.programs[0].name),
        Availability::Missing(missing) => Err(missing),
    }
}

/// Installs the packages of the missing programs, if this is Debian (or Ubuntu) and we are root.
fn ensure(needs: &Needs) -> Availability {
    if missing(needs).is_empty() {
        return Availability::Complete;
    }
    let obstacle = match command::find("apt-get") {
        None => Obstacle::NotDebian,
        Some(_) if !privilege::is_root() => Obstacle::NotRoot,
        Some(apt_get) => match install(&apt_get, needs) {
            Ok(()) if missing(needs).is_empty() => return Availability::Complete,
            Ok(()) => Obstacle::Failed("the packages are installed without them".to_owned()),
            Err(error) => Obstacle::Failed(error.to_string()),
        },
    };
    let missing = missing(needs);
    Availability::Missing(Missing {
        who: needs.who,
        programs: missing.iter().map(|program| program.name).collect(),
        packages: distinct(missing.iter().map(|program| program.package)),
        obstacle,
    })
}

fn missing(needs: &Needs) -> Vec<&'static Program> {
    let is_there = |name: &str| match Path::new(name) {
        path if path.is_absolute() => path.is_file(),
        _ => command::find(name).is_some(),
    };
    needs.programs.iter().filter(|program| !is_there(program.name)).collect()
}

fn distinct(names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let mut names: Vec<_> = names.collect();
    names.dedup();
    names
}

fn install(apt_get: &Path, needs: &Needs) -> Result<(), command::Error> {
    // One at a time: the guard below belongs to one call. Without a lock file dpkg's own lock still keeps order.
    let lock = File::options().create(true).append(true).open("/run/lock/tcp-tracer-setup").ok();
    let _locked = lock.as_ref().map(File::lock);
    let missing = missing(needs);
    let packages = distinct(missing.iter().map(|program| program.package));
    if packages.is_empty() {
        return Ok(());
    }
    eprintln!("Installing {} ...", packages.join(" "));
    let guard = Path::new("/usr/sbin/policy-rc.d");
    if !command::quietly(without_services(guard, apt_get).args(INSTALL).args(&packages)) {
        // Most likely the package lists are old or were never loaded.
        command::run(Command::new(apt_get).arg("update"))?;
        command::run(without_services(guard, apt_get).args(INSTALL).args(&packages))?;
    }
    keep_off_at_boot(distinct(missing.iter().filter_map(|program| program.service)));
    Ok(())
}

const INSTALL: [&str; 5] =
    ["install", "--yes", "--no-install-recommends", "--option", "DPkg::Lock::Timeout=120"];

/// A command that runs `program` while `guard` (Debian's policy-rc.d) forbids packages to start services; the tests start
/// their own on free ports. A policy of the administrator stays as it is. A shell does it, because it clears up
/// even if this program gets interrupted.
fn without_services(guard: &Path, program: &Path) -> Command {
    const SCRIPT: &str = r#"
        guard=$1; shift
        if (set -C; printf '#!/bin/sh\n# Made by the set-up of tcp-tracer; may be removed.\nexit 101\n' >"$guard") 2>/dev/null
        then
            trap 'rm -f "$guard"' EXIT
            trap 'exit 130' INT; trap 'exit 143' TERM; trap 'exit 129' HUP
            chmod 755 "$guard"
        fi
        "$@"
    "#;
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT, "sh"]).args([guard, program]).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// The packages enable their services; a machine that only tests should not find a web server after its next boot.
fn keep_off_at_boot(services: Vec<&str>) {
    if let Some(systemctl) = command::find("systemctl") {
        for service in services {
            if !command::quietly(Command::new(&systemctl).args(["disable", service])) {
                eprintln!(
                    "note: {service} may start at the next boot; `systemctl disable {service}` prevents it"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::PathBuf, process};

    use super::*;

    fn guard_path(name: &str) -> PathBuf {
        env::temp_dir().join(format!("tcp-tracer-{name}-{}", process::id()))
    }

    #[test]
    fn services_are_forbidden_while_the_program_runs_and_not_after() {
        let guard = guard_path("own-policy");
        let mut command = without_services(&guard, Path::new("sh"));
        // What the package scripts do: ask the policy, and obey its 101.
        command.arg("-c").arg(format!("{}; test $? = 101", guard.display()));
        command::run(&mut command).unwrap();
        assert!(!guard.exists());
    }

    #[test]
    fn the_programs_failure_comes_through_and_the_guard_goes() {
        let guard = guard_path("failing");
        let mut command = without_services(&guard, Path::new("false"));
        assert!(command::run(&mut command).is_err());
        assert!(!guard.exists());
    }

    #[test]
    fn an_administrators_policy_is_left_alone() {
        let guard = guard_path("their-policy");
        fs::write(&guard, "exit 0\n").unwrap();
        command::run(&mut without_services(&guard, Path::new("true"))).unwrap();
        assert_eq!(fs::read_to_string(&guard).unwrap(), "exit 0\n");
        fs::remove_file(&guard).unwrap();
    }

    #[test]
    fn what_is_missing_is_one_sentence_with_the_command() {
        let mut missing = Missing {
            who: LIVE_TESTS.who,
            programs: vec!["nginx", "ss"],
            packages: vec!["nginx-light", "iproute2"],
            obstacle: Obstacle::NotRoot,
        };
        assert_eq!(
            missing.to_string(),
            "the live tests miss nginx, ss: run `sudo apt-get install --no-install-recommends nginx-light iproute2`"
        );
        missing.obstacle = Obstacle::NotDebian;
        assert_eq!(
            missing.to_string(),
            "the live tests miss nginx, ss, and there is no apt-get here: install them with this system's package manager \
             (Debian calls the packages nginx-light iproute2)"
        );
    }
}
