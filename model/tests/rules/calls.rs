//! User calls.

use model::effect::{Delivery, Done, Status};
use model::profile::{AfterReset, LastAckEntry, SecondListen};
use model::tcb::Fin;
use model::{Call, CallError, Effect, Event, Origin, Remote, Seq, Signal, State, Tcb, Timer};

use crate::row::{Row, row};
use crate::support::{CONFIG, in_flight, passive, tcb};

fn call(call: Call) -> Event {
    Event::Call(call)
}

fn open(origin: Origin, remote: Remote) -> Call {
    Call::Open { origin, remote, config: CONFIG, admission: Ok(()) }
}

fn open_refused(error: CallError) -> Call {
    Call::Open { origin: Origin::Active, remote: Remote::Specified, config: CONFIG, admission: Err(error) }
}

fn send_to(remote: Remote) -> Call {
    Call::Send { len: 10, push: true, urgent: false, remote, admission: Ok(()) }
}

fn send_refused(error: CallError) -> Call {
    Call::Send { len: 10, push: true, urgent: false, remote: Remote::Unspecified, admission: Err(error) }
}

/// Text of the peer that nobody has read yet.
fn unread(state: State, octets: u32) -> Tcb {
    let mut tcb = tcb(state);
    tcb.rcv.nxt += octets;
    tcb.rcv.wnd -= octets;
    tcb.rcv.readable = octets;
    tcb
}

fn queued(state: State, octets: u32) -> Tcb {
    let mut tcb = tcb(state);
    (tcb.snd.queued, tcb.snd.pushed) = (octets, octets);
    tcb
}

/// The peer's window is closed: what is queued stays.
fn queued_at_closed_window(state: State, octets: u32) -> Tcb {
    let mut tcb = queued(state, octets);
    tcb.snd.wnd = 0;
    tcb
}

const SYNCHRONIZED_AND_HALF_OPEN: [State; 9] = [
    State::SynSent,
    State::SynReceived,
    State::Established,
    State::FinWait1,
    State::FinWait2,
    State::CloseWait,
    State::Closing,
    State::LastAck,
    State::TimeWait,
];
const CLOSED_BY_BOTH: [State; 3] = [State::Closing, State::LastAck, State::TimeWait];

pub fn rows() -> Vec<Row> {
    [opens(), sends(), receives(), closes(), aborts(), statuses()].into_iter().flatten().collect()
}

fn opens() -> Vec<Row> {
    let patient = model::Config { fast_open: true, ..CONFIG };
    let mut rows = vec![
        row("open-1", tcb(State::Closed), call(Call::listen(CONFIG)))
            .next(State::Listen)
            .reply(Ok(Done::Queued)),
        row("open-2", tcb(State::Closed), call(Call::connect(CONFIG)))
            .next(State::SynSent)
            .sends(&["<SEQ=1000><CTL=SYN>"])
            .reply(Ok(Done::Queued))
            .holds(|tcb, out| {
                tcb.origin == Origin::Active
                    && (tcb.snd.una, tcb.snd.nxt) == (Seq(1000), Seq(1001))
                    && out.contains(&Effect::Start(Timer::Retransmit, 1_000_000))
            }),
        // Fast Open puts the SYN off until there is text for it; both the user and the profile have to want that.
        row("open-2", tcb(State::Closed), call(Call::connect(patient)))
            .profile(|p| p.fast_open = true)
            .next(State::SynSent)
            .holds(|tcb, _| tcb.snd.nxt == tcb.snd.iss),
        row("open-2", tcb(State::Closed), call(Call::connect(patient)))
            .next(State::SynSent)
            .sends(&["<SEQ=1000><CTL=SYN>"]),
        row("open-2", tcb(State::Closed), call(Call::connect(CONFIG)))
            .profile(|p| p.fast_open = true)
            .next(State::SynSent)
            .sends(&["<SEQ=1000><CTL=SYN>"]),
        row("open-3", tcb(State::Closed), call(open(Origin::Active, Remote::Unspecified)))
            .refused(CallError::RemoteUnspecified),
        row("open-4", tcb(State::Closed), call(open(Origin::Active, Remote::Forbidden)))
            .refused(CallError::RemoteForbidden),
        row("open-5", tcb(State::Listen), call(Call::connect(CONFIG)))
            .next(State::SynSent)
            .sends(&["<SEQ=1000><CTL=SYN>"])
            .holds(|tcb, _| tcb.origin == Origin::Active),
        row("open-6", tcb(State::Listen), call(open(Origin::Active, Remote::Unspecified)))
            .refused(CallError::RemoteUnspecified),
        row("open-6", tcb(State::Listen), call(open_refused(CallError::InsufficientResources)))
            .refused(CallError::InsufficientResources),
        row("open-7", tcb(State::Listen), call(Call::listen(CONFIG))).refused(CallError::AlreadyExists),
        row("open-7", tcb(State::Listen), call(Call::listen(CONFIG)))
            .profile(|p| p.second_listen = SecondListen::AnotherTcb)
            .reply(Ok(Done::Second)),
    ];
    for error in
        [CallError::NoAccess, CallError::InsufficientResources, CallError::BadDscp, CallError::BadCompartment]
    {
        rows.push(row("open-4", tcb(State::Closed), call(open_refused(error))).refused(error));
    }
    for state in SYNCHRONIZED_AND_HALF_OPEN {
        rows.push(row("open-8", tcb(state), call(Call::connect(CONFIG))).refused(CallError::AlreadyExists));
    }
    rows
}

