//! The snapshot of a full socket that every hook fills in the same way.

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid,
    generated::{bpf_get_current_comm, bpf_get_socket_cookie, bpf_skc_to_tcp_sock},
};
use tracer_ebpf::{Field, Record, bits, uapi};

use super::{
    kernel::{Kernel, load, load_or_zero, load_v6},
    maps::has_cookies,
};

/// The socket's cookie, made when it has none yet: copied from request to child to timewait minisocket.
/// 0 on kernels that give none to tracing programs.
#[inline(always)]
pub fn cookie(sock: Kernel) -> u64 {
    if has_cookies() == 0 {
        return 0;
    }
    let made = load_or_zero(sock, Field::Cookie);
    if made != 0 {
        return made;
    }
    // SAFETY: `sock` is a trusted argument of the hook; the verifier checks it.
    unsafe { bpf_get_socket_cookie(sock.cast_mut()) }
}

/// What tells this socket's life from all others: its cookie, or its address where it has none.
#[inline(always)]
pub fn life(sock: Kernel, cookie: u64) -> u64 {
    if cookie == 0 { sock as u64 } else { cookie }
}

/// `sock` as a `tcp_sock`; null for everything else, MPTCP and other protocols included.
#[inline(always)]
pub fn tcp_sock(sock: Kernel) -> Kernel {
    // SAFETY: as above.
    unsafe { bpf_skc_to_tcp_sock(sock.cast_mut()) }.cast_const().cast()
}

/// The namespace's cookie, or its inode number where a kernel has no such cookie.
#[inline(always)]
pub fn netns(sock: Kernel) -> u64 {
    let Some(net) = net(sock) else { return 0 };
    load(net, Field::NetCookie).unwrap_or_else(|| u64::from(load_or_zero::<u32>(net, Field::NetInum)))
}

/// Its `struct net`.
#[inline(always)]
pub fn net(sock: Kernel) -> Option<Kernel> {
    let net: Kernel = load_or_zero_pointer(sock, Field::Net);
    (!net.is_null()).then_some(net)
}

/// Puts an IPv4 address, in network byte order, into the record's sixteen bytes.
#[inline(always)]
pub fn put_v4(wide: &mut [u8; 16], address: u32) {
    let bytes = address.to_ne_bytes();
    wide[0] = bytes[0];
    wide[1] = bytes[1];
    wide[2] = bytes[2];
    wide[3] = bytes[3];
}

/// Everything that the record says about a full TCP socket; the caller adds what its hook knows.
///
/// `tcp` is [`tcp_sock`] of it, not null; `cookie` is [`cookie`] of it. Fields are stored one by one as they are
/// loaded: the BPF stack has no room for a whole record.
#[inline(always)]
pub fn fill(record: &mut Record, tcp: Kernel, cookie: u64) {
    record.cookie = cookie;
    record.socket = tcp as u64;
    record.netns = netns(tcp);
    if load_or_zero::<u32>(tcp, Field::Owned) != 0 {
        // Only the task that holds the socket acts on it; whoever else runs here was merely interrupted.
        record.bits |= bits::OWNED;
        record.task = bpf_get_current_pid_tgid();
        // SAFETY: the helper fills the field, or leaves it empty. Handed over as a value it would go byte by byte.
        unsafe { bpf_get_current_comm(record.comm.as_mut_ptr().cast(), record.comm.len() as u32) };
    }
    record.family = load_or_zero(tcp, Field::Family);
    if record.family == uapi::AF_INET6 {
        load_v6(tcp, Field::LocalV6, &mut record.local);
        load_v6(tcp, Field::RemoteV6, &mut record.remote);
    } else {
        put_v4(&mut record.local, load_or_zero(tcp, Field::LocalV4));
        put_v4(&mut record.remote, load_or_zero(tcp, Field::RemoteV4));
    }
    record.sock_flags = load_or_zero::<u64>(tcp, Field::Flags) as u32;
    record.una = load_or_zero(tcp, Field::Una);
    record.nxt = load_or_zero(tcp, Field::Nxt);
    record.write_seq = load_or_zero(tcp, Field::WriteSeq);
    record.rcv_nxt = load_or_zero(tcp, Field::RcvNxt);
    record.copied_seq = load_or_zero(tcp, Field::CopiedSeq);
    record.window = load_or_zero(tcp, Field::Window);
    record.srtt_us = load_or_zero(tcp, Field::Srtt);
    record.retransmits = load_or_zero(tcp, Field::TotalRetrans);
    record.lingertime = load_or_zero(tcp, Field::LingerTime);
    record.linger2 = load_or_zero(tcp, Field::Linger2);
    record.err = load_or_zero(tcp, Field::Err);
    record.err_soft = load_or_zero(tcp, Field::ErrSoft);
    record.protocol = load_or_zero(tcp, Field::Protocol);
    // skc_num is 0 already when a port that was bound automatically is released before the hook.
    record.local_port = u16::from_be(load_or_zero(tcp, Field::SourcePort));
    record.remote_port = u16::from_be(load_or_zero(tcp, Field::RemotePort));
    record.shutdown = load_or_zero(tcp, Field::Shutdown);
    if load_or_zero::<u64>(tcp, Field::UserSocket) != 0 {
        record.bits |= bits::HAS_SOCKET;
    }
    if load_or_zero::<u64>(tcp, Field::FastOpenRequest) != 0 {
        record.bits |= bits::FAST_OPEN;
    }
    if load_or_zero::<u8>(tcp, Field::IsMptcp) != 0 {
        record.bits |= bits::MPTCP;
    }
}

/// The socket's state, for a hook that is no transition.
#[inline(always)]
pub fn stay(record: &mut Record, state: u8) {
    record.from = state;
    record.to = state;
}

#[inline(always)]
fn load_or_zero_pointer(base: Kernel, field: Field) -> Kernel {
    load(base, field).unwrap_or(core::ptr::null())
}
