//! Segments for CLOSED, LISTEN and SYN-SENT.

use model::{CallError, Effect, Event, Flags, Origin, Remote, Segment, Seq, Signal, State, Tcb};

use crate::row::{Row, row};
use crate::support::{CONFIG, tcb};

fn arrives(segment: Segment) -> Event {
    Event::Arrives(segment)
}

fn segment(flags: Flags, seq: u32, ack: u32) -> Segment {
    Segment::new(flags, seq, ack)
}

const FIN_SYN: Flags = Flags(0x03);

pub fn rows() -> Vec<Row> {
    [closed(), listen(), syn_sent()].into_iter().flatten().collect()
}

fn closed() -> Vec<Row> {
    vec![
        row("seg-cl-1", Tcb::closed(), arrives(segment(Flags::RST, 5000, 0))),
        row("seg-cl-2", Tcb::closed(), arrives(segment(Flags::SYN, 5000, 0)))
            .sends(&["<SEQ=0><ACK=5001><CTL=RST,ACK>"]),
        // ACK counts the text, the SYN and the FIN.
        row("seg-cl-2", Tcb::closed(), arrives(segment(FIN_SYN, 5000, 0).text(10)))
            .sends(&["<SEQ=0><ACK=5012><CTL=RST,ACK>"]),
        row("seg-cl-3", Tcb::closed(), arrives(segment(Flags::ACK, 5000, 1234)))
            .sends(&["<SEQ=1234><CTL=RST>"]),
    ]
}

