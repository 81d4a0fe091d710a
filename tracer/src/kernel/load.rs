//! Loads the programs with what the running kernel says of itself, and attaches every hook that it has.

use std::{
    fs::File,
    os::fd::{AsFd, AsRawFd},
    sync::Arc,
};

use aya::{
    Btf, Ebpf, EbpfError, EbpfLoader, VerifierLogLevel,
    maps::{Array, MapData, PerCpuArray, RingBuf},
    programs::{BtfTracePoint, Iter, ProgramError},
};
use tracer_ebpf::{
    ACKED_BIT_GLOBAL, ASLEEP_MAP, CALLER_FUNCTIONS, CALLERS_GLOBAL, COPIES, COPIES_GLOBAL, COUNTS_MAP,
    FASTOPEN_CONNECT_BIT_GLOBAL, HAS_COOKIES_GLOBAL, Hook, OFFSETS_GLOBAL, ORPHANS_MAP, REPAIR_BIT_GLOBAL,
    REQUEST_TIMER_GLOBAL, RING_MAP, SYN_DATA_BIT_GLOBAL, TIMEWAIT_TIMER_GLOBAL, WAKEUP_GLOBAL,
};

use super::{
    btf::{BtfError, Types},
    iter::BpfIter,
    kallsyms,
    listing::Lister,
    ring::RingMaps,
};
use crate::{decode, tracker::Hooks};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tracer-ebpf"));

/// What the user may choose about the kernel side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Size of the ring, bytes: a power of two and a multiple of the page size.
    pub ring_bytes: u32,
    /// Copies of each handler, 1 to [`COPIES`]; `None`: as many as this kernel's way of nesting asks for.
    pub copies: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self { ring_bytes: 32 << 20, copies: None }
    }
}

/// Why nothing can be traced.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The kernel's types.
    #[error(transparent)]
    Types(#[from] BtfError),
    /// aya could not use the kernel's BTF.
    #[error("the kernel's BTF cannot be used: {0}")]
    Btf(#[from] aya::BtfError),
    /// Not allowed.
    #[error(
        "the kernel refuses to load BPF programs for this user ({0}); run the agent as root, or give it CAP_BPF, \
         CAP_PERFMON, CAP_SYSLOG and CAP_SYS_ADMIN"
    )]
    Permission(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The kernel refused the object.
    #[error("the BPF object cannot be loaded: {}", chain(.0))]
    Load(#[source] Box<EbpfError>),
    /// The hook without which there is no tracing.
    #[error("cannot attach to the tracepoint {}: {}", .hook.name(), chain(.source))]
    Attach {
        /// Which.
        hook: Hook,
        /// What the kernel said.
        source: Box<ProgramError>,
    },
    /// The object does not hold what the agent expects: a build from two versions.
    #[error("the embedded BPF object has no {0}: the build is broken, build again from a clean tree")]
    Incomplete(&'static str),
    /// A map could not be opened.
    #[error("the BPF map {name} cannot be used: {source}")]
    Map {
        /// Which.
        name: &'static str,
        /// What aya said.
        source: aya::maps::MapError,
    },
}

/// An error with all its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        cause = inner.source();
    }
    text
}

/// How a hook is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// BTF-typed tracepoint.
    TpBtf,
    /// BPF iterator.
    Iter,
    /// Asked for by netlink (`sock_diag`).
    Netlink,
}

impl Kind {
    /// The metrics' label value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TpBtf => "tp_btf",
            Self::Iter => "iter",
            Self::Netlink => "netlink",
        }
    }
}

/// What became of one hook.
#[derive(Clone, Debug)]
pub struct HookStatus {
    /// Which.
    pub hook: Hook,
    /// How it attaches.
    pub kind: Kind,
    /// Copies attached; 0: the hook is missing.
    pub copies: u32,
    /// Why it is missing, or why fewer copies than asked for.
    pub problem: Option<String>,
}

