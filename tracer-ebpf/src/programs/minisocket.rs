//! The snapshot of a minisocket: a half-open request or a timewait socket, reached through a pointer without a type.

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use tracer_ebpf::{Field, MISSING, Record, bits, uapi};

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
    // As a rule it was never watched, and a look takes no lock.
    if ORPHANS.get_ptr(address).is_some() {
        let _ = ORPHANS.remove(address);
    }
}

/// The first bytes of a minisocket, as much as `struct sock_common` has. Copied in one go: each field would be a call.
struct Head {
    address: u64,
    bytes: MaybeUninit<[u64; HEAD_WORDS]>,
}

const HEAD_WORDS: usize = 17;
const HEAD_SIZE: u32 = (HEAD_WORDS * size_of::<u64>()) as u32;

impl Head {
    #[inline(always)]
    fn copy(address: u64) -> Self {
        let mut bytes = MaybeUninit::<[u64; HEAD_WORDS]>::uninit();
        // SAFETY: the helper copes with any address, and leaves zeros where it fails.
        unsafe { bpf_probe_read_kernel(bytes.as_mut_ptr().cast(), HEAD_SIZE, address as *const c_void) };
        Self { address, bytes }
    }

    /// A field of it; where a kernel keeps the field further behind, it is asked for alone.
    #[inline(always)]
    fn load<T: Copy + Default>(&self, field: Field) -> T {
        let offset = offset(field);
        if offset == MISSING || offset + size_of::<T>() as u32 > HEAD_SIZE {
            return probe(self.address, field);
        }
        // SAFETY: in bounds and filled; the kernel aligns its fields.
        unsafe { self.bytes.as_ptr().cast::<u8>().add(offset as usize).cast::<T>().read_volatile() }
    }

    /// An IPv6 address, word by word as the kernel has it.
    #[inline(always)]
    fn load_v6(&self, field: Field, into: &mut [u8; 16]) {
        let offset = offset(field);
        if offset == MISSING || offset + 16 > HEAD_SIZE {
            *into = probe(self.address, field);
            return;
        }
        let words = into.as_mut_ptr().cast::<u32>();
        let mut word = 0;
        while word < 4 {
            // SAFETY: as above; the target is sixteen bytes.
            unsafe {
                let source = self.bytes.as_ptr().cast::<u8>().add(offset as usize + word * 4).cast::<u32>();
                words.add(word).write_unaligned(source.read_volatile());
            }
            word += 1;
        }
    }
}

/// Everything that the record says about the minisocket at this address.
#[inline(always)]
pub fn fill(record: &mut Record, address: u64, kind: Minisocket) {
    let head = Head::copy(address);
    record.socket = address;
    record.bits = bits::MINISOCKET;
    record.cookie = head.load(Field::Cookie);
    record.netns = netns(head.load(Field::Net));
    record.protocol = uapi::IPPROTO_TCP;
    record.family = head.load(Field::Family);
    if record.family == uapi::AF_INET6 {
        head.load_v6(Field::LocalV6, &mut record.local);
        head.load_v6(Field::RemoteV6, &mut record.remote);
    } else {
        put_v4(&mut record.local, head.load(Field::LocalV4));
        put_v4(&mut record.remote, head.load(Field::RemoteV4));
    }
    record.remote_port = u16::from_be(head.load(Field::RemotePort));
    match kind {
        Minisocket::Timewait => {
            record.local_port = u16::from_be(probe(address, Field::TimewaitSourcePort));
            stay(record, substate(address));
            record.rcv_nxt = probe(address, Field::TimewaitRcvNxt);
            record.nxt = probe(address, Field::TimewaitSndNxt);
        }
        Minisocket::Request => {
            // A request has no inet_sport: skc_num is the listener's port.
            record.local_port = head.load(Field::LocalPort);
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
fn netns(net: u64) -> u64 {
    if net == 0 {
        return 0;
    }
    if offset(Field::NetCookie) == MISSING {
        return u64::from(probe::<u32>(net, Field::NetInum));
    }
    probe(net, Field::NetCookie)
}
