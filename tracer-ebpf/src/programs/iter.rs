//! `iter/tcp`: the sockets of one network namespace that exist now, minisockets included.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_seq_write;
use tracer_ebpf::{Field, Hook, Record, uapi::tcp_state};

use super::{
    emit::stamp,
    kernel::{Kernel, load_or_zero},
    minisocket::{self, Minisocket},
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
    match state {
        tcp_state::TIME_WAIT => minisocket::fill(&mut record, sock as u64, Minisocket::Timewait),
        tcp_state::NEW_SYN_RECV => minisocket::fill(&mut record, sock as u64, Minisocket::Request),
        state => {
            let tcp = tcp_sock(sock);
            if tcp.is_null() {
                return 0;
            }
            fill(&mut record, tcp, 0);
            stay(&mut record, state);
        }
    }
    // Makes a cookie where there is none yet, so that later events can be joined to this snapshot.
    record.cookie = cookie(sock);
    // SAFETY: `meta` comes from the context and the record lives on this stack. A full buffer makes the kernel
    // call again for the same socket.
    unsafe {
        bpf_seq_write((*meta).seq.cast(), (&raw const record).cast(), Record::SIZE as u32);
    }
    0
}