/// A program in the kernel, for its own statistics.
#[derive(Debug)]
pub struct Loaded {
    /// Name, as in `bpftool prog`.
    pub name: String,
    /// The hook it serves.
    pub hook: Hook,
    /// Which copy.
    pub copy: u32,
    /// What the kernel says of it (`/proc/self/fdinfo`), opened once: it is read every second.
    pub info: Option<File>,
}

/// The kernel side, attached. Dropping it detaches everything.
pub struct Attached {
    /// Keeps programs and links alive.
    pub ebpf: Ebpf,
    /// Every hook, attached or not.
    pub hooks: Vec<HookStatus>,
    /// Every program that is attached to a tracepoint.
    pub programs: Vec<Loaded>,
    /// What the decoder has to know.
    pub kernel: decode::Kernel,
    /// Per-CPU counts of the programs.
    pub counts: PerCpuArray<MapData, u64>,
    /// Offsets that were resolved, in the order of [`tracer_ebpf::FIELDS`].
    pub offsets: Vec<u32>,
    /// Lists the sockets that exist; `None`: see the problem of [`Hook::Snapshot`].
    pub lister: Option<Arc<Lister>>,
    /// Looks for late FINs, or why not.
    pub sweep: Result<Arc<BpfIter>, String>,
    /// False on kernels that give tracing programs no socket cookies: sockets are told apart by address then.
    pub has_cookies: bool,
}

impl Attached {
    /// True when the hook delivers.
    #[must_use]
    pub fn has(&self, hook: Hook) -> bool {
        self.hooks.iter().any(|status| status.hook == hook && status.copies > 0)
    }

    /// The hooks that deliver.
    #[must_use]
    pub fn visible(&self) -> Hooks {
        self.hooks.iter().filter(|status| status.copies > 0).map(|status| status.hook).collect()
    }

    /// Attaches everything that this kernel has.
    ///
    /// # Errors
    ///
    /// [`LoadError`] when state transitions cannot be traced; anything less is a problem in [`Attached::hooks`].
    pub fn new(types: &Types, options: Options) -> Result<(Self, RingMaps), LoadError> {
        let symbols = Symbols::read();
        let btf = Btf::from_sys_fs()?;
        let settings = Settings {
            offsets: types.offsets()?,
            // u64::MAX is no function: it keeps a timer without a function out.
            timewait_timer: symbols.timewait_timer.unwrap_or(u64::MAX),
            request_timer: symbols.request_timer.unwrap_or(u64::MAX),
            wakeup: u64::from(options.ring_bytes / 16).min(1 << 20),
            copies: options.copies.unwrap_or_else(|| symbols.copies()).clamp(1, COPIES).into(),
            has_cookies: 1,
            callers: symbols.callers,
            acked_bit: types.bit_field("inet_request_sock", "acked").map_or(u64::MAX, u64::from),
            repair_bit: types.bit_field("tcp_sock", "repair").map_or(u64::MAX, u64::from),
            fastopen_connect_bit: types.bit_field("tcp_sock", "fastopen_connect").map_or(u64::MAX, u64::from),
            syn_data_bit: types.bit_field("tcp_sock", "syn_data").map_or(u64::MAX, u64::from),
        };
        let plans = plans(types, &symbols);
        match Self::attach(&settings, &plans, options.ring_bytes, &btf, types) {
            // Before 5.12 tracing programs get no socket cookies.
            Err(LoadError::Attach { source, .. }) if chain(&source).contains("bpf_get_socket_cookie") => {
                Self::attach(
                    &Settings { has_cookies: 0, ..settings },
                    &plans,
                    options.ring_bytes,
                    &btf,
                    types,
                )
            }
            attached => attached,
        }
    }

