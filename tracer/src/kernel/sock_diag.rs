//! The sockets of a network namespace by `sock_diag` (netlink), the interface of `ss`.
//!
//! Not by `iter/tcp`: from 5.15 until its fix in 2026 (CVE-2026-74714: 6.1.183, 6.6.152, 6.12.104, 6.18.45, 7.1.9)
//! bpf_iter_tcp_established_batch() takes references to half-open requests that are not ready for it
//! (reqsk_queue_hash_req), and frees them too early. Here the kernel takes none that it cannot get
//! (refcount_inc_not_zero), and makes the cookie by which later events know the socket.

use std::{
    io,
    net::{IpAddr, SocketAddr as Address},
};

use netlink_packet_core::{
    DecodeError, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_sock_diag::{
    SOCK_DESTROY, SockDiagMessage,
    constants::IPPROTO_TCP,
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags, Timer, nlas::Nla},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_SOCK_DIAG};
use tracer_ebpf::{Hook, Record, bits, uapi};

use super::clock;

/// Why the sockets were not listed.
#[derive(Debug, thiserror::Error)]
pub enum DiagError {
    /// No such socket, or it broke.
    #[error("the netlink socket of sock_diag: {0}")]
    Socket(#[source] io::Error),
    /// The kernel refused.
    #[error("sock_diag refuses: {0}{hint}", hint = hint(.0))]
    Refused(#[source] io::Error),
    /// It answered something else.
    #[error("an answer of sock_diag does not decode: {0}")]
    Malformed(#[from] DecodeError),
}

impl DiagError {
    /// The number of the kernel's error, where the kernel gave one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Socket(error) | Self::Refused(error) => error.raw_os_error(),
            Self::Malformed(_) => None,
        }
    }
}

fn hint(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::NotFound {
        "; the kernel's module tcp_diag may be missing (`modprobe tcp_diag`)"
    } else {
        ""
    }
}

/// Room for one answer: the kernel puts at most 32 KiB into each.
const ANSWER: usize = 1 << 16;

/// Lists the TCP sockets of the calling thread's namespace, a record each; `netns` is what records carry of it.
/// A record's time is when its socket had been seen; its `detail` is when it had not been looked at yet.
///
/// # Errors
///
/// [`DiagError`]; what was listed until then has been handed over.
pub fn list(netns: u64, mut each: impl FnMut(&Record)) -> Result<(), DiagError> {
    // Sockets in CLOSE are no news.
    let states = StateFlags::all() - StateFlags::CLOSE;
    both_families(&states, |response, seen| each(&record(response, netns, seen)))
}

/// A listening socket's accept queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// The port.
    pub port: u16,
    /// Connections that wait to be accepted.
    pub waiting: u32,
    /// How many may wait.
    pub limit: u32,
}

/// The listening sockets of the calling thread's namespace.
///
/// # Errors
///
/// As [`list`].
pub fn backlogs(mut each: impl FnMut(Backlog)) -> Result<(), DiagError> {
    both_families(&StateFlags::LISTEN, |InetResponse { header, .. }, _| {
        // inet_diag_msg_attrs_fill: of a listener its accept queue and the limit.
        let port = header.socket_id.source_port;
        each(Backlog { port, waiting: header.recv_queue, limit: header.send_queue });
    })
}

/// Destroys a TCP socket of the calling thread's namespace, whoever owns it: the interface of `ss -K`. A listener's
/// other end is the unspecified address with port 0.
///
/// # Errors
///
/// [`DiagError::Refused`]: ENOENT where there is no such socket, EOPNOTSUPP where the kernel cannot (5.10: one in TIME_WAIT;
/// without CONFIG_INET_DIAG_DESTROY: any).
pub fn destroy(here: Address, there: Address) -> Result<(), DiagError> {
    let (family, any) = match here {
        Address::V4(_) => (uapi::AF_INET, SocketId::new_v4()),
        Address::V6(_) => (uapi::AF_INET6, SocketId::new_v6()),
    };
    let request = InetRequest {
        family: family.to_le_bytes()[0],
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id: SocketId {
            source_address: here.ip(),
            source_port: here.port(),
            destination_address: there.ip(),
            destination_port: there.port(),
            cookie: ANY_COOKIE,
            ..any
        },
    };
    let socket = ask(request, NLM_F_REQUEST | NLM_F_ACK, Some(SOCK_DESTROY))?;
    let mut answer = Vec::with_capacity(ANSWER);
    socket.recv(&mut answer, 0).map_err(DiagError::Socket)?;
    match NetlinkMessage::<SockDiagMessage>::deserialize(&answer)?.payload {
        NetlinkPayload::Error(error) if error.raw_code() == 0 => Ok(()),
        NetlinkPayload::Error(error) => Err(refused(error.raw_code())),
        _ => Err(DiagError::Malformed("an answer that is none to SOCK_DESTROY".into())),
    }
}

/// INET_DIAG_NOCOOKIE: whichever socket has these ends.
const ANY_COOKIE: [u8; 8] = [0xff; 8];

