//! Kernel numbers that are ABI towards user space, or fixed in every kernel that the agent supports.

/// `enum tcp_state` (include/net/tcp_states.h): exported through `/proc/net/tcp` and `inet_diag`.
pub mod tcp_state {
    /// ESTABLISHED.
    pub const ESTABLISHED: u8 = 1;
    /// SYN_SENT.
    pub const SYN_SENT: u8 = 2;
    /// SYN_RECV.
    pub const SYN_RECV: u8 = 3;
    /// FIN_WAIT1.
    pub const FIN_WAIT1: u8 = 4;
    /// FIN_WAIT2.
    pub const FIN_WAIT2: u8 = 5;
    /// TIME_WAIT: a timewait minisocket.
    pub const TIME_WAIT: u8 = 6;
    /// CLOSE.
    pub const CLOSE: u8 = 7;
    /// CLOSE_WAIT.
    pub const CLOSE_WAIT: u8 = 8;
    /// LAST_ACK.
    pub const LAST_ACK: u8 = 9;
    /// LISTEN.
    pub const LISTEN: u8 = 10;
    /// CLOSING.
    pub const CLOSING: u8 = 11;
    /// NEW_SYN_RECV: a request minisocket.
    pub const NEW_SYN_RECV: u8 = 12;
}

/// Bits of `sk_flags` (`enum sock_flags`, include/net/sock.h).
pub mod sock_flag {
    /// SOCK_DEAD: no user refers to the socket any more.
    pub const DEAD: u32 = 1 << 0;
    /// SOCK_DONE: the peer's FIN was consumed.
    pub const DONE: u32 = 1 << 1;
    /// SOCK_LINGER: SO_LINGER is on.
    pub const LINGER: u32 = 1 << 4;
}

/// Flags of the TCP header (RFC 9293, section 3.1).
pub mod tcp_flag {
    /// SYN.
    pub const SYN: u64 = 0x02;
}

/// `sk_shutdown` bits (include/net/sock.h).
pub mod shutdown {
    /// RCV_SHUTDOWN.
    pub const RECEIVE: u8 = 1;
    /// SEND_SHUTDOWN.
    pub const SEND: u8 = 2;
}

/// IPPROTO_TCP.
pub const IPPROTO_TCP: u16 = 6;
/// AF_INET.
pub const AF_INET: u16 = 2;
/// AF_INET6.
pub const AF_INET6: u16 = 10;