    fn attach(
        settings: &Settings,
        plans: &[Plan],
        ring_bytes: u32,
        btf: &Btf,
        types: &Types,
    ) -> Result<(Self, RingMaps), LoadError> {
        let Settings { offsets, timewait_timer, request_timer, wakeup, copies, has_cookies, .. } = settings;
        let mut ebpf = EbpfLoader::new()
            .btf(Some(btf))
            .verifier_log_level(VerifierLogLevel::STATS)
            .override_global(OFFSETS_GLOBAL, offsets.as_slice(), true)
            .override_global(TIMEWAIT_TIMER_GLOBAL, timewait_timer, true)
            .override_global(REQUEST_TIMER_GLOBAL, request_timer, true)
            .override_global(COPIES_GLOBAL, copies, true)
            .override_global(WAKEUP_GLOBAL, wakeup, true)
            .override_global(HAS_COOKIES_GLOBAL, has_cookies, true)
            .override_global(CALLERS_GLOBAL, settings.callers.as_flattened(), true)
            .override_global(ACKED_BIT_GLOBAL, &settings.acked_bit, true)
            .override_global(REPAIR_BIT_GLOBAL, &settings.repair_bit, true)
            .override_global(FASTOPEN_CONNECT_BIT_GLOBAL, &settings.fastopen_connect_bit, true)
            .override_global(SYN_DATA_BIT_GLOBAL, &settings.syn_data_bit, true)
            .map_max_entries(RING_MAP, ring_bytes)
            .load(OBJECT)
            .map_err(refused)?;

        // All are loaded before the first is attached: until the last copy of a hook is, nested events are lost.
        let loaded = plans
            .iter()
            .map(|plan| load_copies(&mut ebpf, btf, plan, *copies))
            .collect::<Result<Vec<_>, _>>()?;
        let mut hooks = Vec::new();
        let mut programs = Vec::new();
        for (mut status, names) in loaded {
            for (copy, name) in (0..).zip(names) {
                match attach(&mut ebpf, &name) {
                    Ok(info) => {
                        status.copies += 1;
                        programs.push(Loaded { name, hook: status.hook, copy, info });
                    }
                    Err(source) => {
                        status.problem = Some(tolerable(&status, source)?);
                        break;
                    }
                }
            }
            hooks.push(status);
        }
        let has_cookies = *has_cookies == 1;
        let lister = if has_cookies { Ok(Lister::SockDiag) } else { iterator_of_sockets(&mut ebpf, btf) };
        hooks.push(status_of(&lister));
        let sweep = sweep(&mut ebpf, btf).map(Arc::new).map_err(|error| chain(&error));

        let asleep = Array::try_from(ebpf.take_map(ASLEEP_MAP).ok_or(LoadError::Incomplete(ASLEEP_MAP))?)
            .map_err(|source| LoadError::Map { name: ASLEEP_MAP, source })?;
        let records = RingBuf::try_from(ebpf.take_map(RING_MAP).ok_or(LoadError::Incomplete(RING_MAP))?)
            .map_err(|source| LoadError::Map { name: RING_MAP, source })?;
        let counts =
            PerCpuArray::try_from(ebpf.take_map(COUNTS_MAP).ok_or(LoadError::Incomplete(COUNTS_MAP))?)
                .map_err(|source| LoadError::Map { name: COUNTS_MAP, source })?;
        let kernel = types.for_decoder();
        let offsets = offsets.clone();
        let lister = lister.ok().map(Arc::new);
        Ok((
            Self { ebpf, hooks, programs, kernel, counts, offsets, lister, sweep, has_cookies },
            RingMaps { records, asleep },
        ))
    }
}

impl std::fmt::Debug for Attached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attached").field("hooks", &self.hooks).finish_non_exhaustive()
    }
}

fn refused(error: EbpfError) -> LoadError {
    if is_permission(&error) {
        LoadError::Permission(Box::new(error))
    } else {
        LoadError::Load(Box::new(error))
    }
}

/// The state hook cannot be attached. The verifier says EACCES as well, but never without a reason.
fn unattached(hook: Hook, error: ProgramError) -> LoadError {
    let verifier_said = match &error {
        ProgramError::LoadError { verifier_log, .. } => verifier_log.to_string(),
        _ => String::new(),
    };
    if verifier_said.trim().is_empty() && is_permission(&error) {
        return LoadError::Permission(Box::new(error));
    }
    LoadError::Attach { hook, source: Box::new(error) }
}