fn both_families(states: &StateFlags, mut each: impl FnMut(&InetResponse, Seen)) -> Result<(), DiagError> {
    for (family, socket_id) in [(uapi::AF_INET, SocketId::new_v4()), (uapi::AF_INET6, SocketId::new_v6())] {
        let request = InetRequest {
            family: family.to_le_bytes()[0],
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::empty(),
            states: states.clone(),
            socket_id,
        };
        dump(request, &mut each)?;
    }
    Ok(())
}

/// When the kernel looked: not before, and not after.
#[derive(Clone, Copy)]
struct Seen {
    from: u64,
    until: u64,
}

fn dump(request: InetRequest, mut each: impl FnMut(&InetResponse, Seen)) -> Result<(), DiagError> {
    let mut from = clock::now();
    let socket = ask(request, NLM_F_REQUEST | NLM_F_DUMP, None)?;
    let mut answer = Vec::with_capacity(ANSWER);
    loop {
        // The kernel prepares each answer in the call before the one that fetches it (netlink_dump).
        let until = clock::now();
        answer.clear();
        socket.recv(&mut answer, 0).map_err(DiagError::Socket)?;
        if take(&answer, Seen { from, until }, &mut each)? {
            return Ok(());
        }
        from = until;
    }
}

/// Sends a request, of another kind than a question where one is given; the answer is to be had from the socket.
fn ask(request: InetRequest, flags: u16, kind: Option<u16>) -> Result<Socket, DiagError> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG).map_err(DiagError::Socket)?;
    socket.bind_auto().map_err(DiagError::Socket)?;
    socket.connect(&SocketAddr::new(0, 0)).map_err(DiagError::Socket)?;
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    // The crate knows it as a question only.
    message.header.message_type = kind.unwrap_or(message.header.message_type);
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    socket.send(&bytes, 0).map_err(DiagError::Socket)?;
    Ok(socket)
}

/// Takes in one answer; true when it was the last.
fn take(
    mut answer: &[u8],
    seen: Seen,
    each: &mut impl FnMut(&InetResponse, Seen),
) -> Result<bool, DiagError> {
    if answer.is_empty() {
        return Err(DiagError::Malformed("an empty answer".into()));
    }
    while !answer.is_empty() {
        let message = NetlinkMessage::<SockDiagMessage>::deserialize(answer)?;
        match message.payload {
            NetlinkPayload::Done(done) if done.code < 0 => return Err(refused(done.code)),
            NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::Error(error) => return Err(refused(error.raw_code())),
            NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => each(&response, seen),
            _ => {}
        }
        // Messages begin at multiples of four.
        let length = usize::try_from(message.header.length).unwrap_or(usize::MAX).next_multiple_of(4);
        answer = answer.get(length..).unwrap_or_default();
    }
    Ok(false)
}

fn refused(code: i32) -> DiagError {
    DiagError::Refused(io::Error::from_raw_os_error(code.wrapping_neg()))
}

/// What the interface says, as the programs would have recorded it; fields that it does not tell are 0.
fn record(response: &InetResponse, netns: u64, seen: Seen) -> Record {
    let header = &response.header;
    let (kind, state) = kind(response);
    let id = &header.socket_id;
    let [low, high] = [0, 4].map(|at| {
        u32::from_ne_bytes([id.cookie[at], id.cookie[at + 1], id.cookie[at + 2], id.cookie[at + 3]])
    });
    Record {
        time_ns: seen.until,
        detail: seen.from,
        hook: Hook::Snapshot as u8,
        cookie: u64::from(low) | u64::from(high) << 32,
        netns,
        protocol: uapi::IPPROTO_TCP,
        family: u16::from(header.family),
        local: wide(id.source_address),
        remote: wide(id.destination_address),
        local_port: id.source_port,
        remote_port: id.destination_port,
        from: state,
        to: state,
        retransmits: match header.timer {
            Some(Timer::Retransmit(_, retransmits)) => retransmits.into(),
            _ => 0,
        },
        bits: kind | if header.inode == 0 { 0 } else { bits::HAS_SOCKET },
        ..Record::EMPTY
    }
}

/// The bits and the state of its kind. Only of a full socket there is more to tell than its ends.
fn kind(response: &InetResponse) -> (u8, u8) {
    let state = response.header.state;
    let is_full = response.nlas.iter().any(|attribute| matches!(attribute, Nla::Shutdown(_)));
    match state {
        uapi::tcp_state::SYN_RECV if !is_full => {
            (bits::MINISOCKET | bits::REQUEST, uapi::tcp_state::NEW_SYN_RECV)
        }
        uapi::tcp_state::TIME_WAIT | uapi::tcp_state::FIN_WAIT2 if !is_full => (bits::MINISOCKET, state),
        _ => (0, state),
    }
}

fn wide(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(address) => {
            let mut wide = [0; 16];
            wide[..4].copy_from_slice(&address.octets());
            wide
        }
    }
}