fn listen() -> Vec<Row> {
    let listener = tcb(State::Listen);
    let mut reading = listener;
    reading.rcv.wanted = 20;
    let mut secret = segment(Flags::SYN, 5000, 0);
    secret.compartment = 3;
    vec![
        row("seg-li-1", listener, arrives(segment(Flags::RST, 5000, 0))),
        row("seg-li-2c", listener, arrives(segment(Flags::ACK, 5001, 1001)))
            .profile(|p| p.syn_cookies = true)
            .choose(|c| c.valid_cookie = Some(900))
            .next(State::Established)
            .holds(|tcb, _| {
                (tcb.snd.iss, tcb.snd.una, tcb.snd.nxt) == (Seq(1000), Seq(1001), Seq(1001))
                    && (tcb.rcv.irs, tcb.rcv.nxt) == (Seq(5000), Seq(5001))
                    && tcb.agreed.peer_mss == 900
                    && tcb.rcv.last_ack == Seq(5001)
            }),
        // A cookie says nothing where the profile has none, and none comes with a SYN.
        row("seg-li-2", listener, arrives(segment(Flags::ACK, 5001, 1001)))
            .choose(|c| c.valid_cookie = Some(900))
            .sends(&["<SEQ=1001><CTL=RST>"]),
        row("seg-li-2", listener, arrives(segment(Flags::SYN_ACK, 5001, 1001)))
            .profile(|p| p.syn_cookies = true)
            .choose(|c| c.valid_cookie = Some(900))
            .sends(&["<SEQ=1001><CTL=RST>"]),
        row("seg-li-2", listener, arrives(segment(Flags::ACK, 5001, 1001)))
            .profile(|p| p.syn_cookies = true)
            .sends(&["<SEQ=1001><CTL=RST>"]),
        row("seg-li-2", listener, arrives(segment(Flags::SYN_ACK, 5001, 1001)))
            .sends(&["<SEQ=1001><CTL=RST>"]),
        row("seg-li-3", listener, arrives(secret))
            .profile(|p| p.security = true)
            .sends(&["<SEQ=0><ACK=5001><CTL=RST,ACK>"]),
        row("seg-li-3f", reading, arrives(segment(Flags::SYN, 5000, 0).text(20)))
            .profile(|p| p.fast_open = true)
            .choose(|c| c.valid_fast_open = true)
            .next(State::SynReceived)
            .sends(&["<SEQ=1000><ACK=5021><CTL=SYN,ACK>"])
            .holds(|_, out| {
                out.iter().any(
                    |e| matches!(e, Effect::Signal(Signal::Received(d)) if d.len == 20 && d.seq == Seq(5001)),
                )
            }),
        row("seg-li-3c", listener, arrives(segment(Flags::SYN, 5000, 0)))
            .profile(|p| p.syn_cookies = true)
            .sends(&["<SEQ=1000><ACK=5001><CTL=SYN,ACK>"])
            .holds(|tcb, out| {
                let offers = |it: &Effect| matches!(it, Effect::Send(sent) if (sent.window, sent.options.mss) == (10_000, Some(1000)));
                *tcb == Tcb::listening(CONFIG, Remote::Unspecified) && out.iter().any(offers)
            }),
        row("seg-li-4", listener, arrives(segment(Flags::SYN, 5000, 0)))
            .next(State::SynReceived)
            .sends(&["<SEQ=1000><ACK=5001><CTL=SYN,ACK>"])
            .holds(|tcb, out| {
                tcb.origin == Origin::Passive
                    && tcb.remote == Remote::Specified
                    && (tcb.snd.una, tcb.snd.nxt) == (Seq(1000), Seq(1001))
                    && (tcb.rcv.irs, tcb.rcv.nxt) == (Seq(5000), Seq(5001))
                    && tcb.agreed.peer_mss == 536
                    && !out.iter().any(|e| matches!(e, Effect::Hold(..)))
            }),
        // The compartment counts in secure networks only.
        row("seg-li-4", listener, arrives(secret))
            .next(State::SynReceived)
            .sends(&["<SEQ=1000><ACK=5001><CTL=SYN,ACK>"]),
        // Fast Open needs the profile, a valid cookie, and text: otherwise the text waits.
        row("seg-li-4", listener, arrives(segment(Flags::SYN, 5000, 0).text(20)))
            .profile(|p| p.fast_open = true)
            .next(State::SynReceived)
            .sends(&["<SEQ=1000><ACK=5001><CTL=SYN,ACK>"])
            .holds(|_, out| out.contains(&Effect::Hold(Seq(5001), 20))),
        row("seg-li-4", listener, arrives(segment(Flags::SYN, 5000, 0).text(20)))
            .choose(|c| c.valid_fast_open = true)
            .next(State::SynReceived)
            .sends(&["<SEQ=1000><ACK=5001><CTL=SYN,ACK>"]),
        row("seg-li-4", listener, arrives(segment(Flags::SYN, 5000, 0)))
            .profile(|p| p.fast_open = true)
            .choose(|c| c.valid_fast_open = true)
            .next(State::SynReceived)
            .sends(&["<SEQ=1000><ACK=5001><CTL=SYN,ACK>"]),
        row("seg-li-4", listener, arrives(segment(FIN_SYN, 5000, 0)))
            .next(State::SynReceived)
            .sends(&["<SEQ=1000><ACK=5001><CTL=SYN,ACK>"])
            .holds(|_, out| out.contains(&Effect::Hold(Seq(5001), 0))),
        // Text and FIN on the SYN wait; only the SYN is acknowledged.
        row("seg-li-4", listener, arrives(segment(FIN_SYN, 5000, 0).text(10)))
            .next(State::SynReceived)
            .sends(&["<SEQ=1000><ACK=5001><CTL=SYN,ACK>"])
            .holds(|tcb, _| tcb.rcv.held.fin() == Some(Seq(5011)) && tcb.rcv.held.held().len() == 1),
        row("seg-li-6", listener, arrives(segment(Flags::NONE, 5000, 0).text(10))),
        row("seg-li-6", listener, arrives(segment(FIN_SYN, 5000, 0)))
            .profile(|p| *p = model::profile::LINUX)
            .trail("seg-li-6 fin-0"),
        row("fin-0", listener, arrives(segment(Flags::FIN, 5000, 0))).trail("seg-li-6 fin-0"),
    ]
}

