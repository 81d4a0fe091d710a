//! From what was found out to what it means.

use std::error::Error;

use serde::Serialize;
use tracer_ebpf::Hook;

use crate::kernel::{
    evidence::without_hook,
    load::{Kind, LoadError},
    privileges::CAPABILITIES,
    probe::{Listed, MissingField, Probe, Trial, TypeFacts},
};

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The part of the report.
    pub section: &'static str,
    /// What was looked at.
    pub name: String,
    /// How it is.
    pub mark: Mark,
    /// What was found.
    pub text: String,
    /// What that costs, and what to do.
    pub notes: Vec<String>,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// As it should be.
    Ok,
    /// Works, with a loss that the notes name.
    Degraded,
    /// Not there.
    Missing,
    /// Not the kernel's default.
    Changed,
    /// Could not be found out.
    Unknown,
    /// Neither good nor bad.
    Info,
}

impl Mark {
    /// The word in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Missing => "missing",
            Self::Changed => "changed",
            Self::Unknown => "unknown",
            Self::Info => "info",
        }
    }
}

const PRIVILEGES: &str = "Privileges";
const KERNEL: &str = "Kernel";
const HOOKS: &str = "Hooks";
const FIELDS: &str = "Fields";
const SETTINGS: &str = "TCP settings of this network namespace";

fn check(section: &'static str, name: impl Into<String>, mark: Mark, text: impl Into<String>) -> Check {
    Check { section, name: name.into(), mark, text: text.into(), notes: Vec::new() }
}

