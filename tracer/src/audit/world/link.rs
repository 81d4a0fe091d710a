//! Addresses and link state, by the old ioctls: they need no netlink.

use std::{
    fs, io,
    mem::zeroed,
    net::{Ipv4Addr, Ipv6Addr},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    thread,
    time::Duration,
};

use super::WorldError;

/// Brings a device up.
pub fn up(device: &'static str) -> Result<(), WorldError> {
    let mut request = named(device);
    request.ifr_ifru.ifru_flags = UP;
    control(libc::AF_INET, libc::SIOCSIFFLAGS, &raw mut request, "bring up", device)
}

/// Gives a device an IPv4 address of a network of 24 bits.
pub fn address_v4(device: &'static str, address: Ipv4Addr) -> Result<(), WorldError> {
    for (order, value) in
        [(libc::SIOCSIFADDR, address), (libc::SIOCSIFNETMASK, Ipv4Addr::new(255, 255, 255, 0))]
    {
        let mut request = named(device);
        // SAFETY: all zeros is a valid sockaddr_in.
        let mut socket: libc::sockaddr_in = unsafe { zeroed() };
        socket.sin_family = AF_INET;
        socket.sin_addr.s_addr = u32::from(value).to_be();
        // SAFETY: sockaddr and sockaddr_in have the same size, and both are plain old data.
        request.ifr_ifru.ifru_addr =
            unsafe { std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(socket) };
        control(libc::AF_INET, order, &raw mut request, "give an IPv4 address to", device)?;
    }
    Ok(())
}

/// Gives a device an IPv6 address of a network of 64 bits.
pub fn address_v6(device: &'static str, address: Ipv6Addr) -> Result<(), WorldError> {
    let mut request = libc::in6_ifreq {
        ifr6_addr: libc::in6_addr { s6_addr: address.octets() },
        ifr6_prefixlen: 64,
        ifr6_ifindex: index(device)?,
    };
    control(libc::AF_INET6, libc::SIOCSIFADDR, &raw mut request, "give an IPv6 address to", device)
}

/// Waits until the kernel takes an IPv6 address for its own: it looks into that later, even where nobody could have the
/// same one.
pub fn settled(address: Ipv6Addr) -> Result<(), WorldError> {
    let wanted: String = address.octets().iter().map(|octet| format!("{octet:02x}")).collect();
    for _ in 0..2_000 {
        let table = fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default();
        // Address, number, prefix length, scope, flags, device.
        let flags = table
            .lines()
            .find(|line| line.starts_with(&wanted))
            .and_then(|line| u32::from_str_radix(line.split_whitespace().nth(4)?, 16).ok());
        if flags.is_some_and(|flags| flags & libc::IFA_F_TENTATIVE == 0) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(1));
    }
    let source = io::Error::from(io::ErrorKind::TimedOut);
    Err(WorldError::Link { what: "settle the IPv6 address of", device: super::tun::NAME, source })
}

/// A device's number.
pub fn index(device: &'static str) -> Result<i32, WorldError> {
    let mut request = named(device);
    control(libc::AF_INET, libc::SIOCGIFINDEX, &raw mut request, "find", device)?;
    // SAFETY: SIOCGIFINDEX has filled in this member.
    Ok(unsafe { request.ifr_ifru.ifru_ifindex })
}

/// `IFF_UP | IFF_RUNNING`, as wide as the kernel keeps them there.
const UP: libc::c_short = 0x41;

/// As wide as the kernel keeps it in an address.
const AF_INET: libc::sa_family_t = 2;

fn named(device: &str) -> libc::ifreq {
    // SAFETY: all zeros is a valid ifreq.
    let mut request: libc::ifreq = unsafe { zeroed() };
    // One byte stays zero: the name's end.
    let room = request.ifr_name.len() - 1;
    for (slot, byte) in request.ifr_name.iter_mut().take(room).zip(device.bytes()) {
        *slot = libc::c_char::from_ne_bytes([byte]);
    }
    request
}

fn control<T>(
    family: libc::c_int,
    order: libc::c_ulong,
    request: *mut T,
    what: &'static str,
    device: &'static str,
) -> Result<(), WorldError> {
    let failed = |source| WorldError::Link { what, device, source };
    // SAFETY: no pointers are involved.
    let socket = unsafe { libc::socket(family, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if socket < 0 {
        return Err(failed(io::Error::last_os_error()));
    }
    // SAFETY: the descriptor is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: each caller passes the structure that its order reads and fills.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), order as _, request) };
    if done < 0 { Err(failed(io::Error::last_os_error())) } else { Ok(()) }
}