fn is_permission(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::PermissionDenied)
    })
}

/// The kernel symbols that matter.
struct Symbols {
    timewait_timer: Option<u64>,
    request_timer: Option<u64>,
    /// Tracepoints run under SRCU-fast.
    has_preemptible_tracepoints: bool,
    /// Start, end and number of each of [`CALLER_FUNCTIONS`].
    callers: [[u64; 3]; CALLER_FUNCTIONS.len()],
}

impl Symbols {
    fn read() -> Self {
        const OWN: [&str; 5] = [
            "tw_timer_handler",
            "reqsk_timer_handler",
            "tracepoint_srcu",
            "init_srcu_struct_fast",
            "__init_srcu_struct_fast",
        ];
        let names: [&str; OWN.len() + CALLER_FUNCTIONS.len()] =
            std::array::from_fn(|place| match place.checked_sub(OWN.len()) {
                Some(place) => CALLER_FUNCTIONS[place].0,
                None => OWN[place],
            });
        let found = kallsyms::functions(names).unwrap_or([const { None }; _]);
        let address = |place: usize| found[place].as_ref().map(|function| function.start);
        let mut callers = [[0; 3]; CALLER_FUNCTIONS.len()];
        for ((range, (_, caller)), function) in
            callers.iter_mut().zip(CALLER_FUNCTIONS).zip(&found[OWN.len()..])
        {
            let function = function.clone().unwrap_or_default();
            *range = [function.start, function.end, caller as u64];
        }
        // Up to 6.12 there is a `tracepoint_srcu` as well, for the tracepoints of idle code alone; SRCU-fast is younger.
        let has_srcu_fast = address(3).or(address(4)).is_some();
        Self {
            timewait_timer: address(0),
            request_timer: address(1),
            has_preemptible_tracepoints: address(2).is_some() && has_srcu_fast,
            callers,
        }
    }

    /// Where tracepoints run under SRCU their programs can be preempted, and nest deeper than task and softirq.
    fn copies(&self) -> u32 {
        if self.has_preemptible_tracepoints { COPIES } else { 2 }
    }
}

/// What the programs are told before they are loaded.
struct Settings {
    offsets: Vec<u32>,
    timewait_timer: u64,
    request_timer: u64,
    wakeup: u64,
    copies: u64,
    has_cookies: u64,
    callers: [[u64; 3]; CALLER_FUNCTIONS.len()],
    acked_bit: u64,
    repair_bit: u64,
    syn_data_bit: u64,
    fastopen_connect_bit: u64,
}

/// What to attach for one hook.
struct Plan {
    hook: Hook,
    program: &'static str,
    /// Why this kernel cannot serve the hook.
    problem: Option<String>,
}

/// The programs that fit this kernel, decided by its BTF and symbols, never by its version.
fn plans(types: &Types, symbols: &Symbols) -> Vec<Plan> {
    // Since 6.12 the tracepoint says why.
    let send_reset = match types.tracepoint_arguments(Hook::SendReset.name()) {
        Some(arguments) if arguments >= 3 => "send_reset_reason",
        _ => "send_reset",
    };
    let mut plans = Vec::new();
    for (hook, program) in [
        (Hook::Destroy, "destroy"),
        (Hook::ReceiveReset, "receive_reset"),
        (Hook::SendReset, send_reset),
        (Hook::Retransmit, "retransmit"),
        (Hook::RetransmitSynack, "retransmit_synack"),
        (Hook::TimerStart, "timer_start"),
        (Hook::TimerCancel, "timer_cancel"),
        (Hook::TimerExpire, "timer_expire"),
        // Last: from the first transition on, what explains it (a minisocket, a reset) has been seen.
        (Hook::State, "state"),
    ] {
        let problem = if types.tracepoint_arguments(hook.name()).is_none() {
            Some(format!("this kernel has no tracepoint {}", hook.name()))
        } else if is_timer(hook) && symbols.timewait_timer.is_none() && symbols.request_timer.is_none() {
            Some("/proc/kallsyms hides tw_timer_handler and reqsk_timer_handler (CAP_SYSLOG, kernel.kptr_restrict)".into())
        } else {
            None
        };
        plans.push(Plan { hook, program, problem });
    }
    plans
}

