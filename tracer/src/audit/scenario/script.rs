//! A scenario as it was read: what is done, what is expected, and what each step decides.

use std::{net::IpAddr, time::Duration};

use model::{Flags, State, linux::Deviation, requirement::Requirement};

use super::super::report::model::Family;

/// A scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// Folder and file name without ending.
    pub id: String,
    /// One line.
    pub title: String,
    /// The sections that it is about.
    pub clause: String,
    /// The families that it runs in.
    pub families: Vec<Family>,
    /// Settings of its network, by name with dots.
    pub sysctls: Vec<Setting>,
    /// About how long it takes; `--quick` leaves out what takes more than [`Script::QUICK`].
    pub takes: Duration,
    /// Whether the oracle judges it, too; otherwise why not.
    pub unjudged: Option<String>,
    /// Names of the connections; the first one is `main`.
    pub connections: Vec<String>,
    /// The steps.
    pub steps: Vec<Step>,
    /// Its text.
    pub source: String,
}

/// A setting of a scenario's own network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name with dots.
    pub name: String,
    /// Its value.
    pub value: String,
    /// False: a kernel that does not know it does so anyway.
    pub needed: bool,
}

impl Script {
    /// What takes longer is left out by `--quick`.
    pub const QUICK: Duration = Duration::from_secs(8);

    /// The peer's port of a connection, by its place in [`Script::connections`].
    #[must_use]
    pub fn peer_port(place: usize) -> u16 {
        40_000 + u16::try_from(place).unwrap_or(0)
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// From 1.
    pub line: u32,
    /// The place of its connection in [`Script::connections`].
    pub connection: usize,
    /// What is to be done, or waited for.
    pub action: Action,
    /// The requirements that it decides.
    pub decides: Vec<&'static Requirement>,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// The kernel's user calls.
    User(Call, Expected),
    /// The peer sends a segment.
    Peer(Box<Forgery>),
    /// An ICMP error about what the kernel sent last.
    Icmp(Icmp),
    /// One of these has to happen. The first is what the RFC asks for, the others are known deviations.
    Expect(Vec<Alternative>),
    /// Time passes.
    Wait(Duration),
    /// This instant gets a name.
    Mark(String),
    /// A setting changes.
    Sysctl(String, String),
    /// The kernel's network goes, with all its sockets, as when a container ends.
    NetworkEnds,
}

/// One of the things that may happen.
#[derive(Clone, Debug, PartialEq)]
pub struct Alternative {
    /// Its line.
    pub line: u32,
    /// What.
    pub what: Awaited,
    /// When.
    pub window: Window,
    /// The deviation that it shows; none for what the RFC asks for.
    pub deviation: Option<&'static Deviation>,
}

/// What can be waited for.
#[derive(Clone, Debug, PartialEq)]
pub enum Awaited {
    /// The kernel's next segment of this connection is like this.
    Segment(Box<Pattern>),
    /// The connection is in this state.
    State(State),
    /// The kernel sends nothing on this connection for so long.
    Silence(Duration),
}

/// Between when and when, after the step before or after a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The mark; none: the step before.
    pub mark: Option<String>,
    /// Not earlier.
    pub from: Duration,
    /// Not later.
    pub to: Duration,
}

impl Window {
    /// Soon.
    pub const SOON: Self = Self { mark: None, from: Duration::ZERO, to: Duration::from_secs(1) };
}

/// A system call, or several that belong together.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// socket, bind, listen; of a listener that exists: listen again.
    Listen {
        /// How many connections may wait.
        backlog: i32,
        /// Of which kind the socket is.
        kind: SocketKind,
    },
    /// socket, bind, connect; of a socket that exists: connect again.
    Connect {
        /// Where to.
        to: Target,
        /// The user names its own address as well as the port.
        bound: bool,
        /// Of which kind the socket is.
        kind: SocketKind,
    },
    /// accept.
    Accept,
    /// send.
    Send {
        /// Octets.
        len: u32,
        /// MSG_OOB.
        urgent: bool,
        /// MSG_MORE.
        more: bool,
    },
    /// recv.
    Receive {
        /// Octets; 0: the end of the stream.
        len: u32,
        /// MSG_OOB.
        urgent: bool,
    },
    /// shutdown.
    Shutdown(Direction),
    /// close.
    Close,
    /// SO_LINGER 0 and close.
    Abort,
    /// connect(AF_UNSPEC).
    Disconnect,
    /// setsockopt, of this socket or of the one that the next call makes.
    Set(SocketOption, i32),
    /// getsockopt; the value has to be in this range.
    Get(SocketOption, i32, i32),
    /// SO_ERROR; what it has to be is the [`Expected`].
    Error,
    /// close of the listener.
    CloseListener,
    /// connect of the listener.
    ConnectListener,
    /// shutdown of the listener, both ways.
    ShutdownListener,
    /// SOCK_DESTROY of sock_diag, as `ss -K` does it.
    Destroy,
    /// The same of the listener.
    DestroyListener,
    /// poll has to report this.
    Poll(Readiness),
}

