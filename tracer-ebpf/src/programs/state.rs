//! `sock:inet_sock_set_state` and `tcp:tcp_destroy_sock`: the life of a full socket.

use aya_ebpf::programs::BtfTracePointContext;
use tracer_ebpf::{Field, Hook, Outcome, bits, fast_open, repair, uapi::tcp_state};

use super::{
    copies,
    emit::emit,
    kernel::{Kernel, load, load_bit, load_or_zero},
    maps::{count, fastopen_connect_bit, note_clone, repair_bit, syn_data_bit},
    once::{Firing, claim},
    socket::{self, cookie, fill, life, stay, tcp_sock},
};

copies!("tp_btf/inet_sock_set_state", state: state_0 = 0, state_1 = 1, state_2 = 2, state_3 = 3);
copies!("tp_btf/tcp_destroy_sock", destroy: destroy_0 = 0, destroy_1 = 1, destroy_2 = 2, destroy_3 = 3);

/// `inet_sock_set_state(const struct sock *sk, const int oldstate, const int newstate)`, before the store.
#[inline(always)]
fn state<const COPY: u8>(context: &BtfTracePointContext) {
    let sock: Kernel = context.arg(0);
    let from: i32 = context.arg(1);
    let to: i32 = context.arg(2);
    let tcp = tcp_sock(sock);
    if tcp.is_null() {
        // MPTCP (262), SCTP (132) and others share the tracepoint; their states follow machines of their own.
        let what = (from as u64) << 8 | to as u64;
        if claim(Hook::State, COPY, Firing { life: sock as u64, what }) {
            count(Hook::State, COPY, Outcome::Filtered);
        }
        return;
    }
    let is_clone = is_clone(from, to);
    let cookie = cookie(sock);
    // inet_csk_clone_lock() announces a child up to 6.12 while it has its listener's cookie, as all its siblings have.
    let life = if is_clone { sock as u64 } else { life(sock, cookie) };
    // A socket that connects again and again repeats its transitions, but never its sequence numbers.
    let what = u64::from(load_or_zero::<u32>(tcp, Field::WriteSeq)) << 16 | (from as u64) << 8 | to as u64;
    if claim(Hook::State, COPY, Firing { life, what }) {
        note_clone(is_clone);
        emit(context, Hook::State, COPY, |record| {
            fill(record, tcp, cookie);
            record.from = from as u8;
            record.to = to as u8;
            // Only there they make a difference.
            if is_clone {
                record.detail = match takes_fast_open(tcp) {
                    Some(true) => fast_open::POSSIBLE,
                    Some(false) => fast_open::OFF,
                    None => 0,
                };
            } else if to == i32::from(tcp_state::CLOSE) || to == i32::from(tcp_state::ESTABLISHED) {
                record.detail = match load_bit(tcp, repair_bit()) {
                    Some(true) => repair::ON,
                    Some(false) => repair::OFF,
                    None => 0,
                };
                // Who has sent no SYN of its own has sent no text on it.
                let unknown = from == i32::from(tcp_state::SYN_SENT);
                if to == i32::from(tcp_state::ESTABLISHED) && load_bit(tcp, syn_data_bit()).unwrap_or(unknown)
                {
                    record.bits |= bits::SYN_DATA;
                }
            } else if to == i32::from(tcp_state::SYN_SENT)
                && load_bit(tcp, fastopen_connect_bit()) == Some(true)
            {
                record.bits |= bits::SYN_DEFERRED;
            }
        });
    }
}

/// A child is announced: its state was copied from the listener, and now is its own.
#[inline(always)]
fn is_clone(from: i32, to: i32) -> bool {
    from == i32::from(tcp_state::LISTEN) && to == i32::from(tcp_state::SYN_RECV)
}

/// Whether listeners of the socket's namespace may take Fast Open (tcp_try_fastopen).
#[inline(always)]
fn takes_fast_open(tcp: Kernel) -> Option<bool> {
    let switches: u32 = load(socket::net(tcp)?, Field::FastOpenSysctl)?;
    Some(switches & fast_open::SERVER_ENABLE != 0)
}

/// `tcp_destroy_sock(struct sock *sk)`, from `tcp_v4_destroy_sock()`: every full TCP socket ends here.
#[inline(always)]
fn destroy<const COPY: u8>(context: &BtfTracePointContext) {
    let sock: Kernel = context.arg(0);
    let tcp = tcp_sock(sock);
    let cookie = cookie(sock);
    if !claim(Hook::Destroy, COPY, Firing { life: life(sock, cookie), what: 0 }) {
        return;
    }
    if tcp.is_null() {
        count(Hook::Destroy, COPY, Outcome::Filtered);
        return;
    }
    emit(context, Hook::Destroy, COPY, |record| {
        fill(record, tcp, cookie);
        stay(record, load_or_zero(tcp, Field::State));
    });
}
