//! The snapshot of a minisocket: a half-open request or a timewait socket, reached through a pointer without a type.

use tracer_ebpf::{Field, Record, bits, uapi};

use super::{
    kernel::probe,
    maps::{ORPHANS, offset},
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