/// Where a connect goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// To the peer.
    #[default]
    Peer,
    /// To this address, and the peer's port.
    Address(IpAddr),
    /// To the socket's own address and port.
    Itself,
}

/// Which socket a call makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SocketKind {
    /// A TCP socket of the scenario's family.
    #[default]
    Plain,
    /// An IPv6 socket with an IPv4 address (RFC 4291, 2.5.5.2).
    Mapped,
    /// A Multipath TCP socket (RFC 8684), whose peer knows TCP only.
    Multipath,
}

/// What shutdown() ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Both.
    Both,
}

/// What poll() reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// POLLPRI.
    Urgent,
    /// POLLIN.
    Readable,
    /// POLLOUT.
    Writable,
    /// POLLHUP.
    HungUp,
    /// POLLERR.
    Error,
}

macro_rules! socket_options {
    ($($variant:ident = $name:literal, $level:ident, $option:ident;)+) => {
        /// The socket options that a scenario may use.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the manual pages tell")]
        pub enum SocketOption { $($variant),+ }

        impl SocketOption {
            /// Every option and its name.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$variant, $name)),+];

            /// Level and number.
            #[must_use]
            pub const fn number(self) -> (i32, i32) {
                match self { $(Self::$variant => (libc::$level, libc::$option)),+ }
            }
        }
    };
}

socket_options! {
    NoDelay = "nodelay", IPPROTO_TCP, TCP_NODELAY;
    Cork = "cork", IPPROTO_TCP, TCP_CORK;
    QuickAck = "quickack", IPPROTO_TCP, TCP_QUICKACK;
    MaxSegment = "maxseg", IPPROTO_TCP, TCP_MAXSEG;
    KeepAlive = "keepalive", SOL_SOCKET, SO_KEEPALIVE;
    KeepIdle = "keepidle", IPPROTO_TCP, TCP_KEEPIDLE;
    KeepInterval = "keepintvl", IPPROTO_TCP, TCP_KEEPINTVL;
    KeepCount = "keepcnt", IPPROTO_TCP, TCP_KEEPCNT;
    UserTimeout = "user_timeout", IPPROTO_TCP, TCP_USER_TIMEOUT;
    Linger2 = "linger2", IPPROTO_TCP, TCP_LINGER2;
    SynCount = "syncnt", IPPROTO_TCP, TCP_SYNCNT;
    DeferAccept = "defer_accept", IPPROTO_TCP, TCP_DEFER_ACCEPT;
    Repair = "repair", IPPROTO_TCP, TCP_REPAIR;
    FastOpen = "fastopen", IPPROTO_TCP, TCP_FASTOPEN;
    FastOpenConnect = "fastopen_connect", IPPROTO_TCP, TCP_FASTOPEN_CONNECT;
    SendBuffer = "sndbuf", SOL_SOCKET, SO_SNDBUF;
    ReceiveBuffer = "rcvbuf", SOL_SOCKET, SO_RCVBUF;
    UrgentInline = "oobinline", SOL_SOCKET, SO_OOBINLINE;
    ReceiveError = "recverr", IPPROTO_IP, IP_RECVERR;
    ReceiveError6 = "recverr6", IPPROTO_IPV6, IPV6_RECVERR;
    TypeOfService = "tos", IPPROTO_IP, IP_TOS;
    TrafficClass = "tclass", IPPROTO_IPV6, IPV6_TCLASS;
    TimeToLive = "ttl", IPPROTO_IP, IP_TTL;
    HopLimit = "hops", IPPROTO_IPV6, IPV6_UNICAST_HOPS;
}

/// What a call has to return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Success; for connect, that it is under way.
    Ok,
    /// This error.
    Error(i32),
    /// Whatever it is.
    Any,
}

/// A number in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Counted from the ISS of whoever counts with it.
    Absolute(i64),
    /// Counted from where its counter stands.
    Relative(i64),
    /// Counted from the right edge of the window that was offered last.
    Edge(i64),
}

/// A segment that the peer sends.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forgery {
    /// Control bits.
    pub flags: Flags,
    /// ECE (1) and CWR (2).
    pub ecn_bits: u8,
    /// The sequence number; none: the next one.
    pub seq: Option<Number>,
    /// The acknowledgment number; none: everything that the kernel has sent.
    pub ack: Option<Number>,
    /// Octets of text.
    pub len: u32,
    /// The window field; none: as before.
    pub window: Option<u16>,
    /// The urgent pointer.
    pub urgent: u16,
    /// MSS option.
    pub mss: Option<u16>,
    /// Window scale option.
    pub window_scale: Option<u8>,
    /// SACK permitted.
    pub sack_permitted: bool,
    /// Timestamps; once agreed they are on every segment.
    pub timestamps: Stamp,
    /// A Fast Open option: empty, or the cookie that the kernel granted.
    pub fast_open: Option<Cookie>,
    /// The options' octets, instead of all that.
    pub raw_options: Option<Vec<u8>>,
    /// The IPv4 options' octets.
    pub ip_options: Vec<u8>,
    /// The checksum is wrong.
    pub bad_checksum: bool,
    /// It never arrives.
    pub lost: bool,
    /// It arrives twice.
    pub twice: bool,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// It says that it comes from there.
    pub from: Option<IpAddr>,
    /// It goes there.
    pub to: Option<IpAddr>,
    /// The start of a new incarnation: its ISS lies so far beyond the old numbers.
    pub new_iss: Option<i64>,
}

