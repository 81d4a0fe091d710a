//! The kernel fields that the programs read, by name. Offsets come from the running kernel's BTF at load.

/// Offset of a field that this kernel does not have.
pub const MISSING: u32 = u32::MAX;

/// One kernel field: where BTF finds it and what happens without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The struct, as BTF names it.
    pub container: &'static str,
    /// The members from there, separated by dots; anonymous structs and unions are looked through.
    pub path: &'static str,
    /// Bytes that the programs load.
    pub bytes: u32,
    /// Without a required field nothing can be traced; without another one some evidence is missing.
    pub required: bool,
    /// Only good as a plain integer: an atomic that the kernel fills on demand says nothing while it is 0.
    pub plain: bool,
}

macro_rules! fields {
    ($($(#[doc = $doc:literal])* $name:ident = $container:literal $path:literal $bytes:literal $need:ident;)*) => {
        /// A kernel field; its number is its place in the offsets.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Field { $(#[doc = concat!("`", $container, ".", $path, "`")] $name,)* }

        /// Every [`Field`] in the order of its number.
        pub const FIELDS: &[(Field, Source)] = &[$((Field::$name, Source {
            container: $container,
            path: $path,
            bytes: $bytes,
            required: matches!(stringify!($need).as_bytes(), b"required"),
            plain: matches!(stringify!($need).as_bytes(), b"optional_plain"),
        }),)*];
    };
}

fields! {
    Family = "sock_common" "skc_family" 2 required;
    State = "sock_common" "skc_state" 1 required;
    RemotePort = "sock_common" "skc_dport" 2 required;
    LocalPort = "sock_common" "skc_num" 2 required;
    RemoteV4 = "sock_common" "skc_daddr" 4 required;
    LocalV4 = "sock_common" "skc_rcv_saddr" 4 required;
    RemoteV6 = "sock_common" "skc_v6_daddr" 16 optional;
    LocalV6 = "sock_common" "skc_v6_rcv_saddr" 16 optional;
    Net = "sock_common" "skc_net.net" 8 required;
    Cookie = "sock_common" "skc_cookie" 8 required;
    Flags = "sock_common" "skc_flags" 8 required;
    TimewaitRcvNxt = "sock_common" "skc_tw_rcv_nxt" 4 optional;
    TimewaitSndNxt = "sock_common" "skc_tw_snd_nxt" 4 optional;
    NetCookie = "net" "net_cookie" 8 optional_plain;
    NetInum = "net" "ns.inum" 4 required;
    FastOpenSysctl = "net" "ipv4.sysctl_tcp_fastopen" 4 optional;
    Owned = "sock" "sk_lock.owned" 4 required;
    Protocol = "sock" "sk_protocol" 2 required;
    Err = "sock" "sk_err" 4 required;
    ErrSoft = "sock" "sk_err_soft" 4 required;
    Shutdown = "sock" "sk_shutdown" 1 required;
    UserSocket = "sock" "sk_socket" 8 required;
    LingerTime = "sock" "sk_lingertime" 4 required;
    SourcePort = "inet_sock" "inet_sport" 2 required;
    Una = "tcp_sock" "snd_una" 4 required;
    Nxt = "tcp_sock" "snd_nxt" 4 required;
    WriteSeq = "tcp_sock" "write_seq" 4 required;
    RcvNxt = "tcp_sock" "rcv_nxt" 4 required;
    CopiedSeq = "tcp_sock" "copied_seq" 4 required;
    Window = "tcp_sock" "snd_wnd" 4 optional;
    Srtt = "tcp_sock" "srtt_us" 4 optional;
    TotalRetrans = "tcp_sock" "total_retrans" 4 required;
    Linger2 = "tcp_sock" "linger2" 4 required;
    FastOpenRequest = "tcp_sock" "fastopen_rsk" 8 required;
    IsMptcp = "tcp_sock" "is_mptcp" 1 optional;
    TimewaitSubstate = "inet_timewait_sock" "tw_substate" 1 optional;
    TimewaitSourcePort = "inet_timewait_sock" "tw_sport" 2 optional;
    TimewaitTimer = "inet_timewait_sock" "tw_timer" 8 optional;
    RequestTimer = "request_sock" "rsk_timer" 8 optional;
    RequestRetrans = "request_sock" "num_retrans" 1 optional;
    RequestSynackTime = "tcp_request_sock" "snt_synack" 8 optional;
    RequestIsnReceived = "tcp_request_sock" "rcv_isn" 4 optional;
    RequestIsnSent = "tcp_request_sock" "snt_isn" 4 optional;
    Listener = "sock_common" "skc_listener" 8 optional;
    AckBacklog = "sock" "sk_ack_backlog" 4 optional;
    MaxAckBacklog = "sock" "sk_max_ack_backlog" 4 optional;
    DeferAccept = "inet_connection_sock" "icsk_accept_queue.rskq_defer_accept" 1 optional;
    SegmentFlags = "tcp_skb_cb" "tcp_flags" 1 optional;
    SegmentControl = "sk_buff" "cb" 8 optional;
    TimerFunction = "timer_list" "function" 8 optional;
    TimerExpires = "timer_list" "expires" 8 optional;
}

#[cfg(test)]
mod tests {
    use super::FIELDS;

    #[test]
    fn a_field_is_its_own_index() {
        for (index, (field, _)) in FIELDS.iter().enumerate() {
            assert_eq!(*field as usize, index);
        }
    }

    #[test]
    fn no_field_is_listed_twice() {
        for (index, (_, source)) in FIELDS.iter().enumerate() {
            assert!(
                FIELDS[..index]
                    .iter()
                    .all(|(_, other)| other.container != source.container || other.path != source.path)
            );
        }
    }
}
