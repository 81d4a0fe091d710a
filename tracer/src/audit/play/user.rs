//! The kernel's user: system calls on sockets that never block.

use std::{
    collections::BTreeSet,
    io,
    mem::zeroed,
    net::{IpAddr, SocketAddr},
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use crate::audit::scenario::{Direction, Readiness, SocketKind, SocketOption};

/// What a call gave.
pub type Outcome<T> = Result<T, i32>;

/// A socket's address in the kernel's form.
struct Address {
    storage: libc::sockaddr_storage,
    length: libc::socklen_t,
}

impl Address {
    fn of(address: SocketAddr) -> Self {
        // SAFETY: all zeros is a valid sockaddr_storage.
        let mut storage: libc::sockaddr_storage = unsafe { zeroed() };
        let size = match address {
            SocketAddr::V4(v4) => {
                let made = libc::sockaddr_in {
                    sin_family: family(address),
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                    sin_zero: [0; 8],
                };
                // SAFETY: a sockaddr_storage is large and aligned enough for every kind of address.
                unsafe { (&raw mut storage).cast::<libc::sockaddr_in>().write(made) };
                size_of::<libc::sockaddr_in>()
            }
            SocketAddr::V6(v6) => {
                let made = libc::sockaddr_in6 {
                    sin6_family: family(address),
                    sin6_port: v6.port().to_be(),
                    sin6_flowinfo: 0,
                    sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                    // A multicast address needs the device; it is the first one after lo.
                    sin6_scope_id: 0,
                };
                // SAFETY: as above.
                unsafe { (&raw mut storage).cast::<libc::sockaddr_in6>().write(made) };
                size_of::<libc::sockaddr_in6>()
            }
        };
        Self { storage, length: libc::socklen_t::try_from(size).unwrap_or(0) }
    }
}

/// `AF_INET` or `AF_INET6`, as wide as an address keeps it.
fn family(address: SocketAddr) -> libc::sa_family_t {
    if address.is_ipv4() { 2 } else { 10 }
}

fn outcome(returned: impl TryInto<usize>) -> Outcome<usize> {
    returned.try_into().map_err(|_| io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

/// A TCP socket that does not block.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    pub fn new(here: SocketAddr, kind: SocketKind) -> Outcome<Self> {
        let protocol = match kind {
            SocketKind::Plain | SocketKind::Mapped => libc::IPPROTO_TCP,
            SocketKind::Multipath => libc::IPPROTO_MPTCP,
        };
        let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: no pointers are involved.
        let made = unsafe { libc::socket(family(here).into(), kind, protocol) };
        outcome(made)?;
        // SAFETY: the descriptor is new and nobody else's.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(made) });
        socket.set_raw(libc::SOL_SOCKET, libc::SO_REUSEADDR, &1_i32)?;
        Ok(socket)
    }

    fn raw(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    pub fn bind(&self, here: SocketAddr) -> Outcome<()> {
        let address = Address::of(here);
        // SAFETY: the pointer is to an address of the length given.
        outcome(unsafe { libc::bind(self.raw(), (&raw const address.storage).cast(), address.length) })?;
        Ok(())
    }

    pub fn listen(&self, backlog: i32) -> Outcome<()> {
        // SAFETY: no pointers are involved.
        outcome(unsafe { libc::listen(self.raw(), backlog) })?;
        Ok(())
    }

    /// True: connected at once. False: under way.
    pub fn connect(&self, there: SocketAddr) -> Outcome<bool> {
        let address = Address::of(there);
        // SAFETY: the pointer is to an address of the length given.
        let done = unsafe { libc::connect(self.raw(), (&raw const address.storage).cast(), address.length) };
        match outcome(done) {
            Ok(_) => Ok(true),
            Err(libc::EINPROGRESS) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// connect(AF_UNSPEC).
    pub fn disconnect(&self) -> Outcome<()> {
        // SAFETY: all zeros is a valid sockaddr, and AF_UNSPEC is zero.
        let address: libc::sockaddr = unsafe { zeroed() };
        let length = libc::socklen_t::try_from(size_of::<libc::sockaddr>()).unwrap_or(0);
        // SAFETY: the pointer is to an address of the length given.
        outcome(unsafe { libc::connect(self.raw(), &raw const address, length) })?;
        Ok(())
    }

    /// A connection, and the port of its peer.
    pub fn accept(&self) -> Outcome<(Self, u16)> {
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: all zeros is a valid sockaddr_storage.
        let mut from: libc::sockaddr_storage = unsafe { zeroed() };
        let mut length = libc::socklen_t::try_from(size_of_val(&from)).unwrap_or(0);
        // SAFETY: the pointers are to room for every kind of address, and to its length.
        let made = unsafe { libc::accept4(self.raw(), (&raw mut from).cast(), &raw mut length, flags) };
        outcome(made)?;
        // SAFETY: the descriptor is new and nobody else's.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(made) });
        // SAFETY: the port has the same place in a sockaddr_in and a sockaddr_in6, and both fit.
        let port = unsafe { (&raw const from).cast::<libc::sockaddr_in>().read() }.sin_port;
        Ok((socket, u16::from_be(port)))
    }

    pub fn send(&self, text: &[u8], flags: i32) -> Outcome<usize> {
        let flags = flags | libc::MSG_NOSIGNAL;
        // SAFETY: the pointer is to so many octets.
        outcome(unsafe { libc::send(self.raw(), text.as_ptr().cast(), text.len(), flags) })
    }

    pub fn receive(&self, text: &mut [u8], flags: i32) -> Outcome<usize> {
        // SAFETY: the pointer is to so many octets.
        outcome(unsafe { libc::recv(self.raw(), text.as_mut_ptr().cast(), text.len(), flags) })
    }

    pub fn shutdown(&self, direction: Direction) -> Outcome<()> {
        let how = match direction {
            Direction::Read => libc::SHUT_RD,
            Direction::Write => libc::SHUT_WR,
            Direction::Both => libc::SHUT_RDWR,
        };
        // SAFETY: no pointers are involved.
        outcome(unsafe { libc::shutdown(self.raw(), how) })?;
        Ok(())
    }

    /// Makes the next close an abort.
    pub fn linger_zero(&self) -> Outcome<()> {
        self.set_raw(libc::SOL_SOCKET, libc::SO_LINGER, &libc::linger { l_onoff: 1, l_linger: 0 })
    }

    pub fn set(&self, option: SocketOption, value: i32) -> Outcome<()> {
        let (level, number) = option.number();
        self.set_raw(level, number, &value)
    }

    fn set_raw<T>(&self, level: i32, number: i32, value: &T) -> Outcome<()> {
        let length = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
        let value: *const T = value;
        // SAFETY: the pointer is to a value of the length given.
        outcome(unsafe { libc::setsockopt(self.raw(), level, number, value.cast(), length) })?;
        Ok(())
    }

    pub fn get(&self, option: SocketOption) -> Outcome<i32> {
        let (level, number) = option.number();
        self.get_raw(level, number)
    }

    /// SO_ERROR, which reading clears.
    pub fn error(&self) -> Outcome<i32> {
        self.get_raw(libc::SOL_SOCKET, libc::SO_ERROR)
    }

    fn get_raw(&self, level: i32, number: i32) -> Outcome<i32> {
        let mut value = 0_i32;
        let mut length = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or(0);
        // SAFETY: the pointers are to an int and to its length.
        outcome(unsafe {
            libc::getsockopt(self.raw(), level, number, (&raw mut value).cast(), &raw mut length)
        })?;
        Ok(value)
    }

    /// Whether poll(2) reports this now.
    pub fn ready(&self, readiness: Readiness) -> bool {
        let wanted = match readiness {
            Readiness::Urgent => libc::POLLPRI,
            Readiness::Readable => libc::POLLIN,
            Readiness::Writable => libc::POLLOUT,
            Readiness::HungUp => libc::POLLHUP,
            Readiness::Error => libc::POLLERR,
        };
        let mut poll = libc::pollfd { fd: self.raw(), events: wanted, revents: 0 };
        // SAFETY: one pollfd, valid during the call.
        unsafe { libc::poll(&raw mut poll, 1, 0) };
        poll.revents & wanted != 0
    }
}

/// The user's ends of all connections.
#[derive(Debug, Default)]
pub struct User {
    /// The listener, shared by the connections that it accepts.
    pub listener: Option<Socket>,
    /// A socket for each connection.
    pub sockets: Vec<Option<Socket>>,
    /// Connections that were accepted in the place of another one, by their peer's port.
    strays: Vec<(Socket, u16)>,
    /// Options for the next socket of a connection.
    pub settings: Vec<(usize, SocketOption, i32)>,
    /// The connections whose reading side was shut down.
    pub deaf: BTreeSet<usize>,
}

impl User {
    /// The socket of a connection.
    pub fn socket(&self, connection: usize) -> Outcome<&Socket> {
        self.sockets.get(connection).and_then(Option::as_ref).ok_or(libc::EBADF)
    }

    /// The listener.
    pub fn listener(&self) -> Outcome<&Socket> {
        self.listener.as_ref().ok_or(libc::EBADF)
    }

    /// The reading side of this connection was shut down.
    pub fn is_deaf(&self, connection: usize) -> bool {
        self.deaf.contains(&connection)
    }

    /// Takes the place of a connection's socket.
    pub fn put(&mut self, connection: usize, socket: Option<Socket>) {
        if self.sockets.len() <= connection {
            self.sockets.resize_with(connection + 1, || None);
        }
        if let Some(place) = self.sockets.get_mut(connection) {
            *place = socket;
        }
    }

    /// Accepts the connection with this peer's port, whatever came before it.
    pub fn accept(&mut self, port: u16) -> Outcome<Socket> {
        loop {
            if let Some(at) = self.strays.iter().position(|(_, stray)| *stray == port) {
                return Ok(self.strays.remove(at).0);
            }
            let accepted = self.listener()?.accept()?;
            self.strays.push(accepted);
        }
    }

    /// A new socket with the options that were set for it.
    pub fn make(&self, connection: usize, here: SocketAddr, kind: SocketKind) -> Outcome<Socket> {
        let socket = Socket::new(here, kind)?;
        for (_, option, value) in self.settings.iter().filter(|(place, ..)| *place == connection) {
            socket.set(*option, *value)?;
        }
        Ok(socket)
    }
}

/// Both ends' addresses.
#[must_use]
pub fn ends((kernel, peer): (IpAddr, IpAddr), ports: (u16, u16)) -> (SocketAddr, SocketAddr) {
    (SocketAddr::new(kernel, ports.0), SocketAddr::new(peer, ports.1))
}