fn sends() -> Vec<Row> {
    let urgent =
        Call::Send { len: 10, push: true, urgent: true, remote: Remote::Unspecified, admission: Ok(()) };
    let mut put_off = CONFIG;
    put_off.fast_open = true;
    let mut deferred = tcb(State::SynSent);
    (deferred.snd.nxt, deferred.config) = (Seq(1000), put_off);
    let mut taken = passive(State::SynReceived);
    (taken.rcv.nxt, taken.rcv.readable) = (Seq(5021), 20);
    let mut urgent_before = in_flight(State::Established, 10);
    urgent_before.snd.up = Some(Seq(1005));
    let mut rows = vec![
        row("send-1", tcb(State::Closed), call(Call::send(10))).refused(CallError::DoesNotExist),
        row("send-1", tcb(State::Closed), call(send_refused(CallError::NoAccess)))
            .refused(CallError::NoAccess),
        row("send-2", tcb(State::Listen), call(send_to(Remote::Specified)))
            .next(State::SynSent)
            .sends(&["<SEQ=1000><CTL=SYN>"])
            .holds(|tcb, _| tcb.snd.queued == 10 && tcb.origin == Origin::Active),
        row("send-2", tcb(State::Listen), call(send_to(Remote::Specified)))
            .choose(|c| c.text_on_syn = true)
            .next(State::SynSent)
            .sends(&["<SEQ=1000><TEXT=10><CTL=SYN>"])
            .holds(|tcb, _| (tcb.snd.queued, tcb.snd.pushed) == (0, 0) && tcb.snd.nxt == Seq(1011)),
        row(
            "send-3",
            tcb(State::Listen),
            call(Call::Send {
                len: 20_001,
                push: true,
                urgent: false,
                remote: Remote::Specified,
                admission: Ok(()),
            }),
        )
        .refused(CallError::InsufficientResources),
        row("send-3", tcb(State::Listen), call(Call::send(10))).refused(CallError::RemoteUnspecified),
        row("send-3", tcb(State::Listen), call(send_refused(CallError::InsufficientResources)))
            .refused(CallError::InsufficientResources),
        row("send-4", tcb(State::SynSent), call(Call::send(10)))
            .reply(Ok(Done::Queued))
            .holds(|tcb, _| tcb.snd.queued == 10),
        row("send-4", tcb(State::SynReceived), call(Call::send(20_001)))
            .refused(CallError::InsufficientResources),
        row("send-4", deferred, call(Call::send(10)))
            .profile(|p| p.fast_open = true)
            .choose(|c| c.fast_open = Some(model::segment::FastOpen::Cookie(7)))
            .sends(&["<SEQ=1000><TEXT=10><CTL=SYN>"]),
        // Urgent text behind a SYN that has not left: the pointer counts the SYN.
        row("send-4", deferred, call(urgent))
            .profile(|p| p.fast_open = true)
            .choose(|c| c.fast_open = Some(model::segment::FastOpen::Request))
            .sends(&["<SEQ=1000><CTL=SYN>"])
            .holds(|tcb, _| tcb.snd.up == Some(Seq(1011))),
        // Fast Open: a server that has taken the SYN's text may answer before the handshake ends. Nobody else may.
        row("send-4", taken, call(Call::send(1_000)))
            .profile(|p| p.fast_open = true)
            .sends(&["<SEQ=1001><ACK=5021><TEXT=1000><CTL=PSH,ACK>"]),
        row("send-4", taken, call(Call::send(1_000))),
        row("send-4", passive(State::SynReceived), call(Call::send(1_000))).profile(|p| p.fast_open = true),
        row("send-4", Tcb { origin: Origin::Active, ..taken }, call(Call::send(1_000)))
            .profile(|p| p.fast_open = true),
        // The text that the pointer ends in is behind: not urgent any more.
        row("send-5", urgent_before, call(Call::send(1_000)))
            .sends(&["<SEQ=1011><ACK=5001><TEXT=1000><CTL=PSH,ACK>"]),
        row("send-5", tcb(State::Established), call(Call::send(10)))
            .sends(&["<SEQ=1001><ACK=5001><TEXT=10><CTL=PSH,ACK>"])
            .holds(|tcb, _| tcb.snd.nxt == Seq(1011)),
        // Nagle: a full segment goes, the rest waits for the ACK.
        row("send-5", tcb(State::CloseWait), call(Call::send(1_500)))
            .sends(&["<SEQ=1001><ACK=5002><TEXT=1000><CTL=ACK>"])
            .holds(|tcb, _| tcb.snd.queued == 500),
        row("send-5", tcb(State::Established), call(urgent))
            .sends(&["<SEQ=1001><ACK=5001><TEXT=10><CTL=PSH,ACK,URG>"])
            .holds(|tcb, out| {
                tcb.snd.up == Some(Seq(1011))
                    && out.iter().any(|e| matches!(e, Effect::Send(s) if s.urgent == 10))
            }),
        row("send-5", queued_at_closed_window(State::Established, 10), call(Call::send(10)))
            .holds(|tcb, _| tcb.timers.has(Timer::Persist)),
        row("send-5", tcb(State::Established), call(Call::send(20_001)))
            .refused(CallError::InsufficientResources),
        row("send-5", tcb(State::Established), call(Call::send(5_000)))
            .choose(|c| c.congestion_window = 2_000)
            .sends(&["<SEQ=1001><ACK=5001><TEXT=1000><CTL=ACK>", "<SEQ=2001><ACK=5001><TEXT=1000><CTL=ACK>"]),
    ];
    for state in [State::FinWait1, State::FinWait2, State::Closing, State::LastAck, State::TimeWait] {
        rows.push(row("send-6", tcb(state), call(Call::send(10))).refused(CallError::Closing));
    }
    rows
}

