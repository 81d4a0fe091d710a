//! Timers.

use model::profile::R2;
use model::tcb::Fin;
use model::{CallError, Effect, Event, Signal, State, Tcb, Timer};

use crate::row::{Row, row};
use crate::support::{in_flight, passive, tcb};

const SECOND: u64 = 1_000_000;

fn with(mut tcb: Tcb, timer: Timer) -> Tcb {
    tcb.timers = tcb.timers.with(timer);
    tcb
}

fn queued(mut tcb: Tcb, octets: u32, window: u32) -> Tcb {
    (tcb.snd.queued, tcb.snd.pushed, tcb.snd.wnd) = (octets, octets, window);
    tcb
}

/// Retransmitted for the first time at time 0, and unanswered since.
fn retried(mut tcb: Tcb, times: u8) -> Tcb {
    tcb.rtt.retransmits = times;
    tcb
}

fn idle(probes: u8) -> Tcb {
    let mut tcb = with(tcb(State::Established), Timer::KeepAlive);
    tcb.config.keep_alive = Some(7_200 * SECOND);
    tcb.rtt.keep_alive_probes = probes;
    tcb
}

pub fn rows() -> Vec<Row> {
    let expires = Event::Expires;
    let mut orphan = with(tcb(State::FinWait2), Timer::FinWait2);
    orphan.rcv.reader_gone = true;
    let timed = {
        let mut tcb = in_flight(State::Established, 100);
        tcb.rtt.timing = Some((tcb.snd.nxt, 0));
        tcb
    };
    let mut delayed = with(tcb(State::Established), Timer::DelayedAck);
    delayed.rcv.unacked = 10;
    let timed_out = [Signal::SendFailed(CallError::TimedOut), Signal::Aborted(CallError::TimedOut)];
    let mut rows = vec![
        row("tmo-user", with(in_flight(State::Established, 10), Timer::User), expires(Timer::User))
            .next(State::Closed)
            .signals(&[Signal::SendFailed(CallError::UserTimeout), Signal::Aborted(CallError::UserTimeout)]),
        row("tmo-user", with(in_flight(State::Established, 10), Timer::User), expires(Timer::User))
            .profile(|p| p.user_timeout_resets = true)
            .next(State::Closed)
            .sends(&["<SEQ=1011><CTL=RST>"]),
        row("tmo-rtx", tcb(State::SynSent), expires(Timer::Retransmit)).sends(&["<SEQ=1000><CTL=SYN>"]),
        row("tmo-rtx", passive(State::SynReceived), expires(Timer::Retransmit))
            .sends(&["<SEQ=1000><ACK=5001><CTL=SYN,ACK>"]),
        // Backoff, and Karn: the measurement is given up.
        row("tmo-rtx", timed, expires(Timer::Retransmit))
            .sends(&["<SEQ=1001><ACK=5001><TEXT=100><CTL=PSH,ACK>"])
            .holds(|tcb, out| {
                tcb.rtt.rto == 2 * SECOND
                    && tcb.rtt.timing.is_none()
                    && out.contains(&Effect::Start(Timer::Retransmit, 2 * SECOND))
            }),
        row("tmo-rtx", in_flight(State::Established, 2_500), expires(Timer::Retransmit))
            .sends(&["<SEQ=1001><ACK=5001><TEXT=1000><CTL=ACK>"]),
        row("tmo-rtx", retried(in_flight(State::Established, 10), 2), expires(Timer::Retransmit))
            .now(SECOND)
            .sends(&["<SEQ=1001><ACK=5001><TEXT=10><CTL=PSH,ACK>"])
            .signals(&[Signal::DeliveryProblem]),
        row("tmo-r2", retried(in_flight(State::Established, 10), 5), expires(Timer::Retransmit))
            .now(100 * SECOND)
            .next(State::Closed)
            .signals(&timed_out),
        // R2 lies beyond R1, however long it took.
        row("tmo-rtx", retried(in_flight(State::Established, 10), 3), expires(Timer::Retransmit))
            .now(100 * SECOND)
            .sends(&["<SEQ=1001><ACK=5001><TEXT=10><CTL=PSH,ACK>"]),
        row("tmo-rtx", retried(tcb(State::SynSent), 5), expires(Timer::Retransmit))
            .now(179 * SECOND)
            .sends(&["<SEQ=1000><CTL=SYN>"]),
        row("tmo-r2", retried(tcb(State::SynSent), 5), expires(Timer::Retransmit))
            .now(180 * SECOND)
            .next(State::Closed)
            .signals(&timed_out),
        row("tmo-r2", retried(passive(State::SynReceived), 5), expires(Timer::Retransmit))
            .profile(|p| p.limits.r2_syn_ack = R2::Count(5))
            .next(State::Closed),
        row("tmo-tw", tcb(State::TimeWait), expires(Timer::TimeWait)).next(State::Closed).signals(&[]),
        row("tmo-dack", delayed, expires(Timer::DelayedAck)).sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"]),
        row(
            "tmo-persist",
            with(queued(tcb(State::Established), 10, 0), Timer::Persist),
            expires(Timer::Persist),
        )
        .sends(&["<SEQ=1001><ACK=5001><TEXT=1><CTL=ACK>"])
        .holds(|tcb, out| {
            tcb.snd.queued == 9
                && tcb.in_flight()
                && !tcb.timers.has(Timer::Retransmit)
                && out.contains(&Effect::Start(Timer::Persist, 2 * SECOND))
        }),
        row(
            "tmo-persist",
            with(queued(in_flight(State::CloseWait, 5), 10, 0), Timer::Persist),
            expires(Timer::Persist),
        )
        .sends(&["<SEQ=1001><ACK=5002><TEXT=1><CTL=ACK>"]),
        row(
            "tmo-persist",
            {
                let mut tcb = with(queued(tcb(State::FinWait1), 0, 0), Timer::Persist);
                (tcb.snd.fin, tcb.snd.nxt) = (Fin::Wanted, tcb.snd.una);
                tcb.timers = tcb.timers.without(Timer::Retransmit);
                tcb
            },
            expires(Timer::Persist),
        )
        .sends(&["<SEQ=1001><ACK=5001><CTL=FIN,ACK>"]),
        // 400 octets of window for 500 of text: less than half of the largest window, so held back until now.
        row(
            "tmo-sws",
            with(queued(tcb(State::Established), 500, 400), Timer::SwsOverride),
            expires(Timer::SwsOverride),
        )
        .sends(&["<SEQ=1001><ACK=5001><TEXT=400><CTL=ACK>"]),
        row("tmo-keep", idle(0), expires(Timer::KeepAlive)).sends(&["<SEQ=1000><ACK=5001><CTL=ACK>"]).holds(
            |tcb, out| {
                tcb.rtt.keep_alive_probes == 1 && out.contains(&Effect::Start(Timer::KeepAlive, 75 * SECOND))
            },
        ),
        row("tmo-keep", idle(9), expires(Timer::KeepAlive))
            .next(State::Closed)
            .signals(&[Signal::Aborted(CallError::TimedOut)]),
        row("tmo-fw2", orphan, expires(Timer::FinWait2))
            .profile(|p| *p = model::profile::LINUX)
            .next(State::Closed),
    ];
    for state in [State::FinWait1, State::Closing, State::LastAck] {
        rows.push(
            row("tmo-r2", retried(tcb(state), 15), expires(Timer::Retransmit))
                .profile(|p| p.limits.r2 = R2::Count(15))
                .next(State::Closed)
                .signals(&timed_out),
        );
    }
    rows
}

#[test]
fn a_timer_that_does_not_run_changes_nothing() {
    for timer in Timer::ALL {
        let before = tcb(State::Established);
        let mut after = before;
        let mut out = model::Effects::new();
        let trail = model::step(
            &mut after,
            0,
            &Event::Expires(timer),
            &model::profile::RFC9293_INTENT,
            &model::Choices::default(),
            &mut out,
        );
        assert!(trail.as_slice().is_empty() && out.is_empty() && after == before, "{timer:?}");
    }
}
