//! The ABI between the eBPF programs and the agent: one definition of each constant, for both sides.
//!
//! The programs fill [`Record`]s; the agent resolves [`FIELDS`] against the running kernel's BTF before it loads
//! them, and hands the offsets over as the read-only global [`OFFSETS_GLOBAL`]. Nothing here depends on the host.
#![no_std]
#![forbid(unsafe_code)]

mod caller;
mod fields;
mod hooks;
mod record;
mod settings;
pub mod uapi;

pub use caller::{CALLER_FUNCTIONS, Caller};
pub use fields::{FIELDS, Field, MISSING, Source};
pub use hooks::{COPIES, Hook, Outcome};
pub use record::{Record, bits, fast_open, repair, request_flag};
pub use settings::{
    ACKED_BIT_GLOBAL, ASLEEP_MAP, CALLERS_GLOBAL, COPIES_GLOBAL, COUNTS_MAP, FASTOPEN_CONNECT_BIT_GLOBAL,
    HAS_COOKIES_GLOBAL, OFFSETS_GLOBAL, ORPHANS_MAP, RECORD_VERSION, REPAIR_BIT_GLOBAL, REQUEST_TIMER_GLOBAL,
    RING_MAP, SWEEP_COPY, SYN_DATA_BIT_GLOBAL, TIMEWAIT_TIMER_GLOBAL, WAKEUP_GLOBAL,
};