fn receives() -> Vec<Row> {
    let delivery = |seq, len| Delivery { seq: Seq(seq), len, push: false, urgent: false };
    let mut after_fin = tcb(State::CloseWait);
    (after_fin.rcv.nxt, after_fin.rcv.readable) = (Seq(5012), 10);
    let mut early = unread(State::SynReceived, 20);
    early.origin = Origin::Passive;
    let mut pushed = unread(State::Established, 10);
    pushed.rcv.push = true;
    let nothing_pushed = Tcb {
        rcv: model::tcb::ReceiveSpace { push: true, ..tcb(State::Established).rcv },
        ..tcb(State::Established)
    };
    let mut urgent = unread(State::Established, 10);
    urgent.rcv.up = Some(Seq(5006));
    let mut full = unread(State::Established, 9_500);
    full.config.receive_buffer = 10_000;
    let mut rows = vec![
        row("recv-1", tcb(State::Closed), call(Call::receive(10))).refused(CallError::DoesNotExist),
        row(
            "recv-1",
            tcb(State::Closed),
            call(Call::Receive { len: 10, admission: Err(CallError::NoAccess) }),
        )
        .refused(CallError::NoAccess),
        // Fast Open delivers before the handshake ends.
        row("recv-2", early, call(Call::receive(10))).reply(Ok(Done::Received(delivery(5001, 10)))),
        row("recv-2", early, call(Call::receive(21))).reply(Ok(Done::Queued)),
        row("recv-2", tcb(State::Listen), call(Call::receive(0))).reply(Ok(Done::Queued)),
        // A PUSH is enough for a RECEIVE that asked for more; once it is read it is gone.
        row("recv-3", pushed, call(Call::receive(20)))
            .reply(Ok(Done::Received(Delivery { push: true, ..delivery(5001, 10) })))
            .holds(|tcb, _| !tcb.rcv.push),
        row("recv-3", pushed, call(Call::receive(4)))
            .reply(Ok(Done::Received(delivery(5001, 4))))
            .holds(|tcb, _| tcb.rcv.push),
        row("recv-4", nothing_pushed, call(Call::receive(20))).reply(Ok(Done::Queued)),
        // Urgent data ends before 5006: ahead after four octets, behind after five.
        row("recv-3", urgent, call(Call::receive(4)))
            .reply(Ok(Done::Received(Delivery { urgent: true, ..delivery(5001, 4) })))
            .holds(|tcb, _| tcb.rcv.up == Some(Seq(5006))),
        row("recv-3", urgent, call(Call::receive(5)))
            .reply(Ok(Done::Received(delivery(5001, 5))))
            .holds(|tcb, _| tcb.rcv.up.is_none()),
        row("recv-2", tcb(State::Listen), call(Call::receive(10)))
            .reply(Ok(Done::Queued))
            .holds(|tcb, _| tcb.rcv.wanted == 10),
        row("recv-2", tcb(State::SynSent), call(Call::receive(10))).reply(Ok(Done::Queued)),
        row(
            "recv-2",
            tcb(State::SynReceived),
            call(Call::Receive { len: 10, admission: Err(CallError::InsufficientResources) }),
        )
        .refused(CallError::InsufficientResources),
        row("recv-3", unread(State::FinWait1, 10), call(Call::receive(10)))
            .reply(Ok(Done::Received(delivery(5001, 10)))),
        row("recv-3", unread(State::FinWait2, 10), call(Call::receive(4)))
            .reply(Ok(Done::Received(delivery(5001, 4))))
            .holds(|tcb, _| tcb.rcv.readable == 6),
        // The window had all but closed: the peer is told that it is open again, and not for a few octets.
        row("recv-3", full, call(Call::receive(9_500)))
            .sends(&["<SEQ=1001><ACK=14501><CTL=ACK>"])
            .holds(|tcb, _| tcb.rcv.wnd == 10_000),
        row("recv-3", full, call(Call::receive(500))).holds(|tcb, _| tcb.rcv.wnd == 500),
        row("recv-4", unread(State::Established, 10), call(Call::receive(11))).reply(Ok(Done::Queued)),
        row("recv-5", after_fin, call(Call::receive(20))).reply(Ok(Done::Received(delivery(5001, 10)))),
        row("recv-6", tcb(State::CloseWait), call(Call::receive(1))).refused(CallError::Closing),
    ];
    let mut late = tcb(State::TimeWait);
    (late.rcv.nxt, late.rcv.readable) = (Seq(5012), 10);
    rows.push(row("recv-7", late, call(Call::receive(10))).reply(Ok(Done::Received(delivery(5001, 10)))));
    rows.push(
        row("recv-7", late, call(Call::receive(10)))
            .profile(|p| *p = model::profile::RFC9293_LITERAL)
            .refused(CallError::Closing),
    );
    for state in CLOSED_BY_BOTH {
        rows.push(row("recv-7", tcb(state), call(Call::receive(1))).refused(CallError::Closing));
    }
    rows
}