fn syn_sent() -> Vec<Row> {
    let connecting = tcb(State::SynSent);
    let mut secret = segment(Flags::SYN, 5000, 0);
    secret.compartment = 3;
    let mut secret_ack = segment(Flags::SYN_ACK, 5000, 1001);
    secret_ack.compartment = 3;
    let mut rode = connecting;
    rode.snd.nxt = Seq(1011);
    let mut scales = connecting;
    scales.config.window_scale = Some(2);
    let mut scaled = segment(Flags::SYN_ACK, 5000, 1001).window(700);
    scaled.options.window_scale = Some(3);
    let mut lost = connecting;
    lost.rtt.syn_lost = true;
    vec![
        row("seg-ss-1", connecting, arrives(segment(Flags::RST_ACK, 5000, 1000))),
        row("seg-ss-1", connecting, arrives(segment(Flags::RST_ACK, 5000, 1002))),
        row("seg-ss-2", connecting, arrives(segment(Flags::ACK, 5000, 1000))).sends(&["<SEQ=1000><CTL=RST>"]),
        row("seg-ss-2", connecting, arrives(segment(Flags::SYN_ACK, 5000, 1002)))
            .sends(&["<SEQ=1002><CTL=RST>"]),
        row("seg-ss-3", connecting, arrives(segment(Flags::RST_ACK, 0, 1001)))
            .next(State::Closed)
            .signals(&[Signal::SendFailed(CallError::Refused), Signal::Aborted(CallError::Refused)]),
        row("seg-ss-4", connecting, arrives(segment(Flags::RST, 5000, 0))),
        row("seg-ss-5", connecting, arrives(secret))
            .profile(|p| p.security = true)
            .sends(&["<SEQ=0><ACK=5001><CTL=RST,ACK>"]),
        row("seg-ss-5", connecting, arrives(secret_ack))
            .profile(|p| p.security = true)
            .sends(&["<SEQ=1001><CTL=RST>"]),
        row("seg-ss-6", connecting, arrives(segment(Flags::SYN_ACK, 5000, 1001).window(700)))
            .next(State::Established)
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"])
            .signals(&[Signal::Established])
            .holds(|tcb, _| {
                tcb.snd.wnd == 700 && !tcb.in_flight() && tcb.timers == model::tcb::TimerSet::default()
            }),
        row("seg-ss-6", connecting, arrives(segment(Flags::SYN_ACK | Flags::FIN, 5000, 1001).text(5)))
            .next(State::CloseWait)
            .trail("seg-ss-6 txt-1 fin-1")
            .sends(&["<SEQ=1001><ACK=5007><CTL=ACK>"]),
        row("seg-ss-6", connecting, arrives(segment(Flags::SYN_ACK | Flags::FIN, 5000, 1001).text(5)))
            .profile(|p| *p = model::profile::LINUX)
            .next(State::Established)
            .trail("seg-ss-6")
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"]),
        // What rode on the SYN and was not taken goes again.
        row("seg-ss-6", rode, arrives(segment(Flags::SYN_ACK, 5000, 1001)))
            .next(State::Established)
            .sends(&["<SEQ=1001><ACK=5001><TEXT=10><CTL=PSH,ACK>"]),
        // To the letter the window stays unknown until the next segment.
        row("seg-ss-6", connecting, arrives(segment(Flags::SYN_ACK, 5000, 1001)))
            .profile(|p| *p = model::profile::RFC9293_LITERAL)
            .next(State::Established)
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"])
            .holds(|tcb, _| tcb.snd.wnd == 0),
        // The window of a SYN is not scaled, whatever it offers (RFC 7323, 2.2).
        row("seg-ss-6", scales, arrives(scaled))
            .next(State::Established)
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"])
            .holds(|tcb, _| tcb.snd.wnd == 700 && tcb.agreed.scale == Some((3, 2))),
        // A SYN was lost: data begins with three seconds (RFC 6298, 5.7).
        row("seg-ss-6", lost, arrives(segment(Flags::SYN_ACK, 5000, 1001)))
            .next(State::Established)
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"])
            .holds(|tcb, _| tcb.rtt.rto == 3_000_000 && !tcb.rtt.syn_lost),
        row("seg-ss-7", connecting, arrives(secret))
            .next(State::SynReceived)
            .sends(&["<SEQ=1000><ACK=5001><CTL=SYN,ACK>"]),
        row("seg-ss-7", connecting, arrives(segment(Flags::SYN, 5000, 0)))
            .next(State::SynReceived)
            .sends(&["<SEQ=1000><ACK=5001><CTL=SYN,ACK>"])
            .holds(|tcb, _| tcb.origin == Origin::Active),
        row("seg-ss-8", connecting, arrives(segment(Flags::ACK, 5000, 1001))),
        row("fin-0", connecting, arrives(segment(Flags::FIN, 5000, 0))).trail("seg-ss-8 fin-0"),
    ]
}
