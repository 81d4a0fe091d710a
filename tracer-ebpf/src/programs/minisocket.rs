//! The snapshot of a minisocket: a half-open request or a timewait socket, reached through a pointer without a type.

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use tracer_ebpf::{Field, MISSING, Record, bits, request_flag, uapi};

use super::{
    kernel::{self, probe},
    maps::{ORPHANS, acked_bit, has_cookies, offset, timewait_timer},
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

/// The socket's cookie; 0 when nobody has asked for one in its life, and where full sockets have none either: there
/// whoever lists sockets (ss) gives them one in the middle of their life.
#[inline(always)]
pub fn cookie(minisocket: u64) -> u64 {
    if has_cookies() == 0 { 0 } else { probe(minisocket, Field::Cookie) }
}

/// TIME_WAIT or FIN_WAIT2, of a timewait minisocket.
#[inline(always)]
pub fn substate(timewait: u64) -> u8 {
    probe(timewait, Field::TimewaitSubstate)
}

/// True when a timewait minisocket is at this address: its timer has their handler.
#[inline(always)]
pub fn is_timewait(address: u64) -> bool {
    let timer = address.wrapping_add(u64::from(offset(Field::TimewaitTimer)));
    probe::<u64>(timer, Field::TimerFunction) == timewait_timer()
}

/// Remembers a timewait minisocket that is FIN_WAIT2 for the sweep.
#[inline(always)]
pub fn watch(address: u64, cookie: u64) {
    // No room: it is found out when it ends.
    let _ = ORPHANS.insert(address, cookie, 0);
}

/// Nothing more has to be found out about it. True when it was watched until now.
#[inline(always)]
pub fn unwatch(address: u64) -> bool {
    // As a rule it was never watched, and a look takes no lock.
    let was_watched = ORPHANS.get_ptr(address).is_some();
    if was_watched {
        let _ = ORPHANS.remove(address);
    }
    was_watched
}

/// The bytes of a minisocket, copied in one go: each field would be a call into the kernel, which costs more than the
/// copy.
pub struct Copied {
    address: u64,
    bytes: *const u8,
    /// How many were copied; 0: none, and each field is asked for alone.
    size: u32,
}

/// `struct sock_common`, and what a BPF stack has room for.
pub type Head = MaybeUninit<[u64; 17]>;

impl Copied {
    /// Copies as much as `room` holds.
    #[inline(always)]
    pub fn new<const WORDS: usize>(address: u64, room: *mut [u64; WORDS]) -> Self {
        let size = (WORDS * size_of::<u64>()) as u32;
        // SAFETY: the helper copes with any address; the room is as large as it is told.
        let failed = unsafe { bpf_probe_read_kernel(room.cast(), size, address as *const c_void) } != 0;
        Self { address, bytes: room.cast(), size: if failed { 0 } else { size } }
    }

    /// As [`cookie`].
    #[inline(always)]
    pub fn cookie(&self) -> u64 {
        if has_cookies() == 0 { 0 } else { self.load(Field::Cookie) }
    }

    /// A field of it; where a kernel keeps the field further behind, it is asked for alone.
    #[inline(always)]
    pub fn load<T: Copy + Default>(&self, field: Field) -> T {
        let offset = offset(field);
        if offset == MISSING || offset + size_of::<T>() as u32 > self.size {
            return probe(self.address, field);
        }
        // SAFETY: in bounds and filled; the kernel aligns its fields.
        unsafe { self.bytes.add(offset as usize).cast::<T>().read_volatile() }
    }

    /// An IPv6 address, word by word as the kernel has it.
    #[inline(always)]
    fn load_v6(&self, field: Field, into: &mut [u8; 16]) {
        let offset = offset(field);
        if offset == MISSING || offset + 16 > self.size {
            *into = probe(self.address, field);
            return;
        }
        let words = into.as_mut_ptr().cast::<u32>();
        let mut word = 0;
        while word < 4 {
            // SAFETY: as above; the target is sixteen bytes.
            unsafe {
                let source = self.bytes.add(offset as usize + word * 4).cast::<u32>();
                words.add(word).write_unaligned(source.read_volatile());
            }
            word += 1;
        }
    }
}

/// Everything that the record says about the minisocket at this address.
#[inline(always)]
pub fn fill(record: &mut Record, minisocket: &Copied, kind: Minisocket) {
    record.socket = minisocket.address;
    record.bits = bits::MINISOCKET;
    record.cookie = minisocket.cookie();
    record.netns = netns(minisocket.load(Field::Net));
    record.protocol = uapi::IPPROTO_TCP;
    record.family = minisocket.load(Field::Family);
    if record.family == uapi::AF_INET6 {
        minisocket.load_v6(Field::LocalV6, &mut record.local);
        minisocket.load_v6(Field::RemoteV6, &mut record.remote);
    } else {
        put_v4(&mut record.local, minisocket.load(Field::LocalV4));
        put_v4(&mut record.remote, minisocket.load(Field::RemoteV4));
    }
    record.remote_port = u16::from_be(minisocket.load(Field::RemotePort));
    match kind {
        Minisocket::Timewait => {
            record.local_port = u16::from_be(minisocket.load(Field::TimewaitSourcePort));
            stay(record, minisocket.load(Field::TimewaitSubstate));
            record.rcv_nxt = minisocket.load(Field::TimewaitRcvNxt);
            record.nxt = minisocket.load(Field::TimewaitSndNxt);
        }
        Minisocket::Request => {
            // A request has no inet_sport: skc_num is the listener's port.
            record.local_port = minisocket.load(Field::LocalPort);
            stay(record, uapi::tcp_state::NEW_SYN_RECV);
            record.bits |= bits::REQUEST;
            record.rcv_nxt = minisocket.load(Field::RequestIsnReceived);
            record.una = minisocket.load(Field::RequestIsnSent);
            record.retransmits = u32::from(minisocket.load::<u8>(Field::RequestRetrans));
            record.detail = minisocket.load(Field::RequestSynackTime);
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
    kernel::probe_bit(request, acked_bit()) == Some(true)
}

/// The namespace's cookie, or its inode number where a kernel has no such cookie.
#[inline(always)]
fn netns(net: u64) -> u64 {
    if net == 0 {
        return 0;
    }
    if offset(Field::NetCookie) == MISSING {
        return u64::from(probe::<u32>(net, Field::NetInum));
    }
    probe(net, Field::NetCookie)
}
