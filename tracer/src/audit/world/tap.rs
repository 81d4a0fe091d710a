//! A packet socket on the TUN device: everything that crosses it, both ways, with the kernel's own time.

use std::{
    cell::Cell,
    io,
    mem::zeroed,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

/// A packet that crossed the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// CLOCK_MONOTONIC, nanoseconds.
    pub time: u64,
    /// Nanoseconds since 1970.
    pub wall: u64,
    /// True: the kernel sent it.
    pub from_kernel: bool,
    /// The IP packet.
    pub bytes: Vec<u8>,
}

#[derive(Debug)]
pub struct Tap {
    socket: OwnedFd,
    unseen: Cell<u64>,
    unstamped: Cell<u64>,
    /// How far the wall clock is ahead: the best look so far.
    ahead: Cell<Look>,
}

impl Tap {
    pub fn new(device: i32) -> io::Result<Self> {
        let protocol = ETH_P_ALL.to_be();
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: no pointers are involved.
        let socket = unsafe { libc::socket(libc::AF_PACKET, kind, protocol.into()) };
        if socket < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        let tap = Self { socket, unseen: Cell::new(0), unstamped: Cell::new(0), ahead: Cell::new(look()) };
        // Unlike SO_TIMESTAMPNS, which makes one up at reading, this one tells of a missing time.
        tap.set(libc::SOL_SOCKET, libc::SO_TIMESTAMPING, STAMPS)?;
        tap.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 32 << 20)?;
        // SAFETY: all zeros is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = AF_PACKET;
        address.sll_protocol = protocol;
        address.sll_ifindex = device;
        // SAFETY: the pointer is to a sockaddr_ll of the size given.
        let bound = unsafe {
            libc::bind(tap.socket.as_raw_fd(), (&raw const address).cast(), length::<libc::sockaddr_ll>())
        };
        if bound < 0 { Err(io::Error::last_os_error()) } else { Ok(tap) }
    }

    fn set(&self, level: i32, option: i32, value: i32) -> io::Result<()> {
        // SAFETY: the pointer is to an int of the size given.
        let done = unsafe {
            libc::setsockopt(
                self.socket.as_raw_fd(),
                level,
                option,
                (&raw const value).cast(),
                length::<libc::c_int>(),
            )
        };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    pub fn wait(&self, at_most: Duration) {
        let mut poll = libc::pollfd { fd: self.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let millis = i32::try_from(at_most.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: one pollfd, valid during the call. A signal only makes it return early.
        unsafe { libc::poll(&raw mut poll, 1, millis) };
    }

    pub fn drain(&self, each: &mut impl FnMut(Seen)) -> io::Result<()> {
        let offset = self.wall_ahead();
        while let Some((from_kernel, wall, bytes)) = self.receive()? {
            let time = u64::try_from(i128::from(wall) - offset).unwrap_or(0);
            each(Seen { time, wall, from_kernel, bytes });
        }
        Ok(())
    }

    /// Both clocks tick alike, so any moment's answer holds until somebody sets the wall clock. Whoever was interrupted
    /// between two looks took longer, and is wrong by so much.
    fn wall_ahead(&self) -> i128 {
        let [new, best] = [look().min(look()), self.ahead.get()];
        let was_set = (new.1 - best.1).unsigned_abs() > u128::from(new.0 + best.0);
        if was_set || new.0 <= best.0 {
            self.ahead.set(new);
        }
        self.ahead.get().1
    }

    fn receive(&self) -> io::Result<Option<(bool, u64, Vec<u8>)>> {
        let mut bytes = vec![0_u8; 2048];
        // Room for three timespecs, aligned as control messages are.
        let mut control = [0_u64; 16];
        // SAFETY: all zeros is a valid sockaddr_ll, and a valid msghdr.
        let (mut from, mut message): (libc::sockaddr_ll, libc::msghdr) = unsafe { (zeroed(), zeroed()) };
        let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        message.msg_name = (&raw mut from).cast();
        message.msg_namelen = length::<libc::sockaddr_ll>();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        // SAFETY: every pointer in the message is to memory that lives across the call, with its size.
        let got = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, 0) };
        let Ok(size) = usize::try_from(got) else {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
        };
        bytes.truncate(size);
        let mut stamp = None;
        // SAFETY: the kernel has filled in the control messages, and CMSG_* walk within msg_controllen.
        unsafe {
            let mut header = libc::CMSG_FIRSTHDR(&raw const message);
            while !header.is_null() {
                if (*header).cmsg_level == libc::SOL_SOCKET && (*header).cmsg_type == libc::SCM_TIMESTAMPING {
                    // The first of three: the time that the kernel's software took.
                    let time: libc::timespec =
                        libc::CMSG_DATA(header).cast::<libc::timespec>().read_unaligned();
                    stamp = Some(nanoseconds(time.tv_sec, time.tv_nsec));
                }
                header = libc::CMSG_NXTHDR(&raw const message, header);
            }
        }
        let wall = stamp.unwrap_or_else(|| {
            self.unstamped.set(self.unstamped.get() + 1);
            now(ClockId::Realtime)
        });
        Ok(Some((from.sll_pkttype == libc::PACKET_OUTGOING, wall, bytes)))
    }

    /// The packet socket, which the kernel goes on to serve.
    pub fn into_socket(self) -> OwnedFd {
        self.socket
    }

    /// Packets without the kernel's own time, since the beginning: theirs is that of the reading.
    pub fn unstamped(&self) -> u64 {
        self.unstamped.get()
    }

    /// Packets that found no room, since the beginning.
    pub fn unseen(&self) -> u64 {
        // SAFETY: all zeros is a valid tpacket_stats.
        let mut stats: libc::tpacket_stats = unsafe { zeroed() };
        let mut size = length::<libc::tpacket_stats>();
        // SAFETY: the pointers are to a tpacket_stats and to its size.
        let done = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut stats).cast(),
                &raw mut size,
            )
        };
        // Reading sets the kernel's count back.
        if done == 0 {
            self.unseen.set(self.unseen.get() + u64::from(stats.tp_drops));
        }
        self.unseen.get()
    }
}

/// `SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE`: take the time of a packet when it crosses a device, and tell it.
const STAMPS: i32 = 1 << 3 | 1 << 4;

/// Every protocol (`ETH_P_ALL`), and the family of packet sockets, as wide as an address keeps them.
const ETH_P_ALL: u16 = 3;
const AF_PACKET: u16 = 17;

/// How long it took to look at both clocks, and how far the wall clock was ahead of the monotonic one.
type Look = (u64, i128);

fn look() -> Look {
    let before = now(ClockId::Monotonic);
    let wall = now(ClockId::Realtime);
    let after = now(ClockId::Monotonic);
    (after - before, i128::from(wall) - i128::from(before.midpoint(after)))
}

fn now(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    nanoseconds(time.tv_sec, time.tv_nsec)
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> u64 {
    let (seconds, nanoseconds) = (u64::try_from(seconds), u64::try_from(nanoseconds));
    seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanoseconds.unwrap_or(0))
}

fn length<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(libc::socklen_t::MAX)
}
