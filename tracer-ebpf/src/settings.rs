//! Names of the maps and read-only globals that the agent sets before it loads the programs.

/// Changes whenever the layout or the meaning of a [`Record`](crate::Record) changes.
pub const RECORD_VERSION: u32 = 3;

/// `[u32; FIELDS.len()]`: byte offset of each kernel field, or [`MISSING`](crate::MISSING).
pub const OFFSETS_GLOBAL: &str = "OFFSETS";
/// `u64`: address of the kernel's `tw_timer_handler`, 0 where it is unknown.
pub const TIMEWAIT_TIMER_GLOBAL: &str = "TIMEWAIT_TIMER";
/// `u64`: address of the kernel's `reqsk_timer_handler`, 0 where it is unknown.
pub const REQUEST_TIMER_GLOBAL: &str = "REQUEST_TIMER";
/// `[[u64; 3]; CALLER_FUNCTIONS.len()]`: first address, address behind the last, and number of the
/// [`Caller`](crate::Caller) of each function; zeros where it is unknown.
pub const CALLERS_GLOBAL: &str = "CALLER_RANGES";
/// `u64`: bit of `inet_request_sock.acked`, counted from the start of the request, `u64::MAX` where it is unknown.
pub const ACKED_BIT_GLOBAL: &str = "ACKED_BIT";
/// `u64`: bit of `tcp_sock.repair`, counted from the start of the socket, `u64::MAX` where it is unknown.
pub const REPAIR_BIT_GLOBAL: &str = "REPAIR_BIT";
/// `u64`: bit of `tcp_sock.syn_data`, counted from the start of the socket, `u64::MAX` where it is unknown.
pub const SYN_DATA_BIT_GLOBAL: &str = "SYN_DATA_BIT";
/// `u64`: bit of `tcp_sock.fastopen_connect`, counted from the start of the socket, `u64::MAX` where it is unknown.
pub const FASTOPEN_CONNECT_BIT_GLOBAL: &str = "FASTOPEN_CONNECT_BIT";
/// `u64`: bytes that must wait in the ring before a record wakes the reader up; the reader polls as well.
pub const WAKEUP_GLOBAL: &str = "WAKEUP_BYTES";
/// `u64`: copies that are attached of each handler that can be interrupted by its own hook.
pub const COPIES_GLOBAL: &str = "ATTACHED_COPIES";
/// `u64`: 1 where tracing programs may call `bpf_get_socket_cookie` (from 5.12), else 0.
pub const HAS_COOKIES_GLOBAL: &str = "HAS_COOKIES";

/// [`Record::copy`](crate::Record::copy) of [`Hook::Snapshot`](crate::Hook::Snapshot) records that a sweep made: minisockets that have turned from
/// FIN_WAIT2 to TIME_WAIT.
pub const SWEEP_COPY: u8 = 1;

/// The ring buffer that carries [`Record`](crate::Record)s.
pub const RING_MAP: &str = "RECORDS";
/// Array with one `u32`: 1 while the reader sleeps on an empty ring, so that the next record wakes it.
pub const ASLEEP_MAP: &str = "ASLEEP";
/// Hash map from the address of a timewait minisocket to its cookie: what a sweep looks at.
pub const ORPHANS_MAP: &str = "ORPHANS";
/// Per-CPU array of `u64`, indexed by [`Hook::count_index`](crate::Hook::count_index).
pub const COUNTS_MAP: &str = "COUNTS";
