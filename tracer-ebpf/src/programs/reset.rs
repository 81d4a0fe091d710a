//! `tcp:tcp_receive_reset` and `tcp:tcp_send_reset`.

use aya_ebpf::programs::BtfTracePointContext;
use tracer_ebpf::{Field, Hook, MISSING, bits};

use super::{
    copies,
    emit::emit,
    kernel::{self, Kernel, load_or_zero, probe},
    maps::offset,
    once::{Firing, claim},
    socket::{cookie, fill, life, stay, tcp_sock},
};

copies!("tp_btf/tcp_receive_reset", receive_reset: receive_reset_0 = 0, receive_reset_1 = 1, receive_reset_2 = 2, receive_reset_3 = 3);
copies!("tp_btf/tcp_send_reset", send_reset: send_reset_0 = 0, send_reset_1 = 1, send_reset_2 = 2, send_reset_3 = 3);
// Before 6.12 the tracepoint has no reason: a program that reads the third argument does not load there.
copies!("tp_btf/tcp_send_reset", send_reset_reason: send_reset_reason_0 = 0, send_reset_reason_1 = 1, send_reset_reason_2 = 2, send_reset_reason_3 = 3);

/// `tcp_receive_reset(struct sock *sk)`, from `tcp_reset()`.
#[inline(always)]
fn receive_reset<const COPY: u8>(context: &BtfTracePointContext) {
    let sock: Kernel = context.arg(0);
    reset::<COPY>(context, Hook::ReceiveReset, sock, 0, 0);
}

/// `tcp_send_reset(const struct sock *sk, const struct sk_buff *skb)`, before 6.12.
#[inline(always)]
fn send_reset<const COPY: u8>(context: &BtfTracePointContext) {
    let sock: Kernel = context.arg(0);
    let segment = kernel::address(context, 1);
    reset::<COPY>(context, Hook::SendReset, sock, segment, 0);
}

/// `tcp_send_reset(const struct sock *sk, const struct sk_buff *skb, const enum sk_rst_reason reason)`.
#[inline(always)]
fn send_reset_reason<const COPY: u8>(context: &BtfTracePointContext) {
    let sock: Kernel = context.arg(0);
    let segment = kernel::address(context, 1);
    let reason: u32 = context.arg(2);
    reset::<COPY>(context, Hook::SendReset, sock, segment, reason);
}

#[inline(always)]
fn reset<const COPY: u8>(
    context: &BtfTracePointContext,
    hook: Hook,
    sock: Kernel,
    segment: u64,
    reason: u32,
) {
    // Without a segment to answer it is tcp_send_active_reset().
    let facts = if matches!(hook, Hook::SendReset) && segment == 0 { bits::ACTIVE_RESET } else { 0 };
    // The kernel also resets segments that belong to no socket, or to a minisocket.
    let tcp = if sock.is_null() { sock } else { tcp_sock(sock) };
    if tcp.is_null() {
        let what = segment ^ u64::from(reason) << 48;
        if claim(hook, COPY, Firing { life: 0, what }) {
            emit(context, hook, COPY, |record| {
                record.bits = facts;
                record.reason = reason;
            });
        }
        return;
    }
    let cookie = cookie(sock);
    let state: u8 = load_or_zero(tcp, Field::State);
    let what = segment ^ u64::from(load_or_zero::<u32>(tcp, Field::WriteSeq)) << 16 ^ u64::from(state);
    if claim(hook, COPY, Firing { life: life(sock, cookie), what }) {
        emit(context, hook, COPY, |record| {
            fill(record, tcp, cookie);
            stay(record, state);
            record.bits |= facts;
            record.reason = reason;
            record.detail = u64::from(segment_flags(segment));
        });
    }
}

/// Flags of the TCP header that `skb` carries. From 6.16 on the kernel's field is wider; the flags that matter stay in
/// the first byte on little-endian machines.
#[inline(always)]
fn segment_flags(segment: u64) -> u8 {
    let control = offset(Field::SegmentControl);
    if segment == 0 || control == MISSING {
        0
    } else {
        probe(segment + u64::from(control), Field::SegmentFlags)
    }
}
