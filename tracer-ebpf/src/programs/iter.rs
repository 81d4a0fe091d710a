//! `iter/tcp`: the sockets of one network namespace that exist now, minisockets included, for kernels without cookies in
//! tracing programs; and `iter/bpf_map_elem`: a sweep through watched timewait minisockets for what no hook tells of them.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_seq_write;
use tracer_ebpf::{Field, Hook, Record, SWEEP_COPY, uapi::tcp_state};

use super::{
    emit::stamp,
    kernel::{Kernel, load_or_zero},
    minisocket::{self, Copied, Head, Minisocket},
    socket::{cookie, fill, stay, tcp_sock},
};

/// `struct bpf_iter__tcp`: built by BPF_ITER_CTX, every member eight bytes wide.
#[repr(C)]
struct Context {
    meta: *const Meta,
    sock: Kernel,
}

/// The head of `struct bpf_iter_meta`.
#[repr(C)]
struct Meta {
    seq: *mut c_void,
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/tcp")]
fn snapshot(context: *mut c_void) -> i32 {
    // SAFETY: the kernel calls an iter/tcp program with this context; the verifier knows its members' types.
    let Context { meta, sock } = unsafe { context.cast::<Context>().read_volatile() };
    if sock.is_null() {
        // The call at the end of the listing.
        return 0;
    }
    let state: u8 = load_or_zero(sock, Field::State);
    let mut record = Record::EMPTY;
    stamp(&mut record, Hook::Snapshot, 0);
    let kind = match state {
        tcp_state::TIME_WAIT => Some(Minisocket::Timewait),
        tcp_state::NEW_SYN_RECV => Some(Minisocket::Request),
        _ => None,
    };
    if let Some(kind) = kind {
        fill_minisocket(&mut record, sock as u64, kind);
    } else {
        let tcp = tcp_sock(sock);
        if tcp.is_null() {
            return 0;
        }
        fill(&mut record, tcp, 0);
        stay(&mut record, state);
    }
    // Makes a cookie where there is none yet, so that later events can be joined to this snapshot.
    record.cookie = cookie(sock);
    if state == tcp_state::TIME_WAIT && record.to == tcp_state::FIN_WAIT2 {
        minisocket::watch(record.socket, record.cookie);
    }
    write(meta, &record);
    0
}

/// `struct bpf_iter__bpf_map_elem`.
#[repr(C)]
struct ElementContext {
    meta: *const Meta,
    map: *const c_void,
    key: *const u64,
    value: *const u64,
}

/// The FIN that turns an orphan's FIN_WAIT2 minisocket into TIME_WAIT fires no hook: `tcp_timewait_state_process()`
/// stores the substate, and `mod_timer()` leaves a timer alone that stays in its bucket. One record for each of
/// [`ORPHANS`] that has turned since the last sweep.
///
/// It reads memory that it holds no reference to, so what it finds there has to prove itself: the cookie is the one that
/// was noted, and the timer is a timewait minisocket's. The records say no more than that.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_map_elem")]
fn sweep(context: *mut c_void) -> i32 {
    // SAFETY: the kernel calls an iter/bpf_map_elem program with this context; the verifier knows its members' types.
    let ElementContext { meta, key, value, .. } = unsafe { context.cast::<ElementContext>().read_volatile() };
    if key.is_null() || value.is_null() {
        // The call at the end of the map.
        return 0;
    }
    // SAFETY: the map's key and value are both one word; the verifier checks the reads.
    let (address, watched) = unsafe { (key.read_volatile(), value.read_volatile()) };
    let is_same = minisocket::is_timewait(address) && minisocket::cookie(address) == watched;
    if is_same && minisocket::substate(address) != tcp_state::TIME_WAIT {
        return 0;
    }
    if is_same {
        let mut record = Record::EMPTY;
        stamp(&mut record, Hook::Snapshot, SWEEP_COPY);
        fill_minisocket(&mut record, address, Minisocket::Timewait);
        if !write(meta, &record) {
            // The buffer is full, and the kernel calls again.
            return 0;
        }
    }
    let _ = minisocket::unwatch(address);
    0
}

/// A function of its own, with a stack frame of its own: one frame has no room for the record and what it is filled from.
#[inline(never)]
fn fill_minisocket(record: &mut Record, address: u64, kind: Minisocket) {
    let mut head = Head::uninit();
    minisocket::fill(record, &Copied::new(address, head.as_mut_ptr()), kind);
}

/// False: the buffer had no room, and the kernel calls again for the same one.
#[inline(always)]
fn write(meta: *const Meta, record: &Record) -> bool {
    // SAFETY: `meta` comes from the context, and the record lives on the caller's stack.
    unsafe { bpf_seq_write((*meta).seq.cast(), (&raw const *record).cast(), Record::SIZE as u32) == 0 }
}