fn closes() -> Vec<Row> {
    let mut waiting = tcb(State::Listen);
    waiting.rcv.wanted = 5;
    let mut connecting = queued(State::SynSent, 10);
    connecting.rcv.wanted = 5;
    let failed = [Signal::ReceiveFailed(CallError::Closing)];
    let mut filling = queued(State::Established, 10);
    filling.snd.wnd = 10;
    let mut rows = vec![
        row("close-1", tcb(State::Closed), call(Call::CLOSE)).refused(CallError::DoesNotExist),
        row("close-1", tcb(State::Closed), call(Call::CLOSE_BOTH))
            .refused(CallError::DoesNotExist)
            .holds(|tcb, _| *tcb == Tcb::closed()),
        row("close-2", waiting, call(Call::CLOSE)).next(State::Closed).signals(&failed),
        row("close-3", connecting, call(Call::CLOSE))
            .next(State::Closed)
            .signals(&[Signal::ReceiveFailed(CallError::Closing), Signal::SendFailed(CallError::Closing)]),
        row("close-4", tcb(State::SynReceived), call(Call::CLOSE))
            .next(State::FinWait1)
            .sends(&["<SEQ=1001><ACK=5001><CTL=FIN,ACK>"]),
        row("close-5", queued(State::SynReceived, 10), call(Call::CLOSE))
            .reply(Ok(Done::Queued))
            .holds(|tcb, _| tcb.snd.fin == Fin::Wanted),
        row("close-6", tcb(State::Established), call(Call::CLOSE))
            .next(State::FinWait1)
            .sends(&["<SEQ=1001><ACK=5001><CTL=FIN,ACK>"])
            .holds(|tcb, _| tcb.snd.nxt == Seq(1002)),
        // The round trip is measured to the ACK of the FIN: the text before it may have been sent twice.
        row("close-6", in_flight(State::Established, 10), call(Call::CLOSE))
            .next(State::FinWait1)
            .sends(&["<SEQ=1011><ACK=5001><CTL=FIN,ACK>"])
            .holds(|tcb, _| tcb.rtt.timing == Some((Seq(1012), 0))),
        // FIN-WAIT-1 with a FIN that cannot leave yet.
        row("close-6", queued_at_closed_window(State::Established, 10), call(Call::CLOSE))
            .next(State::FinWait1)
            .holds(|tcb, _| tcb.snd.fin == Fin::Wanted && tcb.timers.has(Timer::Persist)),
        row("close-7", tcb(State::FinWait1), call(Call::CLOSE)).reply(Ok(Done::Ok)),
        row("close-7", tcb(State::FinWait2), call(Call::CLOSE)).reply(Ok(Done::Ok)),
        row("close-8", tcb(State::CloseWait), call(Call::CLOSE))
            .next(State::LastAck)
            .sends(&["<SEQ=1001><ACK=5002><CTL=FIN,ACK>"]),
        row("close-9", queued_at_closed_window(State::CloseWait, 10), call(Call::CLOSE))
            .holds(|tcb, _| tcb.snd.fin == Fin::Wanted),
        row("close-9", queued(State::CloseWait, 10), call(Call::CLOSE))
            .next(State::LastAck)
            .sends(&["<SEQ=1001><ACK=5002><TEXT=10><CTL=FIN,PSH,ACK>"]),
        row("close-9", queued_at_closed_window(State::CloseWait, 10), call(Call::CLOSE))
            .profile(|p| p.last_ack_entry = LastAckEntry::AtOnce)
            .next(State::LastAck),
        row("close-11", unread(State::Established, 10), call(Call::CLOSE_BOTH))
            .next(State::Closed)
            .sends(&["<SEQ=1001><CTL=RST>"]),
        // Nothing is unread: an orderly close, and nobody reads any more.
        row("close-6", tcb(State::Established), call(Call::CLOSE_BOTH))
            .next(State::FinWait1)
            .sends(&["<SEQ=1001><ACK=5001><CTL=FIN,ACK>"])
            .holds(|tcb, _| tcb.rcv.reader_gone),
        // The text fills the window: the FIN has a number too, and waits.
        row("close-6", filling, call(Call::CLOSE))
            .next(State::FinWait1)
            .sends(&["<SEQ=1001><ACK=5001><TEXT=10><CTL=PSH,ACK>"])
            .holds(|tcb, _| tcb.snd.fin == Fin::Wanted),
        // The RFC's CLOSE still reads: nothing is lost, nothing is reset.
        row("close-6", unread(State::Established, 10), call(Call::CLOSE))
            .next(State::FinWait1)
            .sends(&["<SEQ=1001><ACK=5011><CTL=FIN,ACK>"]),
    ];
    for state in CLOSED_BY_BOTH {
        rows.push(row("close-10", tcb(state), call(Call::CLOSE)).refused(CallError::Closing));
    }
    rows
}

