//! What the running kernel offers, found out by asking it and by trying, never by its version.

use std::{fs, io};

use rustix::process::{Resource, getrlimit};
use tracer_ebpf::{CALLER_FUNCTIONS, FIELDS, Hook, Source};

use super::{
    btf::{BtfError, Types},
    evidence, kallsyms,
    load::{Attached, HookStatus, LoadError, Options},
    netns,
    privileges::Privileges,
};

/// Everything that was found out.
#[derive(Debug)]
pub struct Probe {
    /// `uname -r`.
    pub release: String,
    /// `uname -m`.
    pub machine: String,
    /// Who asks.
    pub privileges: Privileges,
    /// What the kernel's BTF says.
    pub types: Result<TypeFacts, BtfError>,
    /// What became of loading and attaching for real; `None` when there was no BTF to try with.
    pub trial: Option<Result<Trial, LoadError>>,
    /// The timer handlers, and whether `/proc/kallsyms` tells their addresses.
    pub symbols: Vec<(&'static str, bool)>,
    /// The functions that end minisockets early, and whether `/proc/kallsyms` tells their addresses.
    pub callers: Vec<(&'static str, bool)>,
    /// Network namespaces that the agent finds.
    pub namespaces: usize,
    /// The mode of `/sys/kernel/security/lockdown`; `None` where there is no such file.
    pub lockdown: Option<String>,
    /// `net.core.bpf_jit_enable`; `None` when it cannot be read.
    pub jit: Option<String>,
    /// `kernel.bpf_stats_enabled`; `None` when it cannot be read.
    pub stats_enabled: Option<String>,
    /// `RLIMIT_MEMLOCK`, bytes; `None`: without limit.
    pub memlock: Option<u64>,
    /// [`SYSCTLS`] of the agent's own network namespace, with their values; `None` where this kernel has none.
    pub sysctls: Vec<(&'static Sysctl, Option<String>)>,
}

/// What the BTF of a kernel says.
#[derive(Debug)]
pub struct TypeFacts {
    /// Hooks whose tracepoint or iterator exists.
    pub hooks: Vec<(Hook, bool)>,
    /// Fields that this kernel lacks.
    pub missing: Vec<MissingField>,
    /// Reasons in `enum sk_rst_reason`; 0 where the kernel has no such enum.
    pub reset_reasons: usize,
}

/// A field that this kernel lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingField {
    /// Where it would be.
    pub source: Source,
    /// What is lost; `None` when nothing can be traced without it.
    pub loss: Option<&'static str>,
}

/// The programs were loaded and attached, and are gone again.
#[derive(Debug)]
pub struct Trial {
    /// What became of each hook.
    pub hooks: Vec<HookStatus>,
    /// False on kernels that give tracing programs no socket cookies.
    pub has_cookies: bool,
    /// Why there is no sweep for late FINs; `None`: there is one.
    pub sweep_problem: Option<String>,
    /// Sockets that were listed; `None` when nothing can list them.
    pub listed: Option<Listed>,
}

/// Sockets that exist already.
#[derive(Debug)]
pub struct Listed {
    /// By what.
    pub lister: &'static str,
    /// Sockets of all kinds.
    pub sockets: usize,
    /// Namespaces that could be listed.
    pub namespaces: usize,
    /// What went wrong with others.
    pub problems: Vec<String>,
}

impl Probe {
    /// Asks and tries. Attaches every hook for an instant; nothing stays.
    #[must_use]
    pub fn new() -> Self {
        let types = Types::of_running_kernel();
        let trial = types.as_ref().ok().map(try_out);
        let uname = rustix::system::uname();
        let handlers = ["tw_timer_handler", "reqsk_timer_handler"];
        let callers = CALLER_FUNCTIONS.map(|(function, _)| function);
        Self {
            release: uname.release().to_string_lossy().into_owned(),
            machine: uname.machine().to_string_lossy().into_owned(),
            privileges: Privileges::of_this_thread(),
            types: types.map(|types| TypeFacts::new(&types)),
            trial,
            symbols: found(handlers),
            callers: found(callers),
            namespaces: netns::everywhere().len(),
            lockdown: read("/sys/kernel/security/lockdown").and_then(|text| lockdown_mode(&text)),
            jit: read("/proc/sys/net/core/bpf_jit_enable"),
            stats_enabled: read("/proc/sys/kernel/bpf_stats_enabled"),
            memlock: getrlimit(Resource::Memlock).current,
            sysctls: SYSCTLS
                .iter()
                .map(|sysctl| (sysctl, read(&format!("/proc/sys/net/ipv4/{}", sysctl.name))))
                .collect(),
        }
    }

    /// True when state transitions arrive.
    #[must_use]
    pub fn can_trace(&self) -> bool {
        matches!(&self.trial, Some(Ok(trial)) if trial.hooks.iter().any(|status| status.hook == Hook::State && status.copies > 0))
    }
}

/// Which of these functions `/proc/kallsyms` tells.
fn found<const N: usize>(functions: [&'static str; N]) -> Vec<(&'static str, bool)> {
    let addresses = kallsyms::addresses(functions).unwrap_or([None; N]);
    functions.into_iter().zip(addresses.map(|address| address.is_some())).collect()
}

impl Default for Probe {
    fn default() -> Self {
        Self::new()
    }
}

impl TypeFacts {
    fn new(types: &Types) -> Self {
        let exists = |hook: Hook| match hook {
            // By sock_diag, if not by an iterator; which is tried.
            Hook::Snapshot => true,
            _ => types.tracepoint_arguments(hook.name()).is_some(),
        };
        let missing = FIELDS
            .iter()
            .filter(|(_, source)| types.offset(source).is_none())
            .map(|(field, source)| MissingField { source: *source, loss: evidence::without_field(*field) });
        Self {
            hooks: Hook::ALL.into_iter().map(|hook| (hook, exists(hook))).collect(),
            missing: missing.collect(),
            reset_reasons: types.enum_values("sk_rst_reason", "").len(),
        }
    }
}

fn try_out(types: &Types) -> Result<Trial, LoadError> {
    // Small, since what arrives during the trial is thrown away.
    let options = Options { ring_bytes: 1 << 20, ..Options::default() };
    let (mut attached, ring) = Attached::new(types, options)?;
    drop(ring);
    let listed = attached.lister.as_ref().map(|lister| {
        let snapshot = lister.list(None);
        Listed {
            lister: lister.name(),
            sockets: snapshot.records.len() / tracer_ebpf::Record::SIZE,
            namespaces: snapshot.namespaces.len(),
            problems: snapshot.problems.iter().map(ToString::to_string).collect(),
        }
    });
    let has_cookies = attached.has_cookies;
    let sweep_problem = attached.sweep.as_ref().err().cloned();
    Ok(Trial { hooks: std::mem::take(&mut attached.hooks), has_cookies, sweep_problem, listed })
}

/// A setting that changes what Linux's TCP does, and so what the model is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sysctl {
    /// Its name under `net.ipv4`.
    pub name: &'static str,
    /// The kernel's default; `None` where that depends on the machine.
    pub default: Option<&'static str>,
    /// What it governs.
    pub effect: &'static str,
}

const fn sysctl(name: &'static str, default: &'static str, effect: &'static str) -> Sysctl {
    Sysctl { name, default: Some(default), effect }
}

/// The settings that change what Linux's TCP does (Documentation/networking/ip-sysctl.rst).
pub const SYSCTLS: [Sysctl; 13] = [
    sysctl("tcp_fin_timeout", "60", "seconds that FIN_WAIT2 lasts once nobody holds the socket"),
    sysctl("tcp_tw_reuse", "2", "whether connect() may take over a TIME_WAIT: 0 no, 1 yes, 2 on loopback"),
    Sysctl {
        name: "tcp_max_tw_buckets",
        default: None,
        effect: "TIME_WAIT minisockets per namespace; what exceeds it skips TIME_WAIT",
    },
    sysctl("tcp_rfc1337", "0", "1: a reset does not end TIME_WAIT"),
    sysctl(
        "tcp_syncookies",
        "1",
        "1: cookies when the SYN queue is full; 2: always, so no handshake is timed",
    ),
    sysctl("tcp_syn_retries", "6", "SYNs sent again before a connect() times out"),
    sysctl("tcp_synack_retries", "5", "SYN,ACKs sent again before a half-open request is dropped"),
    sysctl("tcp_retries2", "15", "retransmissions before an open connection times out"),
    sysctl("tcp_orphan_retries", "0", "the same once nobody holds the socket; 0 stands for 8"),
    sysctl("tcp_abort_on_overflow", "0", "1: a full accept queue answers with a reset"),
    sysctl("tcp_fastopen", "1", "bits: 1 client, 2 server, 4 and more without a cookie"),
    sysctl("tcp_timestamps", "1", "0: no reuse of TIME_WAIT, no protection from old segments"),
    sysctl("tcp_migrate_req", "0", "1: requests of a closed listener move to another one on its port"),
];

impl Sysctl {
    /// True when the value is known not to be the kernel's default.
    #[must_use]
    pub fn differs(&self, value: &str) -> bool {
        self.default.is_some_and(|default| default != value)
    }
}

/// A file's text without its last newline; `None` when it cannot be read.
fn read(path: &str) -> Option<String> {
    let text: io::Result<String> = fs::read_to_string(path);
    text.ok().map(|text| text.trim_end().to_owned())
}

/// The mode in brackets: `none [integrity] confidentiality`.
fn lockdown_mode(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    let (mode, _) = rest.split_once(']')?;
    Some(mode.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{SYSCTLS, lockdown_mode};

    #[test]
    fn the_mode_of_lockdown_stands_in_brackets() {
        assert_eq!(lockdown_mode("none [integrity] confidentiality\n").as_deref(), Some("integrity"));
        assert_eq!(lockdown_mode("[none] integrity confidentiality").as_deref(), Some("none"));
        assert_eq!(lockdown_mode(""), None);
    }

    #[test]
    fn a_setting_without_a_fixed_default_never_differs() {
        let named = |name| SYSCTLS.iter().find(|sysctl| sysctl.name == name).unwrap();
        assert!(named("tcp_fin_timeout").differs("30") && !named("tcp_fin_timeout").differs("60"));
        assert!(!named("tcp_max_tw_buckets").differs("4096"));
    }
}
