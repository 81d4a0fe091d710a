//! What the agent cannot say on a kernel that lacks a field or a hook.

use tracer_ebpf::{Field, Hook};

/// The loss when this kernel has no such field; `None` for fields without which nothing is traced at all.
#[must_use]
pub const fn without_field(field: Field) -> Option<&'static str> {
    Some(match field {
        Field::Family
        | Field::State
        | Field::RemotePort
        | Field::LocalPort
        | Field::RemoteV4
        | Field::LocalV4
        | Field::Net
        | Field::Cookie
        | Field::Flags
        | Field::NetInum
        | Field::Owned
        | Field::Protocol
        | Field::Err
        | Field::ErrSoft
        | Field::Shutdown
        | Field::UserSocket
        | Field::SourcePort
        | Field::Una
        | Field::Nxt
        | Field::WriteSeq
        | Field::RcvNxt
        | Field::CopiedSeq
        | Field::LingerTime
        | Field::TotalRetrans
        | Field::Linger2
        | Field::FastOpenRequest => return None,
        Field::RemoteV6 | Field::LocalV6 => "Addresses of IPv6 sockets are shown as [::].",
        Field::NetCookie => {
            "Network namespaces are told apart by inode number, which the kernel gives to a new namespace as soon as the \
             old one is gone."
        }
        Field::FastOpenSysctl => {
            "A server's handshake by Fast Open is told from one by SYN cookie by the time that it takes."
        }
        Field::Window => "The window that the peer offers is not recorded.",
        Field::Srtt => "Round-trip times are not recorded.",
        Field::IsMptcp => {
            "Subflows of MPTCP cannot be told from plain TCP connections and are judged as such."
        }
        Field::TimewaitSubstate => "TIME_WAIT and FIN_WAIT2 minisockets cannot be told apart.",
        Field::TimewaitSourcePort => "TIME_WAIT minisockets are shown without their local port.",
        Field::TimewaitRcvNxt | Field::TimewaitSndNxt => {
            "TIME_WAIT minisockets are shown without their sequence numbers."
        }
        Field::TimewaitTimer => "TIME_WAIT minisockets are not followed: no TIME_WAIT figures.",
        Field::RequestTimer => "Half-open requests are not followed.",
        Field::RequestRetrans => "How often a SYN,ACK was sent again is not recorded.",
        Field::RequestSynackTime => "Handshakes of servers cannot be timed from their SYN,ACK.",
        Field::RequestIsnReceived | Field::RequestIsnSent => {
            "Half-open requests are shown without their initial sequence numbers."
        }
        Field::Listener | Field::AckBacklog | Field::MaxAckBacklog | Field::DeferAccept => {
            "A half-open request that a full or vanished listener ended cannot be told from others."
        }
        Field::SegmentFlags | Field::SegmentControl => {
            "A half-open request that a second SYN reset cannot be told from one that found the listener full."
        }
        Field::TimerFunction => {
            "Timers cannot be told apart, so neither TIME_WAIT minisockets nor half-open requests are followed."
        }
        Field::TimerExpires => "The deadline of a TIME_WAIT minisocket is not recorded.",
    })
}

/// The loss when this hook is not attached.
#[must_use]
pub const fn without_hook(hook: Hook) -> &'static str {
    match hook {
        Hook::State => "Without it nothing is traced.",
        Hook::Destroy => "The end of a socket is not seen, so the agent remembers it longer than it lives.",
        Hook::ReceiveReset => {
            "Resets from peers are not counted, and closes that one would explain are inconclusive."
        }
        Hook::SendReset => {
            "Resets to peers are not counted, and closes that one would explain are inconclusive."
        }
        Hook::Retransmit => "SYNs that are sent again are not counted.",
        Hook::RetransmitSynack => "SYN,ACKs that are sent again are not counted.",
        Hook::TimerStart | Hook::TimerCancel | Hook::TimerExpire => {
            "TIME_WAIT minisockets and half-open requests are not followed: no TIME_WAIT figures, and no failed \
             handshakes of servers."
        }
        Hook::Snapshot => {
            "Sockets that exist already are unknown, so their first transitions are inconclusive."
        }
    }
}

#[cfg(test)]
mod tests {
    use tracer_ebpf::FIELDS;

    use super::without_field;

    #[test]
    fn every_optional_field_has_its_sentence_and_no_required_one() {
        for (field, source) in FIELDS {
            assert_eq!(
                without_field(*field).is_none(),
                source.required,
                "{}.{}",
                source.container,
                source.path
            );
        }
    }
}