fn aborts() -> Vec<Row> {
    let mut rows = vec![
        row("abort-1", tcb(State::Closed), call(Call::Abort)).refused(CallError::DoesNotExist),
        row("abort-2", tcb(State::Listen), call(Call::Abort)).next(State::Closed),
        row("abort-2", tcb(State::SynSent), call(Call::Abort)).next(State::Closed),
        row("abort-3", passive(State::SynReceived), call(Call::Abort))
            .next(State::Closed)
            .sends(&["<SEQ=1001><CTL=RST>"]),
        row("abort-3", in_flight(State::Established, 100), call(Call::Abort))
            .next(State::Closed)
            .sends(&["<SEQ=1101><CTL=RST>"])
            .signals(&[Signal::SendFailed(CallError::Reset)]),
        row(
            "abort-3",
            {
                let mut t = tcb(State::Established);
                t.config.compartment = 3;
                t
            },
            call(Call::Abort),
        )
        .next(State::Closed)
        .sends(&["<SEQ=1001><CTL=RST>"])
        .holds(|_, out| out.iter().any(|it| matches!(it, Effect::Send(reset) if reset.compartment == 3))),
        row("abort-3", queued_at_closed_window(State::Established, 10), call(Call::Abort))
            .next(State::Closed)
            .sends(&["<SEQ=1001><CTL=RST>"])
            .signals(&[Signal::SendFailed(CallError::Reset)]),
        row("abort-3", tcb(State::Established), call(Call::Abort))
            .profile(|p| p.after_reset = AfterReset::TimeWait)
            .next(State::TimeWait)
            .sends(&["<SEQ=1001><CTL=RST>"]),
    ];
    for (state, reset) in [
        (State::FinWait1, "<SEQ=1002><CTL=RST>"),
        (State::FinWait2, "<SEQ=1002><CTL=RST>"),
        (State::CloseWait, "<SEQ=1001><CTL=RST>"),
    ] {
        rows.push(row("abort-3", tcb(state), call(Call::Abort)).next(State::Closed).sends(&[reset]));
    }
    for state in CLOSED_BY_BOTH {
        rows.push(row("abort-4", tcb(state), call(Call::Abort)).next(State::Closed).reply(Ok(Done::Ok)));
    }
    rows
}

fn statuses() -> Vec<Row> {
    let mut rows =
        vec![row("stat-1", tcb(State::Closed), call(Call::Status)).refused(CallError::DoesNotExist)];
    for state in SYNCHRONIZED_AND_HALF_OPEN {
        let tcb = tcb(state);
        let status = Status {
            state,
            send: (tcb.snd.una, tcb.snd.nxt, tcb.snd.wnd),
            receive: (tcb.rcv.nxt, tcb.rcv.wnd),
            queued: (0, 0),
        };
        rows.push(row("stat-2", tcb, call(Call::Status)).reply(Ok(Done::Status(status))));
    }
    rows
}
