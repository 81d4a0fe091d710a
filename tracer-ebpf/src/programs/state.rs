//! `sock:inet_sock_set_state` and `tcp:tcp_destroy_sock`: the life of a full socket.

use aya_ebpf::programs::BtfTracePointContext;
use tracer_ebpf::{Field, Hook, Outcome, uapi::tcp_state};

use super::{
    copies,
    emit::emit,
    kernel::{Kernel, load_or_zero},
    maps::{count, note_clone},
    once::{Firing, claim},
    socket::{cookie, fill, life, stay, tcp_sock},
};

copies!("tp_btf/inet_sock_set_state", state: state_0 = 0, state_1 = 1, state_2 = 2, state_3 = 3);
copies!("tp_btf/tcp_destroy_sock", destroy: destroy_0 = 0, destroy_1 = 1, destroy_2 = 2, destroy_3 = 3);

/// `inet_sock_set_state(const struct sock *sk, const int oldstate, const int newstate)`, before the store.
#[inline(always)]
fn state(context: &BtfTracePointContext, copy: u8) {
    let sock: Kernel = context.arg(0);
    let from: i32 = context.arg(1);
    let to: i32 = context.arg(2);
    let tcp = tcp_sock(sock);
    if tcp.is_null() {
        // MPTCP (262), SCTP (132) and others share the tracepoint; their states follow machines of their own.
        let what = (from as u64) << 8 | to as u64;
        if claim(Hook::State, copy, Firing { life: sock as u64, what }) {
            count(Hook::State, copy, Outcome::Filtered);
        }
        return;
    }
    let cookie = cookie(sock);
    // A socket that connects again and again repeats its transitions, but never its sequence numbers.
    let what = u64::from(load_or_zero::<u32>(tcp, Field::WriteSeq)) << 16 | (from as u64) << 8 | to as u64;
    if claim(Hook::State, copy, Firing { life: life(sock, cookie), what }) {
        note_clone(from == i32::from(tcp_state::LISTEN) && to == i32::from(tcp_state::SYN_RECV));
        emit(context, Hook::State, copy, |record| {
            fill(record, tcp, cookie);
            record.from = from as u8;
            record.to = to as u8;
        });
    }
}

/// `tcp_destroy_sock(struct sock *sk)`, from `tcp_v4_destroy_sock()`: every full TCP socket ends here.
#[inline(always)]
fn destroy(context: &BtfTracePointContext, copy: u8) {
    let sock: Kernel = context.arg(0);
    let tcp = tcp_sock(sock);
    let cookie = cookie(sock);
    if !claim(Hook::Destroy, copy, Firing { life: life(sock, cookie), what: 0 }) {
        return;
    }
    if tcp.is_null() {
        count(Hook::Destroy, copy, Outcome::Filtered);
        return;
    }
    emit(context, Hook::Destroy, copy, |record| {
        fill(record, tcp, cookie);
        stay(record, load_or_zero(tcp, Field::State));
    });
}
