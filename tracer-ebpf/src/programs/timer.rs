//! `timer:timer_start`, `timer_cancel` and `timer_expire_entry`: the lives of timewait and request minisockets.
//!
//! Every timer of the kernel comes by here, so the first thing is one load and two compares.

use aya_ebpf::{helpers::generated::bpf_jiffies64, programs::BtfTracePointContext};
use tracer_ebpf::{Field, Hook, Outcome, uapi::tcp_state};

use super::{
    caller, copies,
    emit::emit,
    kernel::{self, Kernel, load_or_zero},
    maps::{count, has_cloned, offset, request_timer, timewait_timer},
    minisocket::{self, Minisocket},
    once::{Firing, claim},
};

copies!("tp_btf/timer_start", start: timer_start_0 = 0, timer_start_1 = 1, timer_start_2 = 2, timer_start_3 = 3);
copies!("tp_btf/timer_cancel", cancel: timer_cancel_0 = 0, timer_cancel_1 = 1, timer_cancel_2 = 2, timer_cancel_3 = 3);
copies!("tp_btf/timer_expire_entry", expire: timer_expire_0 = 0, timer_expire_1 = 1, timer_expire_2 = 2, timer_expire_3 = 3);

/// `timer_start(struct timer_list *timer, ...)`.
#[inline(always)]
fn start(context: &BtfTracePointContext, copy: u8) {
    timer(context, Hook::TimerStart, copy);
}

/// `timer_cancel(struct timer_list *timer)`, from `detach_timer()`: the expiry comes through here first.
#[inline(always)]
fn cancel(context: &BtfTracePointContext, copy: u8) {
    timer(context, Hook::TimerCancel, copy);
}

/// `timer_expire_entry(struct timer_list *timer, ...)`.
#[inline(always)]
fn expire(context: &BtfTracePointContext, copy: u8) {
    timer(context, Hook::TimerExpire, copy);
}

#[inline(always)]
fn timer(context: &BtfTracePointContext, hook: Hook, copy: u8) {
    let timer: Kernel = context.arg(0);
    let function: u64 = load_or_zero(timer, Field::TimerFunction);
    let expires: u64 = load_or_zero(timer, Field::TimerExpires);
    let (kind, member) = if function == timewait_timer() {
        (Minisocket::Timewait, Field::TimewaitTimer)
    } else if function == request_timer() {
        (Minisocket::Request, Field::RequestTimer)
    } else {
        // Noted as well, so that the kernel's count of skipped runs can be told apart from lost events.
        if claim(hook, copy, Firing { life: function, what: expires }) {
            count(hook, copy, Outcome::Filtered);
        }
        return;
    };
    let address = kernel::address(context, 0).wrapping_sub(u64::from(offset(member)));
    // A re-arm repeats what was noted, but never with the same deadline.
    let cookie = minisocket::cookie(address);
    let life = address ^ cookie << 20;
    if !claim(hook, copy, Firing { life, what: expires }) {
        return;
    }
    if matches!(kind, Minisocket::Timewait) {
        if matches!(hook, Hook::TimerStart) && minisocket::substate(address) == tcp_state::FIN_WAIT2 {
            minisocket::watch(address, cookie);
        } else {
            minisocket::unwatch(address);
        }
    }
    // The usual ends need no explanation, and a walk through the stack costs microseconds: a request that has become a
    // child, and a timer whose time is over. The wheel runs it up to some seconds late; who stops it meanwhile is missed.
    let is_complete = matches!(kind, Minisocket::Request) && has_cloned();
    let ends = !is_complete && !matches!(hook, Hook::TimerStart);
    let is_early = ends && matches!(hook, Hook::TimerCancel) && jiffies() < expires;
    let caller = if is_early { caller::find(context) } else { 0 };
    emit(context, hook, copy, |record| {
        minisocket::fill(record, address, kind);
        record.reason = caller;
        match kind {
            Minisocket::Timewait => record.detail = expires,
            Minisocket::Request if ends => minisocket::fill_end(record, address),
            Minisocket::Request => {}
        }
    });
}

#[inline(always)]
fn jiffies() -> u64 {
    // SAFETY: a plain helper without arguments.
    unsafe { bpf_jiffies64() }
}
