//! The snapshot of a minisocket: a half-open request or a timewait socket, reached through a pointer without a type.

use tracer_ebpf::{Field, Record, bits, request_flag, uapi};

use super::{
    kernel::probe,
    maps::{ORPHANS, acked_bit, offset},
    socket::{put_v4, stay},
};

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Minisocket {
    /// `struct inet_timewait_sock`.
    Timewait,
    /// `struct request_sock`.
    Request,
}

/// SYN+ACKs that a request has sent again.
#[inline(always)]
pub fn retransmits(request: u64) -> u8 {
    probe(request, Field::RequestRetrans)
}

/// The socket's cookie; 0 when nobody has asked for one in its life.
#[inline(always)]
pub fn cookie(minisocket: u64) -> u64 {
    probe(minisocket, Field::Cookie)
}

/// TIME_WAIT or FIN_WAIT2, of a timewait minisocket.
#[inline(always)]
pub fn substate(timewait: u64) -> u8 {
    probe(timewait, Field::TimewaitSubstate)
}

/// Remembers a timewait minisocket that is FIN_WAIT2 for the sweep.
#[inline(always)]
pub fn watch(address: u64, cookie: u64) {
    // No room: it is found out when it ends.
    let _ = ORPHANS.insert(address, cookie, 0);
}

/// Nothing more has to be found out about it.
#[inline(always)]
pub fn unwatch(address: u64) {
    // As a rule it was never watched.
    let _ = ORPHANS.remove(address);
}

/// Everything that the record says about the minisocket at this address.
#[inline(always)]
pub fn fill(record: &mut Record, address: u64, kind: Minisocket) {
    record.socket = address;
    record.bits = bits::MINISOCKET;
    record.cookie = cookie(address);
    record.netns = netns(address);
    record.protocol = uapi::IPPROTO_TCP;
    record.family = probe(address, Field::Family);
    if record.family == uapi::AF_INET6 {
        record.local = probe(address, Field::LocalV6);
        record.remote = probe(address, Field::RemoteV6);
    } else {
        put_v4(&mut record.local, probe(address, Field::LocalV4));
        put_v4(&mut record.remote, probe(address, Field::RemoteV4));
    }
    record.remote_port = u16::from_be(probe(address, Field::RemotePort));
    match kind {
        Minisocket::Timewait => {
            record.local_port = u16::from_be(probe(address, Field::TimewaitSourcePort));
            stay(record, substate(address));
            record.rcv_nxt = probe(address, Field::TimewaitRcvNxt);
            record.nxt = probe(address, Field::TimewaitSndNxt);
        }
        Minisocket::Request => {
            // A request has no inet_sport: skc_num is the listener's port.
            record.local_port = probe(address, Field::LocalPort);
            stay(record, uapi::tcp_state::NEW_SYN_RECV);
            record.bits |= bits::REQUEST;
            record.rcv_nxt = probe(address, Field::RequestIsnReceived);
            record.una = probe(address, Field::RequestIsnSent);
            record.retransmits = u32::from(retransmits(address));
            record.detail = probe(address, Field::RequestSynackTime);
        }
    }
}

/// What the end of a request rests on, besides the caller.
#[inline(always)]
pub fn fill_end(record: &mut Record, request: u64) {
    if is_acknowledged(request) {
        record.sock_flags |= request_flag::ACKNOWLEDGED;
    }
    let listener: u64 = probe(request, Field::Listener);
    if listener == 0 {
        return;
    }
    if probe::<u8>(listener, Field::State) != uapi::tcp_state::LISTEN {
        record.sock_flags |= request_flag::LISTENER_GONE;
    }
    if probe::<u8>(listener, Field::DeferAccept) != 0 {
        record.sock_flags |= request_flag::DEFERRED;
    }
    // sk_acceptq_is_full().
    if probe::<u32>(listener, Field::AckBacklog) > probe::<u32>(listener, Field::MaxAckBacklog) {
        record.sock_flags |= request_flag::LISTENER_FULL;
    }
}

/// `inet_request_sock.acked`, a single bit.
#[inline(always)]
fn is_acknowledged(request: u64) -> bool {
    let bit = acked_bit();
    if bit == u64::MAX {
        return false;
    }
    // SAFETY: the helper copes with any address and fails on a bad one.
    let byte: u8 = unsafe { aya_ebpf::helpers::bpf_probe_read_kernel((request + bit / 8) as *const u8) }
        .unwrap_or_default();
    byte >> (bit % 8) & 1 == 1
}

/// The namespace's cookie, or its inode number where a kernel has no such cookie.
#[inline(always)]
fn netns(minisocket: u64) -> u64 {
    let net: u64 = probe(minisocket, Field::Net);
    if net == 0 {
        return 0;
    }
    if offset(Field::NetCookie) == tracer_ebpf::MISSING {
        return u64::from(probe::<u32>(net, Field::NetInum));
    }
    probe(net, Field::NetCookie)
}
