//! One TCB per state, with numbers that are easy to read: our ISS is 1000, the peer's 5000, windows are 10,000.
#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::allow_attributes, reason = "what is unused differs from binary to binary")]

use model::tcb::{Fin, Recent, TimerSet};
use model::{Config, Origin, Remote, Segment, Seq, State, Tcb, Timer};

pub const CONFIG: Config =
    Config { mss: 1000, default_mss: 536, receive_buffer: 10_000, send_buffer: 20_000, ..Config::DEFAULT };

/// A TCB as the machine itself leaves it in this state: nothing queued, nothing unread.
pub fn tcb(state: State) -> Tcb {
    let mut tcb =
        Tcb { state, origin: Origin::Active, remote: Remote::Specified, config: CONFIG, ..Tcb::closed() };
    tcb.rtt.rto = 1_000_000;
    let arm = |timers: TimerSet| timers.with(Timer::Retransmit);
    match state {
        State::Closed => return Tcb::closed(),
        State::Listen => return Tcb::listening(CONFIG, Remote::Unspecified),
        State::SynSent | State::SynReceived => {
            (tcb.snd.iss, tcb.snd.una, tcb.snd.nxt) = (Seq(1000), Seq(1000), Seq(1001));
            tcb.rcv.wnd = 10_000;
            tcb.timers = arm(tcb.timers);
            tcb.agreed.peer_mss = 1000;
            if state == State::SynReceived {
                (tcb.rcv.irs, tcb.rcv.nxt, tcb.rcv.last_ack) = (Seq(5000), Seq(5001), Seq(5001));
                (tcb.snd.wl1, tcb.snd.wl2) = (Seq(5000), Seq(1000));
                (tcb.snd.wnd, tcb.snd.max_wnd) = (10_000, 10_000);
            }
            return tcb;
        }
        _ => {}
    }
    (tcb.snd.iss, tcb.snd.una, tcb.snd.nxt) = (Seq(1000), Seq(1001), Seq(1001));
    (tcb.snd.wnd, tcb.snd.max_wnd) = (10_000, 10_000);
    (tcb.snd.wl1, tcb.snd.wl2) = (Seq(5001), Seq(1001));
    (tcb.rcv.irs, tcb.rcv.nxt, tcb.rcv.last_ack) = (Seq(5000), Seq(5001), Seq(5001));
    tcb.rcv.wnd = 10_000;
    tcb.agreed.peer_mss = 1000;
    let fin_received = matches!(state, State::CloseWait | State::Closing | State::LastAck | State::TimeWait);
    if fin_received {
        (tcb.rcv.nxt, tcb.rcv.last_ack) = (Seq(5002), Seq(5002));
        tcb.rcv.unread_fins.count = 1;
    }
    if !matches!(state, State::Established | State::CloseWait) {
        tcb.snd.fin = Fin::Sent;
        tcb.snd.nxt = Seq(1002);
        if matches!(state, State::FinWait2 | State::TimeWait) {
            tcb.snd.una = Seq(1002);
        } else {
            tcb.timers = arm(tcb.timers);
        }
    }
    if state == State::TimeWait {
        tcb.timers = tcb.timers.with(Timer::TimeWait);
    }
    tcb
}

/// The same, of a connection that was opened passively.
pub fn passive(state: State) -> Tcb {
    Tcb { origin: Origin::Passive, ..tcb(state) }
}

/// The same, with `len` octets sent and not acknowledged.
pub fn in_flight(state: State, len: u32) -> Tcb {
    let mut tcb = tcb(state);
    tcb.snd.nxt += len;
    tcb.timers = tcb.timers.with(Timer::Retransmit);
    tcb
}

/// The same, with timestamps agreed and TS.Recent at `recent`.
pub fn stamped(state: State, recent: u32) -> Tcb {
    let mut tcb = tcb(state);
    tcb.config.timestamps = true;
    tcb.agreed.timestamps = Some(Recent { value: recent, since: 0 });
    tcb
}

/// The segment with a timestamps option.
pub fn with_stamp(mut segment: Segment, value: u32) -> Segment {
    segment.options.timestamps = Some(model::segment::Timestamps { value, echo: 0 });
    segment
}
