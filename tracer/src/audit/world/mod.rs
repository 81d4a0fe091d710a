//! A network of our own: a namespace that lives by one thread, with `lo`, a TUN device whose other end is the peer, and
//! nothing else. Nothing is named or mounted, so whatever ends the thread, `SIGKILL` included, leaves nothing behind.

mod link;
mod packet;
mod stamping;
mod sysctl;
mod tap;
mod tun;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use rustix::thread::{UnshareFlags, unshare_unsafe};

pub use packet::{Addresses, Forged, Malformed, Packet, Parsed, build, decode_options, icmp, parse};
pub use stamping::Stamping;
pub use sysctl::Sysctls;
pub use tap::Seen;

use tap::Tap;
use tun::Tun;

use super::report::model::Family;
use crate::kernel::netns;

/// The kernel's addresses on the TUN device.
pub const KERNEL_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The peer's.
pub const PEER_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The kernel's.
pub const KERNEL_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
/// The peer's.
pub const PEER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

/// Why there is no world.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// unshare(2).
    #[error("cannot make a network namespace: {0} (needs CAP_SYS_ADMIN: run the audit as root)")]
    Namespace(#[source] io::Error),
    /// The namespace's cookie.
    #[error("cannot read the namespace's cookie: {0}")]
    Cookie(#[from] netns::FindError),
    /// The TUN device.
    #[error("cannot make a TUN device: {0} (needs /dev/net/tun, of the kernel's module tun)")]
    Tun(#[source] io::Error),
    /// Addresses and link state.
    #[error("cannot {what} {device}: {source}")]
    Link {
        /// What was tried.
        what: &'static str,
        /// On which device.
        device: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The packet socket.
    #[error("cannot listen on the TUN device: {0} (needs CAP_NET_RAW)")]
    Tap(#[source] io::Error),
    /// The times of packets.
    #[error(
        "the kernel takes no times of packets (SO_TIMESTAMPING): without them nothing can be put in order"
    )]
    Stamps,
    /// A setting.
    #[error("cannot set {name} to {value}: {source}; does this kernel know it?")]
    Sysctl {
        /// Its name.
        name: String,
        /// The value.
        value: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The wire, later on.
    #[error("the TUN device fails: {0}")]
    Wire(#[source] io::Error),
}

/// The calling thread's own network. It must not be used from another thread.
#[derive(Debug)]
pub struct World {
    /// What the records of this namespace carry.
    pub cookie: u64,
    /// The settings.
    pub sysctls: Sysctls,
    tun: Tun,
    tap: Tap,
}

impl World {
    /// Moves the calling thread into a new namespace and furnishes it. The thread never comes back.
    ///
    /// # Errors
    ///
    /// [`WorldError`] says which part failed.
    pub fn new() -> Result<Self, WorldError> {
        // SAFETY: only this thread's network changes; no file descriptor or signal state is shared or unshared.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
            .map_err(|error| WorldError::Namespace(error.into()))?;
        let cookie = netns::find("/proc/thread-self/ns/net")?.identity()?;
        let sysctls = Sysctls;
        // The kernel would first ask the network whether an address is taken, and for routers.
        for name in ["accept_dad", "dad_transmits", "router_solicitations", "accept_ra"] {
            let _ = sysctls.set(&format!("net.ipv6.conf.default.{name}"), "0");
        }
        // Every answer counts: no limit on those to what is out of the window, nor on challenges.
        sysctls.set("net.ipv4.tcp_invalid_ratelimit", "0")?;
        sysctls.set("net.ipv4.tcp_challenge_ack_limit", "2147483647")?;
        let tun = Tun::new().map_err(WorldError::Tun)?;
        link::up("lo")?;
        link::address_v4(tun::NAME, KERNEL_V4)?;
        link::up(tun::NAME)?;
        link::address_v6(tun::NAME, KERNEL_V6)?;
        link::settled(KERNEL_V6)?;
        let tap = Tap::new(link::index(tun::NAME)?).map_err(WorldError::Tap)?;
        Ok(Self { cookie, sysctls, tun, tap })
    }

    /// Hands a packet to the kernel, which has dealt with it when this returns, unless it waits for a busy socket.
    ///
    /// # Errors
    ///
    /// What write(2) gives.
    pub fn inject(&self, packet: &[u8]) -> Result<(), WorldError> {
        self.tun.write(packet).map_err(WorldError::Wire)
    }

    /// Everything that crossed the wire since the last call, both ways, in the kernel's own order.
    ///
    /// # Errors
    ///
    /// What the sockets give.
    pub fn observe(&mut self, each: &mut impl FnMut(Seen)) -> Result<(), WorldError> {
        self.tun.drain().and_then(|()| self.tap.drain(each)).map_err(WorldError::Wire)
    }

    /// Waits until a packet crosses the wire, at most so long.
    pub fn wait(&self, at_most: std::time::Duration) {
        self.tap.wait(at_most);
    }

    /// Packets that crossed the wire without being seen, or without the time at which they did.
    #[must_use]
    pub fn unseen(&self) -> u64 {
        self.tap.unseen() + self.tap.unstamped()
    }
}

/// The kernel's and the peer's address in a family.
#[must_use]
pub const fn addresses(family: Family) -> (IpAddr, IpAddr) {
    match family {
        Family::Ipv4 => (IpAddr::V4(KERNEL_V4), IpAddr::V4(PEER_V4)),
        Family::Ipv6 => (IpAddr::V6(KERNEL_V6), IpAddr::V6(PEER_V6)),
    }
}