/// What a segment says of Fast Open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookie {
    /// Asks for one.
    Request,
    /// Shows the one that the kernel granted.
    Granted,
    /// Shows a wrong one.
    Wrong,
}

/// Timestamps of a forgery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamp {
    /// As agreed.
    #[default]
    Agreed,
    /// On this SYN: the peer offers them.
    Offer,
    /// None, although agreed.
    Missing,
    /// So far from the right value.
    Shifted(i64),
}

/// What a segment of the kernel has to look like. What is not given is not looked at here; the oracle does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pattern {
    /// Control bits; PSH counts where it is named, or forbidden by `nopsh`.
    pub flags: Flags,
    /// PSH must not be set.
    pub not_pushed: bool,
    /// ECE (1) and CWR (2).
    pub ecn_bits: Option<u8>,
    /// The sequence number.
    pub seq: Option<Number>,
    /// The acknowledgment number.
    pub ack: Option<Number>,
    /// Octets of text.
    pub len: Option<(u32, u32)>,
    /// The window field.
    pub window: Option<(u16, u16)>,
    /// The urgent pointer.
    pub urgent: Option<u16>,
    /// MSS option; `Some(None)`: there must be none.
    pub mss: Option<Option<(u16, u16)>>,
    /// Window scale option.
    pub window_scale: Option<bool>,
    /// Timestamps.
    pub timestamps: Option<bool>,
    /// SACK permitted.
    pub sack_permitted: Option<bool>,
    /// The first selective acknowledgment, relative to the peer's ISS; `Some(None)`: there must be none.
    pub sack: Option<Option<(i64, i64)>>,
    /// Fast Open option.
    pub fast_open: Option<bool>,
    /// DSCP and ECN.
    pub traffic_class: Option<u8>,
    /// TTL or hop limit.
    pub hops: Option<u8>,
    /// Length of the IPv4 options.
    pub ip_options: Option<usize>,
    /// Of a SYN: how far its number lies beyond that of the kernel's SYN before.
    pub iss_gap: Option<(u32, u32)>,
}

/// The ICMP errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icmp {
    /// Source quench (IPv4 only).
    SourceQuench,
    /// No route.
    NetUnreachable,
    /// No host.
    HostUnreachable,
    /// Protocol unreachable; in IPv6 an unknown next header.
    ProtocolUnreachable,
    /// Nobody listens.
    PortUnreachable,
    /// Forbidden on the way.
    Prohibited,
    /// TTL or hop limit exceeded.
    TimeExceeded,
    /// Parameter problem.
    ParameterProblem,
}

impl Icmp {
    /// Every error and its name.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::SourceQuench, "source-quench"),
        (Self::NetUnreachable, "net-unreachable"),
        (Self::HostUnreachable, "host-unreachable"),
        (Self::ProtocolUnreachable, "protocol-unreachable"),
        (Self::PortUnreachable, "port-unreachable"),
        (Self::Prohibited, "prohibited"),
        (Self::TimeExceeded, "time-exceeded"),
        (Self::ParameterProblem, "parameter-problem"),
    ];

    /// Type and code.
    #[must_use]
    pub const fn number(self, family: Family) -> (u8, u8) {
        match (family, self) {
            (Family::Ipv4, Self::SourceQuench) => (4, 0),
            (Family::Ipv4, Self::NetUnreachable) => (3, 0),
            (Family::Ipv4, Self::HostUnreachable) => (3, 1),
            (Family::Ipv4, Self::ProtocolUnreachable) => (3, 2),
            (Family::Ipv4, Self::PortUnreachable) => (3, 3),
            (Family::Ipv4, Self::Prohibited) => (3, 13),
            (Family::Ipv4, Self::TimeExceeded) => (11, 0),
            (Family::Ipv4, Self::ParameterProblem) => (12, 0),
            (Family::Ipv6, Self::NetUnreachable) => (1, 0),
            (Family::Ipv6, Self::Prohibited) => (1, 1),
            (Family::Ipv6, Self::HostUnreachable) => (1, 3),
            (Family::Ipv6, Self::PortUnreachable) => (1, 4),
            (Family::Ipv6, Self::TimeExceeded) => (3, 0),
            (Family::Ipv6, Self::ParameterProblem) => (4, 0),
            (Family::Ipv6, Self::ProtocolUnreachable) => (4, 1),
            // There is none; nothing is what it stands for.
            (Family::Ipv6, Self::SourceQuench) => (0, 0),
        }
    }

    /// What the oracle is told.
    #[must_use]
    pub const fn class(self) -> model::event::IcmpError {
        use model::event::IcmpError::{Hard, Soft, SourceQuench};
        match self {
            Self::SourceQuench => SourceQuench,
            Self::ProtocolUnreachable | Self::PortUnreachable => Hard,
            _ => Soft,
        }
    }
}
