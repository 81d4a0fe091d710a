//! `timer:timer_start`, `timer_cancel` and `timer_expire_entry`: the lives of timewait and request minisockets.
//!
//! Every timer of the kernel comes by here, also those of a bulk transfer, so the first thing is one load and two
//! compares.

use aya_ebpf::{helpers::generated::bpf_jiffies64, programs::BtfTracePointContext};
use tracer_ebpf::{Field, Hook, Outcome, uapi::tcp_state};

use super::{
    caller, copies,
    emit::emit,
    kernel::{Kernel, load_or_zero, number},
    maps::{count, has_cloned, minisocket_room, offset, request_timer, timewait_timer},
    minisocket::{self, Copied, Minisocket},
};

/// These hooks do not nest, and one copy of each handler is enough: a timer starts and stops under its base's lock, with
/// interrupts off, and expires in TIMER_SOFTIRQ, which is not entered again before it is done.
const COPY: u8 = 0;

copies!("tp_btf/timer_start", start: timer_start_0 = 0);
copies!("tp_btf/timer_cancel", cancel: timer_cancel_0 = 0);
copies!("tp_btf/timer_expire_entry", expire: timer_expire_0 = 0);

/// `timer_start(struct timer_list *timer, ...)`.
#[inline(always)]
fn start<const COPY: u8>(context: &BtfTracePointContext) {
    timer(context, Hook::TimerStart);
}

/// `timer_cancel(struct timer_list *timer)`, from `detach_timer()`: the expiry comes through here first.
#[inline(always)]
fn cancel<const COPY: u8>(context: &BtfTracePointContext) {
    timer(context, Hook::TimerCancel);
}

/// `timer_expire_entry(struct timer_list *timer, ...)`.
#[inline(always)]
fn expire<const COPY: u8>(context: &BtfTracePointContext) {
    timer(context, Hook::TimerExpire);
}

#[inline(always)]
fn timer(context: &BtfTracePointContext, hook: Hook) {
    let timer: Kernel = context.arg(0);
    let function: u64 = load_or_zero(timer, Field::TimerFunction);
    let (kind, member) = if function == timewait_timer() {
        (Minisocket::Timewait, Field::TimewaitTimer)
    } else if function == request_timer() {
        (Minisocket::Request, Field::RequestTimer)
    } else {
        count(hook, COPY, Outcome::Filtered);
        return;
    };
    let expires: u64 = load_or_zero(timer, Field::TimerExpires);
    let Some(room) = minisocket_room(hook, COPY) else { return };
    let address = number(timer, room).wrapping_sub(u64::from(offset(member)));
    let minisocket = Copied::new(address, room);
    let mut was_orphan = false;
    if matches!(kind, Minisocket::Timewait) {
        let substate: u8 = minisocket.load(Field::TimewaitSubstate);
        if matches!(hook, Hook::TimerStart) && substate == tcp_state::FIN_WAIT2 {
            minisocket::watch(address, minisocket.cookie());
        } else {
            was_orphan = minisocket::unwatch(address);
        }
    }
    // The usual ends need no explanation, and a walk through the stack costs microseconds: a request that has become a
    // child, and a timer whose time is over. The wheel runs it up to some seconds late; who stops it meanwhile is missed.
    // An orphan's minisocket that is TIME_WAIT by now starts its timer over (inet_twsk_reschedule); where the FIN has
    // moved no timer and no sweep has come since, who stops it is missed too.
    let is_complete = matches!(kind, Minisocket::Request) && has_cloned();
    let ends = !is_complete && !matches!(hook, Hook::TimerStart);
    let starts_over = was_orphan && minisocket.load::<u8>(Field::TimewaitSubstate) == tcp_state::TIME_WAIT;
    let is_early = ends && matches!(hook, Hook::TimerCancel) && !starts_over && jiffies() < expires;
    let caller = if is_early { caller::find(context) } else { 0 };
    emit(context, hook, COPY, |record| {
        minisocket::fill(record, &minisocket, kind);
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
