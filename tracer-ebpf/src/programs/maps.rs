//! Maps and the read-only globals that the agent sets before load.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, PerCpuArray, RingBuf},
};
use tracer_ebpf::{CALLER_FUNCTIONS, COPIES, FIELDS, Field, Hook, MISSING, Outcome};

use super::once::Recent;

/// Records on their way to the agent; the agent sets the size at load.
#[map]
pub static RECORDS: RingBuf = RingBuf::with_byte_size(16 << 20, 0);

/// 1 while the reader sleeps because the ring was empty.
#[map]
static ASLEEP: Array<u32> = Array::with_max_entries(1, 0);

#[map]
static COUNTS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Hook::COUNTS, 0);

/// Firings that a copy has handled lately, per hook.
#[map]
pub static RECENT: PerCpuArray<Recent> = PerCpuArray::with_max_entries(Hook::COUNT, 0);

/// Timewait minisockets that were FIN_WAIT2 when they were last heard of: address to cookie. The FIN that makes them
/// TIME_WAIT fires no hook, so a sweep looks at them. What finds no room here is found out when it ends.
#[map]
pub static ORPHANS: HashMap<u64, u64> = HashMap::with_max_entries(1 << 17, 0);

/// Room for the copy of one minisocket, for each program: one that is interrupted finds its own untouched.
#[map]
static MINISOCKETS: PerCpuArray<[u64; MINISOCKET_WORDS]> =
    PerCpuArray::with_max_entries(Hook::COUNT * COPIES, 0);

/// Enough for every field of a timewait socket or a request that is asked for.
pub const MINISOCKET_WORDS: usize = 40;

/// 1: a child has been cloned on this CPU, and no full socket has moved since. The request that stops now is complete.
#[map]
static CLONED: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Functions that stop minisockets' timers.
pub const CALLERS: usize = CALLER_FUNCTIONS.len();

#[unsafe(no_mangle)]
static OFFSETS: [u32; FIELDS.len()] = [MISSING; FIELDS.len()];
#[unsafe(no_mangle)]
static TIMEWAIT_TIMER: u64 = 0;
#[unsafe(no_mangle)]
static REQUEST_TIMER: u64 = 0;
#[unsafe(no_mangle)]
static CALLER_RANGES: [[u64; 3]; CALLERS] = [[0; 3]; CALLERS];
#[unsafe(no_mangle)]
static ACKED_BIT: u64 = u64::MAX;
#[unsafe(no_mangle)]
static REPAIR_BIT: u64 = u64::MAX;
#[unsafe(no_mangle)]
static SYN_DATA_BIT: u64 = u64::MAX;
#[unsafe(no_mangle)]
static FASTOPEN_CONNECT_BIT: u64 = u64::MAX;
#[unsafe(no_mangle)]
static WAKEUP_BYTES: u64 = 0;
#[unsafe(no_mangle)]
static ATTACHED_COPIES: u64 = 2;
#[unsafe(no_mangle)]
static HAS_COOKIES: u64 = 1;

/// Offset of a field. The map behind it is frozen, so for the verifier this is a constant.
#[inline(always)]
pub fn offset(field: Field) -> u32 {
    // SAFETY: in bounds, since a `Field` is an index into `FIELDS`; volatile because the loader rewrites the value.
    unsafe { core::ptr::read_volatile((&raw const OFFSETS).cast::<u32>().add(field as usize)) }
}

/// First address, address behind the last, and number of a [`Caller`](tracer_ebpf::Caller). `index` is below [`CALLERS`].
#[inline(always)]
pub fn caller(index: usize) -> [u64; 3] {
    // SAFETY: in bounds by the contract above; volatile because the loader rewrites the value.
    unsafe { core::ptr::read_volatile((&raw const CALLER_RANGES).cast::<[u64; 3]>().add(index)) }
}

/// Notes whether the full socket that has just moved is a listener's new child.
#[inline(always)]
pub fn note_clone(is_clone: bool) {
    if let Some(slot) = CLONED.get_ptr_mut(0) {
        // SAFETY: this CPU's own slot.
        unsafe { *slot = u64::from(is_clone) };
    }
}

/// True when a child has just been cloned on this CPU.
#[inline(always)]
pub fn has_cloned() -> bool {
    // SAFETY: this CPU's own slot.
    CLONED.get(0).is_some_and(|cloned| *cloned == 1)
}

macro_rules! global {
    ($(#[doc = $doc:literal])* $name:ident, $global:ident) => {
        $(#[doc = $doc])*
        #[inline(always)]
        pub fn $name() -> u64 {
            // SAFETY: a valid static; volatile because the loader rewrites the value.
            unsafe { core::ptr::read_volatile(&raw const $global) }
        }
    };
}
global!(/// Address of `tw_timer_handler`, or 0.
    timewait_timer, TIMEWAIT_TIMER);
global!(/// Address of `reqsk_timer_handler`, or 0.
    request_timer, REQUEST_TIMER);
global!(/// Bit of `inet_request_sock.acked`, counted from the start of the request, or `u64::MAX`.
    acked_bit, ACKED_BIT);
global!(/// Bit of `tcp_sock.repair`, counted from the start of the socket, or `u64::MAX`.
    repair_bit, REPAIR_BIT);
global!(/// Bit of `tcp_sock.syn_data`, counted from the start of the socket, or `u64::MAX`.
    syn_data_bit, SYN_DATA_BIT);
global!(/// Bit of `tcp_sock.fastopen_connect`, counted from the start of the socket, or `u64::MAX`.
    fastopen_connect_bit, FASTOPEN_CONNECT_BIT);
global!(/// Copies of each handler that the agent attaches, at the most.
    attached_copies, ATTACHED_COPIES);
global!(/// 1 where the kernel gives socket cookies to tracing programs.
    has_cookies, HAS_COOKIES);
global!(/// Waiting bytes from which on a record wakes the reader.
    wakeup_bytes, WAKEUP_BYTES);

/// The room for a minisocket of one program on this CPU.
#[inline(always)]
pub fn minisocket_room(hook: Hook, copy: u8) -> Option<*mut [u64; MINISOCKET_WORDS]> {
    MINISOCKETS.get_ptr_mut(hook as u32 * COPIES + u32::from(copy))
}

/// True when the reader sleeps and nobody has woken it yet. Two CPUs may do so at once, which harms nobody.
#[inline(always)]
pub fn reader_sleeps() -> bool {
    let Some(asleep) = ASLEEP.get_ptr_mut(0) else { return false };
    // SAFETY: the only entry of the map; a word is read and written whole.
    unsafe {
        if asleep.read_volatile() == 0 {
            return false;
        }
        asleep.write_volatile(0);
    }
    true
}

/// Counts one firing.
#[inline(always)]
pub fn count(hook: Hook, copy: u8, outcome: Outcome) -> u64 {
    increment(hook.count_index(u32::from(copy), outcome))
}

/// Tells the agent that something was lost.
#[inline(always)]
pub fn note_loss() {
    increment(Hook::LOSSES);
}

#[inline(always)]
fn increment(index: u32) -> u64 {
    match COUNTS.get_ptr_mut(index) {
        // SAFETY: the pointer is this CPU's own slot of the map.
        Some(slot) => unsafe {
            *slot += 1;
            *slot
        },
        None => 0,
    }
}
