//! `tcp:tcp_retransmit_skb` and `tcp:tcp_retransmit_synack`.

use aya_ebpf::programs::BtfTracePointContext;
use tracer_ebpf::{Field, Hook, Outcome, uapi::tcp_state};

use super::{
    copies,
    emit::emit,
    kernel::{self, Kernel, load_or_zero},
    maps::{count, minisocket_room},
    minisocket::{self, Copied, Minisocket},
    once::{Firing, claim},
    socket::{cookie, fill, life, stay, tcp_sock},
};

copies!("tp_btf/tcp_retransmit_skb", retransmit: retransmit_0 = 0, retransmit_1 = 1, retransmit_2 = 2, retransmit_3 = 3);
copies!("tp_btf/tcp_retransmit_synack", retransmit_synack: retransmit_synack_0 = 0, retransmit_synack_1 = 1, retransmit_synack_2 = 2, retransmit_synack_3 = 3);

/// `tcp_retransmit_skb(const struct sock *sk, const struct sk_buff *skb)`: only SYNs matter here.
#[inline(always)]
fn retransmit<const COPY: u8>(context: &BtfTracePointContext) {
    let sock: Kernel = context.arg(0);
    let tcp = tcp_sock(sock);
    let cookie = cookie(sock);
    let retransmits = if tcp.is_null() { 0 } else { load_or_zero::<u32>(tcp, Field::TotalRetrans) };
    let what = kernel::address(context, 1) ^ u64::from(retransmits);
    if !claim(Hook::Retransmit, COPY, Firing { life: life(sock, cookie), what }) {
        return;
    }
    let state: u8 = if tcp.is_null() { 0 } else { load_or_zero(tcp, Field::State) };
    if tcp.is_null() || state != tcp_state::SYN_SENT {
        count(Hook::Retransmit, COPY, Outcome::Filtered);
        return;
    }
    emit(context, Hook::Retransmit, COPY, |record| {
        fill(record, tcp, cookie);
        stay(record, state);
    });
}

/// `tcp_retransmit_synack(const struct sock *sk, const struct request_sock *req)`.
#[inline(always)]
fn retransmit_synack<const COPY: u8>(context: &BtfTracePointContext) {
    let request = kernel::address(context, 1);
    let sent = minisocket::retransmits(request);
    if claim(Hook::RetransmitSynack, COPY, Firing { life: request, what: u64::from(sent) }) {
        let Some(room) = minisocket_room(Hook::RetransmitSynack, COPY) else { return };
        let minisocket = Copied::new(request, room);
        emit(context, Hook::RetransmitSynack, COPY, |record| {
            minisocket::fill(record, &minisocket, Minisocket::Request);
        });
    }
}