impl Check {
    fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

/// All checks, section by section.
pub fn diagnose(probe: &Probe) -> Vec<Check> {
    [privileges(probe), kernel(probe), hooks(probe), fields(probe), settings(probe)].concat()
}

/// The last line: whether state transitions can be traced, or why not.
pub fn outcome(probe: &Probe, checks: &[Check]) -> String {
    let of = |mark| checks.iter().filter(|check| check.section != PRIVILEGES && check.mark == mark).count();
    match (&probe.types, &probe.trial) {
        _ if probe.can_trace() && of(Mark::Missing) + of(Mark::Degraded) == 0 => {
            "State transitions can be traced, and nothing is missing.".to_owned()
        }
        _ if probe.can_trace() => format!(
            "State transitions can be traced, with the losses named above: {} missing, {} degraded.",
            of(Mark::Missing),
            of(Mark::Degraded)
        ),
        (Err(error), _) => format!("State transitions cannot be traced: {error}."),
        (_, Some(Err(LoadError::Permission(_)))) => {
            "State transitions cannot be traced by this user. Run `tcp-tracer doctor` as root to see what this kernel \
             offers."
                .to_owned()
        }
        (_, Some(Err(error))) => format!("State transitions cannot be traced: {error}."),
        _ => "State transitions cannot be traced.".to_owned(),
    }
}

fn privileges(probe: &Probe) -> Vec<Check> {
    let privileges = probe.privileges;
    let user = match privileges.euid {
        0 => check(PRIVILEGES, "user", Mark::Ok, "root"),
        euid => check(PRIVILEGES, "user", Mark::Info, format!("not root (effective user id {euid})")),
    };
    let capabilities = CAPABILITIES.into_iter().map(|capability| {
        let mark = match privileges.capabilities {
            None => Mark::Unknown,
            Some(_) if privileges.has(capability) => Mark::Ok,
            Some(_) if capability.needed => Mark::Missing,
            Some(_) => Mark::Info,
        };
        check(PRIVILEGES, capability.name, mark, capability.purpose)
    });
    std::iter::once(user).chain(capabilities).collect()
}

fn kernel(probe: &Probe) -> Vec<Check> {
    let mut checks = Vec::new();
    let name = "type information (BTF)";
    match &probe.types {
        Ok(types) => {
            checks.push(check(KERNEL, name, Mark::Ok, "every required field is found by name"));
            checks.push(reset_reasons(types));
        }
        Err(error) => {
            checks.push(
                check(KERNEL, name, Mark::Missing, error.to_string()).note("Without it nothing is traced."),
            );
        }
    }
    if let Ok(types) = &probe.types
        && types.missing.iter().any(|field| field.loss.is_none())
        && let Some(found) = checks.first_mut()
    {
        found.mark = Mark::Missing;
        found.text = "a required field is not where it should be; see the fields below".to_owned();
    }
    if let Some(Ok(trial)) = &probe.trial {
        checks.push(if trial.has_cookies {
            check(KERNEL, "socket cookies", Mark::Ok, "name a socket for life")
        } else {
            check(KERNEL, "socket cookies", Mark::Degraded, "this kernel gives tracing programs none")
                .note("Sockets are told apart by address, which the kernel uses again. Linux has them from 5.12 on.")
        });
    }
    let hidden: Vec<_> = probe.symbols.iter().filter(|(_, found)| !found).map(|(name, _)| *name).collect();
    let name = "addresses in kallsyms";
    checks.push(if hidden.is_empty() {
        check(KERNEL, name, Mark::Ok, "the timer handlers of minisockets are found")
    } else {
        check(KERNEL, name, Mark::Missing, format!("hidden or not there: {}", hidden.join(", ")))
            .note(without_hook(Hook::TimerStart))
            .note("CAP_SYSLOG and kernel.kptr_restrict below 2 show them.")
    });
    checks.push(callers(probe));
    checks.extend(namespaces(probe));
    checks.push(match probe.jit.as_deref() {
        Some("0") => check(KERNEL, "BPF compiler (JIT)", Mark::Degraded, "off: programs are interpreted")
            .note("Each event costs several times as much; `sysctl net.core.bpf_jit_enable=1` turns it on."),
        Some(_) => check(KERNEL, "BPF compiler (JIT)", Mark::Ok, "on"),
        None => {
            check(KERNEL, "BPF compiler (JIT)", Mark::Unknown, "only root can read net.core.bpf_jit_enable")
        }
    });
    checks.push(match probe.stats_enabled.as_deref() {
        Some("0") => check(
            KERNEL,
            "run time statistics",
            Mark::Info,
            "off: the cost of the programs is not measured",
        )
        .note("`sysctl kernel.bpf_stats_enabled=1` measures it, at the price of two clock reads per event."),
        Some(_) => {
            check(KERNEL, "run time statistics", Mark::Info, "on: each event costs two clock reads more")
        }
        None => {
            check(KERNEL, "run time statistics", Mark::Unknown, "kernel.bpf_stats_enabled cannot be read")
        }
    });
    checks.push(check(
        KERNEL,
        "lockdown",
        Mark::Info,
        probe.lockdown.clone().unwrap_or_else(|| "/sys/kernel/security/lockdown is not there".to_owned()),
    ));
    checks.push(check(
        KERNEL,
        "function hooks (fentry)",
        Mark::Info,
        "not tried: the agent does not use them yet",
    ));
    let limit = probe.memlock.map_or("unlimited".to_owned(), |bytes| format!("{} KiB", bytes / 1024));
    checks.push(
        check(KERNEL, "locked memory", Mark::Info, limit)
            .note("Matters up to Linux 5.10 only; newer kernels charge BPF memory to the cgroup."),
    );
    checks
}

fn reset_reasons(types: &TypeFacts) -> Check {
    match types.reset_reasons {
        0 => check(KERNEL, "reset reasons", Mark::Degraded, "this kernel does not say why it sends a reset")
            .note("Some causes of a close cannot be told apart and are inconclusive. Linux says it from 6.12 on."),
        reasons => check(KERNEL, "reset reasons", Mark::Ok, format!("the kernel tells {reasons} reasons apart")),
    }
}

/// Whether the kernel's stack can say why a minisocket ended early.
fn callers(probe: &Probe) -> Check {
    let unknown: Vec<_> = probe.callers.iter().filter(|(_, found)| !found).map(|(name, _)| *name).collect();
    let name = "causes of early ends";
    if unknown.is_empty() {
        return check(KERNEL, name, Mark::Ok, "the functions that end minisockets are found");
    }
    check(KERNEL, name, Mark::Degraded, format!("not found: {}", unknown.join(", ")))
        .note("Where one of these ends a TIME_WAIT or a half-open request early, the cause stays unknown.")
}

fn namespaces(probe: &Probe) -> Vec<Check> {
    let found = probe.namespaces;
    let mut checks = vec![check(KERNEL, "network namespaces", Mark::Info, format!("{found} found"))];
    if let Some(Ok(Trial { listed: Some(listed), .. })) = &probe.trial {
        let mark = if listed.problems.is_empty() { Mark::Ok } else { Mark::Degraded };
        let Listed { lister, sockets, namespaces, .. } = listed;
        let text = format!("{sockets} listed by {lister}; network namespaces listed: {namespaces}");
        let mut existing = check(KERNEL, "existing sockets", mark, text);
        existing.notes.extend(listed.problems.iter().take(3).cloned());
        if let Some(more) = listed.problems.len().checked_sub(3).filter(|more| *more > 0) {
            existing = existing.note(format!("... and {more} more."));
        }
        checks.push(existing);
    }
    checks
}

fn hooks(probe: &Probe) -> Vec<Check> {
    let Ok(types) = &probe.types else { return Vec::new() };
    let each = types.hooks.iter().map(|&(hook, exists)| {
        let name = if hook == Hook::Snapshot { "what exists already" } else { hook.name() };
        match &probe.trial {
            _ if !exists => {
                check(HOOKS, name, Mark::Missing, "this kernel does not have it").note(without_hook(hook))
            }
            Some(Ok(trial)) => tried(name, hook, trial),
            Some(Err(LoadError::Permission(_))) => {
                check(HOOKS, name, Mark::Unknown, "the kernel has it; attaching needs root")
            }
            _ => check(
                HOOKS,
                name,
                Mark::Unknown,
                "the kernel has it; not tried, since nothing could be loaded",
            ),
        }
    });
    let mut checks: Vec<_> = each.collect();
    if let Some(Ok(trial)) = &probe.trial {
        checks.push(late_fin(trial));
    }
    if let Some(Err(error)) = &probe.trial {
        let mut text = error.to_string();
        if let Some(source) = error.source().map(ToString::to_string).filter(|source| !text.contains(source))
        {
            text = format!("{text}: {source}");
        }
        checks.insert(0, check(HOOKS, "loading", Mark::Missing, text));
    }
    checks
}

/// The one fact without a tracepoint.
fn late_fin(trial: &Trial) -> Check {
    let name = "late FIN of an orphan";
    match &trial.sweep_problem {
        None => check(HOOKS, name, Mark::Ok, "read by a sweep (iter)").note(
            "No hook tells when the peer's FIN turns an orphan's FIN_WAIT2 minisocket into TIME_WAIT. Where such \
             minisockets exist, the agent looks for it every second, or less often where that would take more than 1 % \
             of a CPU; until then they count as fin_wait2_minisockets. A function hook could tell it at once; the \
             agent uses none yet.",
        ),
        Some(problem) => check(HOOKS, name, Mark::Degraded, problem.clone()).note(
            "When the peer's FIN turns an orphan's FIN_WAIT2 minisocket into TIME_WAIT is noticed only when the \
             minisocket ends.",
        ),
    }
}

fn tried(name: &str, hook: Hook, trial: &Trial) -> Check {
    let Some(status) = trial.hooks.iter().find(|status| status.hook == hook) else {
        return check(HOOKS, name, Mark::Unknown, "not tried");
    };
    let done = match status.kind {
        Kind::TpBtf => "loads and attaches",
        Kind::Iter => "iter/tcp loads",
        Kind::Netlink => "listed by sock_diag",
    };
    let copies = match status.copies {
        1 => String::new(),
        copies => format!(", {copies} copies"),
    };
    match &status.problem {
        None => check(HOOKS, name, Mark::Ok, format!("{done} ({}{copies})", status.kind.name())),
        Some(problem) if status.copies > 0 => {
            check(HOOKS, name, Mark::Degraded, format!("{done}, only {} of the copies", status.copies))
                .note(problem.clone())
                .note("Events that interrupt the program are lost; they are counted, and inconclusive.")
        }
        Some(problem) => check(HOOKS, name, Mark::Missing, problem.clone()).note(without_hook(hook)),
    }
}

fn fields(probe: &Probe) -> Vec<Check> {
    let Ok(types) = &probe.types else { return Vec::new() };
    if types.missing.is_empty() {
        let all = format!("all {} are there", tracer_ebpf::FIELDS.len());
        return vec![check(FIELDS, "kernel fields", Mark::Ok, all)];
    }
    let mut checks: Vec<Check> = Vec::new();
    for MissingField { source, loss } in &types.missing {
        let name = format!("{}.{}", source.container, source.path);
        let (mark, loss) = match loss {
            Some(loss) => (Mark::Degraded, *loss),
            None => (
                Mark::Missing,
                "Without it nothing is traced; please report it with the output of `uname -a`.",
            ),
        };
        // Fields whose loss costs the same belong together.
        match checks.iter_mut().find(|check| check.mark == mark && check.text == loss) {
            Some(same) => same.name = format!("{}, {name}", same.name),
            None => checks.push(check(FIELDS, name, mark, loss)),
        }
    }
    checks
}

fn settings(probe: &Probe) -> Vec<Check> {
    let each = probe.sysctls.iter().map(|(sysctl, value)| {
        let Some(value) = value else {
            return check(
                SETTINGS,
                sysctl.name,
                Mark::Info,
                format!("not on this kernel ({})", sysctl.effect),
            );
        };
        let text = format!("{value} ({})", sysctl.effect);
        match sysctl.default {
            Some(default) if sysctl.differs(value) => check(SETTINGS, sysctl.name, Mark::Changed, text)
                .note(format!("The kernel's default is {default}.")),
            Some(_) => check(SETTINGS, sysctl.name, Mark::Ok, text),
            None => check(SETTINGS, sysctl.name, Mark::Info, text),
        }
    });
    each.collect()
}