/// True when an event of this hook may interrupt the handler of another one. A timer starts and stops with interrupts off,
/// and expires in a softirq, which is not entered twice.
const fn nests(hook: Hook) -> bool {
    !is_timer(hook)
}

const fn is_timer(hook: Hook) -> bool {
    matches!(hook, Hook::TimerStart | Hook::TimerCancel | Hook::TimerExpire)
}

/// Loads the copies of one hook's program; returns the names of those that the kernel took.
fn load_copies(
    ebpf: &mut Ebpf,
    btf: &Btf,
    plan: &Plan,
    copies: u64,
) -> Result<(HookStatus, Vec<String>), LoadError> {
    let Plan { hook, program, problem } = plan;
    let wanted = match problem {
        Some(_) => 0,
        None if nests(*hook) => copies,
        None => 1,
    };
    let mut status = HookStatus { hook: *hook, kind: Kind::TpBtf, copies: 0, problem: problem.clone() };
    let mut names = Vec::new();
    for copy in 0..wanted {
        let name = format!("{program}_{copy}");
        if let Err(source) = tracepoint(ebpf, &name).and_then(|program| program.load(hook.name(), btf)) {
            status.problem = Some(tolerable(&status, source)?);
            break;
        }
        names.push(name);
    }
    Ok((status, names))
}

/// Attaches a program; the file says what the kernel counts of it, where it tells.
fn attach(ebpf: &mut Ebpf, name: &str) -> Result<Option<File>, ProgramError> {
    let program = tracepoint(ebpf, name)?;
    program.attach()?;
    let descriptor = program.fd()?.as_fd().as_raw_fd();
    Ok(File::open(format!("/proc/self/fdinfo/{descriptor}")).ok())
}

fn tracepoint<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut BtfTracePoint, ProgramError> {
    ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?.try_into()
}

/// Any hook but that of the transitions can be done without, and the problem is said.
fn tolerable(status: &HookStatus, error: ProgramError) -> Result<String, LoadError> {
    if status.hook == Hook::State { Err(unattached(status.hook, error)) } else { Ok(chain(&error)) }
}

/// On kernels without cookies in tracing programs.
fn iterator_of_sockets(ebpf: &mut Ebpf, btf: &Btf) -> Result<Lister, ProgramError> {
    let program: &mut Iter = ebpf.program_mut("snapshot").ok_or(ProgramError::NotLoaded)?.try_into()?;
    program.load("tcp", btf)?;
    Ok(Lister::Iterator(BpfIter::new(program, None)?))
}

fn status_of(lister: &Result<Lister, ProgramError>) -> HookStatus {
    let kind = if matches!(lister, Ok(Lister::SockDiag)) { Kind::Netlink } else { Kind::Iter };
    HookStatus {
        hook: Hook::Snapshot,
        kind,
        copies: lister.is_ok().into(),
        problem: lister.as_ref().err().map(|error| chain(error)),
    }
}

fn sweep(ebpf: &mut Ebpf, btf: &Btf) -> Result<BpfIter, ProgramError> {
    let map = ebpf.map(ORPHANS_MAP).ok_or(ProgramError::NotLoaded)?;
    let aya::maps::Map::HashMap(map) = map else { return Err(ProgramError::NotLoaded) };
    let map = map.fd().as_fd().try_clone_to_owned().map_err(ProgramError::IOError)?;
    let program: &mut Iter = ebpf.program_mut("sweep").ok_or(ProgramError::NotLoaded)?.try_into()?;
    program.load("bpf_map_elem", btf)?;
    BpfIter::new(program, Some(map))
}
