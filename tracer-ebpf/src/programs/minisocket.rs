//! The snapshot of a minisocket: a half-open request or a timewait socket, reached through a pointer without a type.

use tracer_ebpf::{Field, Record, bits, uapi};

use super::{
    kernel::probe,
    maps::offset,
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
            stay(record, probe(address, Field::TimewaitSubstate));
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
