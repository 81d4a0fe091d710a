//! Segments for all other states, check by check.

use model::effect::Delivery;
use model::profile::{BadAck, RFC9293_LITERAL, SynInSynReceived};
use model::tcb::Fin;
use model::{CallError, Effect, Event, Flags, Segment, Seq, Signal, State, Tcb, Timer};

use crate::row::{Row, row};
use crate::support::{in_flight, passive, stamped, tcb, with_stamp};

const RST: Flags = Flags::RST;
const SYN: Flags = Flags::SYN;
const ACK: Flags = Flags::ACK;
const FIN_ACK: Flags = Flags::FIN_ACK;
const URG_ACK: Flags = Flags(0x30);

/// A segment with this many octets of text.
fn seg(flags: Flags, seq: u32, ack: u32, len: u32) -> Event {
    Event::Arrives(Segment::new(flags, seq, ack).text(len))
}

fn urgent(seq: u32, ack: u32, len: u32, up: u16) -> Event {
    let mut segment = Segment::new(URG_ACK, seq, ack).text(len);
    segment.urgent = up;
    Event::Arrives(segment)
}

/// Our window is closed: 10,000 octets wait to be read.
fn full(state: State) -> Tcb {
    let mut tcb = tcb(state);
    tcb.rcv.nxt += 10_000;
    (tcb.rcv.readable, tcb.rcv.wnd) = (10_000, 0);
    tcb
}

fn user_gone(state: State) -> Tcb {
    let mut tcb = tcb(state);
    tcb.rcv.reader_gone = true;
    tcb
}

fn restarts_2msl(tcb: &Tcb, out: &[Effect]) -> bool {
    tcb.timers.has(Timer::TimeWait) && out.contains(&Effect::Start(Timer::TimeWait, 240_000_000))
}

pub fn rows() -> Vec<Row> {
    [
        paws(),
        time_wait_syn(),
        sequence(),
        reset(),
        security(),
        syn(),
        ack(),
        fin_ack(),
        urgency(),
        text(),
        fin(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn paws() -> Vec<Row> {
    let established = stamped(State::Established, 1_000);
    let stamp =
        |seq, ack, len, value| Event::Arrives(with_stamp(Segment::new(ACK, seq, ack).text(len), value));
    let days = 24 * 3_600 * 1_000_000;
    vec![
        row("paws-1", established, stamp(5001, 1001, 10, 999))
            .now(24 * days - 1)
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"]),
        row("paws-1", established, stamp(5001, 1001, 10, 999))
            .trail("paws-1")
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"]),
        // After 24 days TS.Recent says nothing any more.
        row("paws-3", established, stamp(5001, 1001, 10, 999))
            .now(24 * days)
            .sends(&["<SEQ=1001><ACK=5011><CTL=ACK>"]),
        row("paws-2", established, seg(ACK, 5001, 1001, 10)).trail("paws-2"),
        // A reset needs no timestamp.
        row("rst-4", established, seg(RST, 5001, 0, 0)).next(State::Closed),
        row("paws-3", established, stamp(5001, 1001, 0, 1_500))
            .trail("paws-3 ack-5 ack-7")
            .holds(|tcb, _| tcb.agreed.timestamps.is_some_and(|recent| recent.value == 1_500)),
        row("paws-3", stamped(State::SynReceived, 1_000), stamp(5001, 1001, 0, 1_000))
            .next(State::Established),
        // Beyond the left edge a newer timestamp is not taken.
        row("seq-6", established, stamp(5011, 1001, 10, 1_500))
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"])
            .holds(|tcb, _| tcb.agreed.timestamps.is_some_and(|recent| recent.value == 1_000)),
    ]
}

// RFC 6191, section 2: five cases accept, two drop. The last number of the peer was 5001.
fn time_wait_syn() -> Vec<Row> {
    let (bare, stamped) = (tcb(State::TimeWait), stamped(State::TimeWait, 1_000));
    let syn = |seq| Event::Arrives(Segment::new(SYN, seq, 0));
    let stamped_syn = |seq, value| Event::Arrives(with_stamp(Segment::new(SYN, seq, 0), value));
    let reopens = |row: Row, syn_ack: &'static [&'static str]| {
        row.next(State::SynReceived).sends(syn_ack).choose(|c| c.iss = Seq(900_000))
    };
    let challenge: &[&str] = &["<SEQ=1002><ACK=5002><CTL=ACK>"];
    vec![
        reopens(
            row("tw-syn-1", stamped, stamped_syn(4_000, 1_001)),
            &["<SEQ=900000><ACK=4001><CTL=SYN,ACK>"],
        ),
        reopens(
            row("tw-syn-1", stamped, stamped_syn(6_000, 1_000)),
            &["<SEQ=900000><ACK=6001><CTL=SYN,ACK>"],
        ),
        reopens(row("tw-syn-1", stamped, syn(6_000)), &["<SEQ=900000><ACK=6001><CTL=SYN,ACK>"]),
        reopens(row("tw-syn-1", bare, stamped_syn(4_000, 1)), &["<SEQ=900000><ACK=4001><CTL=SYN,ACK>"]),
        reopens(row("tw-syn-1", bare, syn(5_002)), &["<SEQ=900000><ACK=5003><CTL=SYN,ACK>"]),
        // The ISS must lie beyond the old numbers, whatever the generator gave.
        row("tw-syn-1", bare, syn(6_000))
            .profile(|p| *p = model::profile::LINUX)
            .choose(|c| c.iss = Seq(500))
            .next(State::SynReceived)
            .sends(&["<SEQ=66539><ACK=6001><CTL=SYN,ACK>"]),
        row("tw-syn-2", stamped, stamped_syn(6_000, 999)).sends(challenge),
        row("tw-syn-2", bare, syn(5_001)).sends(challenge),
        row("tw-syn-2", bare, syn(5_001)).profile(|p| p.rfc5961_syn = false),
        row("tw-syn-2", bare, syn(6_000)).choose(|c| c.listener = false).sends(challenge),
    ]
}

fn sequence() -> Vec<Row> {
    let mut small = tcb(State::Established);
    small.rcv.wnd = 10;
    let mut crowded = tcb(State::Established);
    for n in 0..8 {
        crowded.rcv.held.insert(Seq(5011 + n * 100), 10, false, false);
    }
    let mut rows = vec![
        row("seq-1", tcb(State::Established), seg(RST, 5000, 0, 0)).trail("seq-1"),
        row("seq-1", tcb(State::Established), seg(RST, 15_001, 0, 0)).trail("seq-1"),
        row("seq-2", tcb(State::Established), seg(SYN, 4000, 0, 0))
            .trail("seq-2")
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"]),
        // The peer's SYN again, because our SYN+ACK was lost: the SYN+ACK again.
        row("seq-2", passive(State::SynReceived), seg(SYN, 5000, 0, 0))
            .sends(&["<SEQ=1000><ACK=5001><CTL=SYN,ACK>"]),
        row("seq-2", passive(State::SynReceived), seg(SYN, 5000, 0, 0))
            .profile(|p| *p = RFC9293_LITERAL)
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"]),
        row("seq-2t", tcb(State::TimeWait), seg(FIN_ACK, 5001, 1002, 0))
            .trail("seq-2t")
            .sends(&["<SEQ=1002><ACK=5002><CTL=ACK>"])
            .holds(restarts_2msl),
        // To the letter it is acknowledged, and 2MSL runs on.
        row("seq-3", tcb(State::TimeWait), seg(FIN_ACK, 5001, 1002, 0))
            .profile(|p| *p = RFC9293_LITERAL)
            .trail("seq-3")
            .sends(&["<SEQ=1002><ACK=5002><CTL=ACK>"])
            .holds(|_, out| !out.iter().any(|e| matches!(e, Effect::Start(..)))),
        // Old text that ends where the FIN did, an older FIN, a FIN with SYN: none of them is the FIN again.
        row("seq-3", tcb(State::TimeWait), seg(ACK, 4_992, 1002, 10))
            .trail("seq-3")
            .sends(&["<SEQ=1002><ACK=5002><CTL=ACK>"]),
        row("seq-3", tcb(State::TimeWait), seg(FIN_ACK, 4_000, 1002, 0))
            .trail("seq-3")
            .sends(&["<SEQ=1002><ACK=5002><CTL=ACK>"]),
        row("seq-3", tcb(State::TimeWait), seg(FIN_ACK | SYN, 5_000, 1002, 0))
            .profile(|p| p.rfc5961_syn = false)
            .trail("seq-3")
            .sends(&["<SEQ=1002><ACK=5002><CTL=ACK>"]),
        // The window is closed, and these are not even at its edge.
        row("seq-3", full(State::Established), seg(ACK, 14_000, 1001, 10))
            .trail("seq-3")
            .sends(&["<SEQ=1001><ACK=15001><CTL=ACK>"]),
        row("seq-1", full(State::Established), seg(RST, 15_000, 0, 0)).trail("seq-1"),
        row("seq-2g", tcb(State::SynReceived), seg(Flags::SYN_ACK, 5000, 1001, 0))
            .trail("seq-2g ack-2")
            .next(State::Established)
            .signals(&[Signal::Established]),
        row("seq-2", tcb(State::SynReceived), seg(Flags::SYN_ACK, 5000, 1001, 0))
            .profile(|p| p.figure_7 = false)
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"]),
        // Window closed: the text is refused, its ACK counts, and so do URG and RST (MUST-66).
        row(
            "seq-4",
            {
                let mut t = full(State::Established);
                t.snd.nxt += 100;
                t
            },
            seg(ACK, 15_001, 1_101, 10),
        )
        .trail("seq-4 ack-4 ack-7")
        .sends(&["<SEQ=1101><ACK=15001><CTL=ACK>"])
        .holds(|tcb, _| tcb.snd.una == Seq(1_101) && tcb.rcv.nxt == Seq(15_001)),
        row("seq-4", full(State::Established), urgent(15_001, 1001, 10, 10))
            .trail("seq-4 ack-5 ack-7 urg-1")
            .sends(&["<SEQ=1001><ACK=15001><CTL=ACK>"])
            .signals(&[Signal::Urgent(Seq(15_011))]),
        row("seq-4", full(State::Established), seg(RST, 15_001, 0, 10))
            .profile(|p| p.rfc5961_rst = false)
            .trail("seq-4 rst-4")
            .next(State::Closed),
        row("rst-4", full(State::Established), seg(RST, 15_001, 0, 10)).trail("rst-4").next(State::Closed),
        row(
            "seq-4",
            {
                let mut t = full(State::Established);
                t.snd.nxt += 100;
                t
            },
            seg(ACK, 15_001, 1_101, 10),
        )
        .profile(|p| p.ack_at_zero_window = false)
        .trail("seq-4")
        .sends(&["<SEQ=1101><ACK=15001><CTL=ACK>"])
        .holds(|tcb, _| tcb.snd.una == Seq(1_001)),
        row("seq-3", tcb(State::Established), seg(ACK, 4_000, 1001, 10))
            .trail("seq-3")
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"]),
        row("seq-3", tcb(State::SynReceived), seg(ACK, 15_001, 1001, 10))
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"]),
        // A bare ACK at the right edge: refused by the RFC, not by Linux.
        row("seq-3", in_flight(State::Established, 100), seg(ACK, 15_001, 1101, 0))
            .sends(&["<SEQ=1101><ACK=5001><CTL=ACK>"]),
        row("ack-4", in_flight(State::Established, 100), seg(ACK, 15_001, 1101, 0))
            .profile(|p| *p = model::profile::LINUX)
            .trail("seq-6 ack-4 ack-7"),
        row("ack-4", in_flight(State::Established, 100), seg(ACK, 15_001, 1101, 0))
            .profile(|p| *p = model::profile::LINUX_IN_DETAIL)
            .trail("seq-5 seq-6 ack-4 ack-7"),
        // The keep-alive probe: one before RCV.NXT, no text.
        row("seq-3", tcb(State::Established), seg(ACK, 5000, 1001, 0))
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"]),
        row("seq-5", tcb(State::Established), seg(ACK, 4_991, 1001, 20))
            .trail("seq-5 ack-5 txt-1")
            .sends(&["<SEQ=1001><ACK=5011><CTL=ACK>"]),
        row("seq-5", small, seg(FIN_ACK, 5001, 1001, 20))
            .trail("seq-5 ack-5 ack-7 txt-1")
            .sends(&["<SEQ=1001><ACK=5011><CTL=ACK>"])
            .holds(|tcb, _| tcb.rcv.wnd == 0 && tcb.rcv.readable == 10),
        // Without RFC 5961 a SYN before the window is trimmed off, and its text counts.
        row("seq-5", tcb(State::Established), seg(Flags::SYN_ACK, 5000, 1001, 10))
            .profile(|p| p.rfc5961_syn = false)
            .trail("seq-5 ack-5 txt-1")
            .sends(&["<SEQ=1001><ACK=5011><CTL=ACK>"]),
        row("seq-6", tcb(State::Established), seg(ACK, 5011, 1001, 10))
            .trail("seq-6 ack-5 ack-7")
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"])
            .holds(|_, out| out.contains(&Effect::Hold(Seq(5011), 10))),
        row("seq-6", tcb(State::Established), seg(ACK, 5011, 1001, 10))
            .choose(|c| c.ack_out_of_order = false),
        // What is not held, by choice or for want of room, comes again.
        row("seq-6", tcb(State::Established), seg(FIN_ACK, 5011, 1001, 10))
            .choose(|c| c.hold_out_of_order = false)
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"])
            .holds(|tcb, out| tcb.rcv.held.is_empty() && !out.iter().any(|e| matches!(e, Effect::Hold(..)))),
        row("seq-6", crowded, seg(FIN_ACK, 6001, 1001, 10)).sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"]).holds(
            |tcb, out| tcb.rcv.held.fin().is_none() && !out.iter().any(|e| matches!(e, Effect::Hold(..))),
        ),
        // Its ACK acts at once.
        row("seq-6", in_flight(State::Established, 100), seg(FIN_ACK, 5011, 1101, 10))
            .trail("seq-6 ack-4 ack-7")
            .sends(&["<SEQ=1101><ACK=5001><CTL=ACK>"])
            .holds(|tcb, _| tcb.rcv.held.fin() == Some(Seq(5021)) && !tcb.in_flight()),
    ];
    for state in [State::FinWait1, State::FinWait2] {
        rows.push(
            row("seq-6", tcb(state), seg(FIN_ACK, 5011, 1001, 0)).sends(&["<SEQ=1002><ACK=5001><CTL=ACK>"]),
        );
    }
    rows
}

fn reset() -> Vec<Row> {
    let mut rows = vec![
        row("rst-1", tcb(State::Established), seg(RST, 5002, 0, 0))
            .trail("seq-6 rst-1")
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"]),
        row("rst-1", tcb(State::Established), seg(RST, 15_000, 0, 0))
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"]),
        row("rst-1", passive(State::SynReceived), seg(RST, 5002, 0, 0))
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"]),
        // Ten challenges in five seconds, and no more.
        row(
            "rst-1",
            {
                let mut t = tcb(State::Established);
                t.challenges.count = 10;
                t
            },
            seg(RST, 5002, 0, 0),
        ),
        row("rst-2", passive(State::SynReceived), seg(RST, 5001, 0, 0))
            .trail("rst-2")
            .next(State::Listen)
            .signals(&[])
            .holds(|tcb, out| !tcb.in_flight() && out.contains(&Effect::Stop(Timer::Retransmit))),
        // A SYN that reopened TIME-WAIT was an old duplicate: back to TIME-WAIT (MAY-2).
        row(
            "rst-2",
            {
                let mut tcb = passive(State::SynReceived);
                let former = model::tcb::Former {
                    snd_nxt: Seq(800),
                    rcv_nxt: Seq(4_000),
                    rcv_wnd: 500,
                    agreed: tcb.agreed,
                };
                tcb.former = Some(former);
                tcb
            },
            seg(RST, 5001, 0, 0),
        )
        .next(State::TimeWait)
        .holds(|tcb, out| {
            restarts_2msl(tcb, out)
                && (tcb.snd.iss, tcb.snd.una, tcb.snd.nxt) == (Seq(799), Seq(800), Seq(800))
                && (tcb.rcv.irs, tcb.rcv.nxt) == (Seq(3_999), Seq(4_000))
        }),
        row("rst-3", tcb(State::SynReceived), seg(RST, 5001, 0, 0))
            .next(State::Closed)
            .signals(&[Signal::SendFailed(CallError::Refused), Signal::Aborted(CallError::Refused)]),
        row("rst-4", in_flight(State::Established, 10), seg(RST, 5001, 0, 0))
            .next(State::Closed)
            .signals(&[Signal::SendFailed(CallError::Reset), Signal::Aborted(CallError::Reset)]),
        // Without RFC 5961 any reset inside the window will do, and its text is no hindrance (SHLD-2).
        row("rst-4", tcb(State::Established), seg(RST, 5002, 0, 10))
            .profile(|p| p.rfc5961_rst = false)
            .next(State::Closed),
        row("rst-6", tcb(State::TimeWait), seg(RST, 5002, 0, 0)).profile(|p| p.rfc1337 = true),
        // Linux: at the number of the FIN, if there was one; elsewhere never.
        row("rst-4", tcb(State::CloseWait), seg(RST, 5001, 0, 0))
            .profile(|p| *p = model::profile::LINUX)
            .next(State::Closed),
        row("seq-1", tcb(State::CloseWait), seg(RST, 5001, 0, 0)).trail("seq-1"),
        row("seq-1", tcb(State::Established), seg(RST, 5000, 0, 0))
            .profile(|p| *p = model::profile::LINUX)
            .trail("seq-1"),
    ];
    for state in [State::FinWait1, State::FinWait2] {
        rows.push(row("rst-4", tcb(state), seg(RST, 5001, 0, 0)).next(State::Closed));
    }
    rows.push(row("rst-4", tcb(State::CloseWait), seg(RST, 5002, 0, 0)).next(State::Closed));
    for state in [State::Closing, State::LastAck, State::TimeWait] {
        rows.push(row("rst-5", tcb(state), seg(RST, 5002, 0, 0)).next(State::Closed).signals(&[]));
    }
    rows
}

fn security() -> Vec<Row> {
    let secret = |seq, ack| {
        let mut segment = Segment::new(ACK, seq, ack);
        segment.compartment = 3;
        Event::Arrives(segment)
    };
    vec![
        row("sec-1", tcb(State::SynReceived), secret(5001, 1001))
            .profile(|p| p.security = true)
            .sends(&["<SEQ=1001><CTL=RST>"]),
        row("sec-2", tcb(State::Established), secret(5001, 1001))
            .profile(|p| p.security = true)
            .next(State::Closed)
            .sends(&["<SEQ=1001><CTL=RST>"])
            .signals(&[Signal::Aborted(CallError::Reset)]),
        // The check is not made elsewhere (A.1.2).
        row("ack-5", tcb(State::Established), secret(5001, 1001)),
    ]
}

fn syn() -> Vec<Row> {
    let mut rows = vec![
        row("syn-1", passive(State::SynReceived), seg(SYN, 5001, 0, 0))
            .profile(|p| *p = RFC9293_LITERAL)
            .next(State::Listen),
        row("syn-1", passive(State::SynReceived), seg(SYN, 5001, 0, 0))
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"]),
        row("syn-1", passive(State::SynReceived), seg(SYN, 5001, 0, 0))
            .profile(|p| p.syn_in_syn_received = SynInSynReceived::ResetAndForget)
            .next(State::Listen)
            .sends(&["<SEQ=0><ACK=5002><CTL=RST,ACK>"]),
        row("syn-2", tcb(State::SynReceived), seg(SYN, 5001, 0, 0)).sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"]),
        row("syn-3", tcb(State::SynReceived), seg(SYN, 5001, 0, 0))
            .profile(|p| p.rfc5961_syn = false)
            .next(State::Closed)
            .sends(&["<SEQ=0><ACK=5002><CTL=RST,ACK>"]),
        row("syn-3", tcb(State::Established), seg(Flags::SYN_ACK, 5001, 1001, 0))
            .profile(|p| p.rfc5961_syn = false)
            .next(State::Closed)
            .sends(&["<SEQ=1001><CTL=RST>"])
            .signals(&[Signal::Aborted(CallError::Reset)]),
    ];
    for (state, challenge) in [
        (State::Established, "<SEQ=1001><ACK=5001><CTL=ACK>"),
        (State::FinWait1, "<SEQ=1002><ACK=5001><CTL=ACK>"),
        (State::FinWait2, "<SEQ=1002><ACK=5001><CTL=ACK>"),
        (State::CloseWait, "<SEQ=1001><ACK=5002><CTL=ACK>"),
        (State::Closing, "<SEQ=1002><ACK=5002><CTL=ACK>"),
        (State::LastAck, "<SEQ=1002><ACK=5002><CTL=ACK>"),
    ] {
        rows.push(row("syn-2", tcb(state), seg(SYN, 5002, 0, 0)).sends(&[challenge]));
    }
    // With ACK it is no new connection: RFC 6191 does not apply.
    rows.push(
        row("syn-2", tcb(State::TimeWait), seg(Flags::SYN_ACK, 5002, 1002, 0))
            .sends(&["<SEQ=1002><ACK=5002><CTL=ACK>"]),
    );
    rows
}

fn ack() -> Vec<Row> {
    let pending_close = |mut tcb: Tcb| {
        tcb.snd.fin = Fin::Wanted;
        tcb
    };
    let mut old_update = in_flight(State::Established, 100);
    old_update.snd.wl1 = Seq(5002);
    let mut recovering = in_flight(State::Established, 2_500);
    recovering.rtt.recover = Some(recovering.snd.nxt);
    recovering.snd.queued = 3_000;
    let mut recovered = in_flight(State::Established, 2_500);
    recovered.rtt.recover = Some(Seq(2001));
    let mut probed = tcb(State::Established);
    (probed.config.keep_alive, probed.rtt.keep_alive_probes) = (Some(7_200_000_000), 3);
    probed.timers = probed.timers.with(Timer::KeepAlive);
    let no_5961 = |row: Row| row.profile(|p| p.rfc5961_ack = false);
    let mut rows = vec![
        row("ack-0", tcb(State::SynReceived), seg(Flags::FIN, 5001, 0, 0)),
        row("ack-0", tcb(State::Established), seg(Flags::NONE, 5001, 0, 10)),
        // MAX.SND.WND is 10,000: one number earlier is out of range.
        row("ack-1", tcb(State::Established), seg(ACK, 5001, 1_001_u32.wrapping_sub(10_001), 0))
            .trail("ack-1")
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"]),
        row("ack-5", tcb(State::Established), seg(ACK, 5001, 1_001_u32.wrapping_sub(10_000), 0)),
        row("ack-1", tcb(State::TimeWait), seg(ACK, 5002, 1003, 0)).sends(&["<SEQ=1002><ACK=5002><CTL=ACK>"]),
        row("ack-2", passive(State::SynReceived), seg(ACK, 5001, 1001, 0))
            .trail("ack-2")
            .next(State::Established)
            .signals(&[Signal::Established])
            .holds(|tcb, out| {
                tcb.snd.wnd == 65_535
                    && (tcb.snd.wl1, tcb.snd.wl2) == (Seq(5001), Seq(1001))
                    && out.contains(&Effect::Stop(Timer::Retransmit))
            }),
        row("ack-2", tcb(State::SynReceived), seg(FIN_ACK, 5001, 1001, 10))
            .trail("ack-2 txt-1 fin-1")
            .next(State::CloseWait)
            .sends(&["<SEQ=1001><ACK=5012><CTL=ACK>"]),
        // The CLOSE that waited.
        row("ack-2", pending_close(tcb(State::SynReceived)), seg(ACK, 5001, 1001, 0))
            .trail("ack-2 close-6")
            .next(State::FinWait1)
            .sends(&["<SEQ=1001><ACK=5001><CTL=FIN,ACK>"]),
        row("ack-3", passive(State::SynReceived), seg(ACK, 5001, 1000, 0)).sends(&["<SEQ=1000><CTL=RST>"]),
        row("ack-3", passive(State::SynReceived), seg(ACK, 5001, 1002, 0)).sends(&["<SEQ=1002><CTL=RST>"]),
        row("ack-3", tcb(State::SynReceived), seg(ACK, 5001, 1002, 0))
            .profile(|p| p.bad_ack = BadAck::Ack)
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"]),
        row("ack-4", in_flight(State::Established, 100), seg(ACK, 5001, 1051, 0))
            .trail("ack-4 ack-7")
            .signals(&[Signal::Sent(Seq(1051))])
            .holds(|tcb, out| {
                tcb.snd.una == Seq(1051) && out.contains(&Effect::Start(Timer::Retransmit, 1_000_000))
            }),
        // After a timeout the next segment follows the ACK, not another timeout.
        row(
            "ack-4",
            {
                let mut tcb = in_flight(State::Established, 2_500);
                tcb.rtt.recover = Some(tcb.snd.nxt);
                tcb
            },
            seg(ACK, 5001, 2001, 0),
        )
        .sends(&["<SEQ=2001><ACK=5001><TEXT=1000><CTL=ACK>"]),
        // It counts for the burst, and goes before new text, with the ACK of what the segment brought.
        row("ack-4", recovering, seg(ACK, 5001, 2001, 10))
            .choose(|c| c.burst = 2)
            .sends(&["<SEQ=2001><ACK=5011><TEXT=1000><CTL=ACK>", "<SEQ=3501><ACK=5011><TEXT=1000><CTL=ACK>"]),
        row("ack-4", recovering, seg(ACK, 5001, 2001, 0))
            .choose(|c| c.burst = 1)
            .sends(&["<SEQ=2001><ACK=5001><TEXT=1000><CTL=ACK>"]),
        row("ack-4", recovering, seg(ACK, 5001, 2001, 0)).choose(|c| c.burst = 0),
        // Everything from before the timeout is acknowledged: nothing goes again, whatever is in flight since.
        row("ack-4", recovered, seg(ACK, 5001, 2001, 0)).holds(|tcb, _| tcb.rtt.recover.is_none()),
        // The peer is alive: its silence is counted anew.
        row("ack-5", probed, seg(ACK, 5001, 1001, 0)).holds(|tcb, out| {
            tcb.rtt.keep_alive_probes == 0 && out.contains(&Effect::Start(Timer::KeepAlive, 7_200_000_000))
        }),
        row("ack-4", in_flight(State::CloseWait, 100), seg(ACK, 5002, 1101, 0))
            .holds(|tcb, _| !tcb.in_flight() && !tcb.timers.has(Timer::Retransmit)),
        // An ACK above what is awaited but below SND.NXT's wrap: both are near 2^32.
        row(
            "ack-4",
            {
                let mut tcb = tcb(State::Established);
                (tcb.snd.una, tcb.snd.nxt, tcb.snd.wl2) = (Seq(u32::MAX - 9), Seq(10), Seq(u32::MAX - 9));
                tcb
            },
            seg(ACK, 5001, 5, 0),
        )
        .holds(|tcb, _| tcb.snd.una == Seq(5)),
        row("ack-5", in_flight(State::Established, 100), seg(ACK, 5001, 1000, 10))
            .trail("ack-5 txt-1")
            .sends(&["<SEQ=1101><ACK=5011><CTL=ACK>"]),
        no_5961(row("ack-6", tcb(State::Established), seg(ACK, 5001, 1002, 10)))
            .trail("ack-6")
            .sends(&["<SEQ=1001><ACK=5001><CTL=ACK>"]),
        row("ack-7", tcb(State::Established), Event::Arrives(Segment::new(ACK, 5001, 1001).window(500)))
            .trail("ack-5 ack-7")
            .holds(|tcb, _| tcb.snd.wnd == 500 && tcb.snd.max_wnd == 10_000),
        // A segment older than the last update does not set the window.
        row("ack-4", old_update, Event::Arrives(Segment::new(ACK, 5001, 1101).window(500)))
            .trail("ack-4")
            .holds(|tcb, _| tcb.snd.wnd == 10_000),
        // Window opened: what waited goes.
        row(
            "ack-7",
            {
                let mut t = tcb(State::Established);
                (t.snd.queued, t.snd.pushed, t.snd.wnd) = (10, 10, 0);
                t
            },
            seg(ACK, 5001, 1001, 0),
        )
        .sends(&["<SEQ=1001><ACK=5001><TEXT=10><CTL=PSH,ACK>"]),
    ];
    for state in [State::FinWait1, State::FinWait2, State::CloseWait, State::Closing] {
        let beyond = if state == State::CloseWait { 1002 } else { 1003 };
        let seq = tcb(state).rcv.nxt.0;
        let sends: &[&str] = match state {
            State::FinWait1 | State::FinWait2 => &["<SEQ=1002><ACK=5001><CTL=ACK>"],
            State::CloseWait => &["<SEQ=1001><ACK=5002><CTL=ACK>"],
            _ => &["<SEQ=1002><ACK=5002><CTL=ACK>"],
        };
        rows.push(no_5961(row("ack-6", tcb(state), seg(ACK, seq, beyond, 0))).sends(sends));
    }
    rows
}

fn fin_ack() -> Vec<Row> {
    let mut text_before_fin = tcb(State::LastAck);
    text_before_fin.snd.nxt = Seq(1102);
    // LAST-ACK before the FIN has left, as Linux has it.
    let mut fin_waits = in_flight(State::LastAck, 9);
    (fin_waits.snd.fin, fin_waits.snd.nxt, fin_waits.snd.queued) = (Fin::Wanted, Seq(1011), 1_000);
    let mut held_for_orphan = user_gone(State::FinWait1);
    held_for_orphan.timers = model::tcb::TimerSet::default();
    vec![
        row("ack-13", fin_waits, seg(ACK, 5002, 1005, 0))
            .profile(|p| *p = model::profile::LINUX)
            .trail("ack-13 ack-4 ack-7")
            .sends(&["<SEQ=1011><ACK=5002><TEXT=1000><CTL=FIN,PSH,ACK>"]),
        // Linux bounds FIN-WAIT-2 once nobody holds the connection, and only then.
        row("ack-8", held_for_orphan, seg(ACK, 5001, 1002, 0))
            .profile(|p| *p = model::profile::LINUX)
            .next(State::FinWait2)
            .holds(|tcb, out| {
                tcb.timers.has(Timer::FinWait2) && out.contains(&Effect::Start(Timer::FinWait2, 60_000_000))
            }),
        row("ack-5", held_for_orphan, seg(ACK, 5001, 1001, 0))
            .profile(|p| *p = model::profile::LINUX)
            .holds(|tcb, _| !tcb.timers.has(Timer::FinWait2)),
        row("ack-8", tcb(State::FinWait1), seg(ACK, 5001, 1002, 0))
            .profile(|p| *p = model::profile::LINUX)
            .next(State::FinWait2)
            .holds(|tcb, _| !tcb.timers.has(Timer::FinWait2)),
        row("ack-8", tcb(State::FinWait1), seg(ACK, 5001, 1002, 0))
            .trail("ack-4 ack-7 ack-8 ack-9")
            .next(State::FinWait2)
            .signals(&[Signal::Closed]),
        row("ack-9", tcb(State::FinWait2), seg(ACK, 5001, 1002, 0)).trail("ack-5 ack-7 ack-9"),
        row("ack-10", tcb(State::Closing), seg(ACK, 5002, 1002, 0))
            .trail("ack-4 ack-7 ack-10")
            .next(State::TimeWait)
            .holds(restarts_2msl),
        row("ack-11", tcb(State::Closing), seg(ACK, 5002, 1001, 0)).trail("ack-5 ack-7 ack-11"),
        row("ack-12", tcb(State::LastAck), seg(ACK, 5002, 1002, 0))
            .trail("ack-12")
            .next(State::Closed)
            .signals(&[Signal::Closed]),
        row("ack-13", text_before_fin, seg(ACK, 5002, 1051, 0))
            .trail("ack-13 ack-4 ack-7")
            .holds(|tcb, _| tcb.snd.una == Seq(1051)),
        // To the letter only the ACK of the FIN can arrive.
        row("ack-13", text_before_fin, seg(ACK, 5002, 1051, 0))
            .profile(|p| *p = RFC9293_LITERAL)
            .trail("ack-13")
            .holds(|tcb, _| tcb.snd.una == Seq(1001)),
        row("ack-14", tcb(State::TimeWait), seg(FIN_ACK, 5002, 1002, 0))
            .trail("ack-14 fin-6")
            .sends(&["<SEQ=1002><ACK=5002><CTL=ACK>"])
            .holds(restarts_2msl),
        // A bare ACK is no FIN: answering it would answer the answer for ever.
        row("ack-14", tcb(State::TimeWait), seg(ACK, 5002, 1002, 0)).trail("ack-14"),
        row("ack-14", tcb(State::TimeWait), seg(ACK, 5002, 1002, 0))
            .profile(|p| *p = RFC9293_LITERAL)
            .sends(&["<SEQ=1002><ACK=5002><CTL=ACK>"])
            .holds(restarts_2msl),
    ]
}

fn urgency() -> Vec<Row> {
    let mut told = tcb(State::Established);
    told.rcv.up = Some(Seq(5050));
    let mut rows = vec![
        // A pointer that lies before the known one does not pull it back.
        row("urg-1", told, urgent(5001, 1001, 0, 10)).holds(|tcb, _| tcb.rcv.up == Some(Seq(5050))),
        row("urg-1", tcb(State::Established), urgent(5001, 1001, 10, 5))
            .trail("ack-5 ack-7 urg-1 txt-1")
            .sends(&["<SEQ=1001><ACK=5011><CTL=ACK>"])
            .signals(&[Signal::Urgent(Seq(5006))]),
        // It points at what has been read: nothing urgent is left.
        row("urg-1", tcb(State::Established), urgent(5001, 1001, 0, 0))
            .signals(&[])
            .holds(|tcb, _| tcb.rcv.up.is_none()),
        row("urg-1", told, urgent(5001, 1001, 10, 100))
            .sends(&["<SEQ=1001><ACK=5011><CTL=ACK>"])
            .signals(&[])
            .holds(|tcb, _| tcb.rcv.up == Some(Seq(5101))),
    ];
    for state in [State::FinWait1, State::FinWait2] {
        rows.push(
            row("urg-1", tcb(state), urgent(5001, 1001, 0, 5)).holds(|tcb, _| tcb.rcv.up == Some(Seq(5006))),
        );
    }
    for (state, ack) in [(State::CloseWait, 1001), (State::TimeWait, 1002)] {
        rows.push(row("urg-2", tcb(state), urgent(5002, ack, 0, 5)).holds(|tcb, _| tcb.rcv.up.is_none()));
    }
    rows
}

fn text() -> Vec<Row> {
    let mut gap = tcb(State::Established);
    gap.rcv.held.insert(Seq(5011), 10, true, false);
    let mut second = tcb(State::Established);
    second.rcv.unacked = 1_000;
    let mut delayed = tcb(State::Established);
    delayed.timers = delayed.timers.with(Timer::DelayedAck);
    let mut pushed = tcb(State::Established);
    pushed.rcv.push = true;
    let mut reading = tcb(State::Established);
    reading.rcv.wanted = 20;
    let received = |len, push| Signal::Received(Delivery { seq: Seq(5001), len, push, urgent: false });
    let mut waited = passive(State::SynReceived);
    waited.rcv.held.insert(Seq(5001), 10, false, false);
    let mut urging = tcb(State::Established);
    urging.snd.up = Some(Seq(1011));
    let mut losing = user_gone(State::FinWait1);
    losing.snd.nxt = Seq(2_502);
    losing.rtt.recover = Some(Seq(2_502));
    let mut rows = vec![
        row("txt-1", tcb(State::Established), seg(ACK, 5001, 1001, 10))
            .trail("ack-5 ack-7 txt-1")
            .sends(&["<SEQ=1001><ACK=5011><CTL=ACK>"])
            .holds(|tcb, _| tcb.rcv.readable == 10 && tcb.rcv.wnd == 9_990),
        row("txt-1", tcb(State::FinWait2), seg(ACK, 5001, 1002, 10)).choose(|c| c.delay_ack = true).holds(
            |tcb, out| {
                tcb.timers.has(Timer::DelayedAck) && out.contains(&Effect::Start(Timer::DelayedAck, 200_000))
            },
        ),
        // Every second full segment is acknowledged at once.
        row("txt-1", second, seg(ACK, 5001, 1001, 1_000))
            .choose(|c| c.delay_ack = true)
            .sends(&["<SEQ=1001><ACK=6001><CTL=ACK>"]),
        // A second segment that is not full may still wait.
        row("txt-1", second, seg(ACK, 5001, 1001, 10)).choose(|c| c.delay_ack = true),
        // The timer of the first delayed ACK is not put off by what comes later (MUST-40).
        row("txt-1", delayed, seg(ACK, 5001, 1001, 10)).choose(|c| c.delay_ack = true).holds(|tcb, out| {
            tcb.timers.has(Timer::DelayedAck)
                && !out.iter().any(|e| matches!(e, Effect::Start(Timer::DelayedAck, _)))
        }),
        // PSH is remembered until the text is read.
        row("txt-1", tcb(State::Established), seg(ACK | Flags::PSH, 5001, 1001, 10))
            .sends(&["<SEQ=1001><ACK=5011><CTL=ACK>"])
            .holds(|tcb, _| tcb.rcv.push),
        row("txt-1", pushed, seg(ACK, 5001, 1001, 10))
            .sends(&["<SEQ=1001><ACK=5011><CTL=ACK>"])
            .holds(|tcb, _| tcb.rcv.push),
        row("txt-1", tcb(State::Established), seg(ACK, 5001, 1001, 10))
            .sends(&["<SEQ=1001><ACK=5011><CTL=ACK>"])
            .holds(|tcb, _| !tcb.rcv.push),
        // A RECEIVE waits for all that it asked for, or for a PUSH.
        row("txt-1", reading, seg(ACK, 5001, 1001, 10))
            .sends(&["<SEQ=1001><ACK=5011><CTL=ACK>"])
            .signals(&[]),
        row("txt-1", reading, seg(ACK, 5001, 1001, 20))
            .sends(&["<SEQ=1001><ACK=5021><CTL=ACK>"])
            .signals(&[received(20, false)]),
        row("txt-1", reading, seg(ACK | Flags::PSH, 5001, 1001, 10))
            .sends(&["<SEQ=1001><ACK=5011><CTL=ACK>"])
            .signals(&[received(10, true)]),
        // Text of the SYN waited for the handshake to end.
        row("txt-1", waited, seg(ACK, 5001, 1001, 0))
            .trail("ack-2 txt-1")
            .next(State::Established)
            .sends(&["<SEQ=1001><ACK=5011><CTL=ACK>"])
            .holds(|tcb, _| tcb.rcv.push && tcb.rcv.readable == 10),
        // The ACK of text carries no URG, whatever is urgent behind it.
        row("txt-1", urging, seg(ACK, 5001, 1001, 10)).sends(&["<SEQ=1001><ACK=5011><CTL=ACK>"]),
        // The hole is filled: everything behind it counts, FIN included.
        row("txt-1", gap, seg(ACK, 5001, 1001, 10))
            .trail("ack-5 ack-7 txt-1 fin-1")
            .next(State::CloseWait)
            .sends(&["<SEQ=1001><ACK=5022><CTL=ACK>"]),
    ];
    for state in [State::FinWait1, State::FinWait2] {
        rows.push(
            row("txt-2", user_gone(state), seg(ACK, 5001, 1001, 10))
                .next(State::Closed)
                .sends(&["<SEQ=1001><CTL=RST>"]),
        );
    }
    // Nothing is sent again by a connection that this segment ended, and a bare ACK does not end it.
    rows.push(
        row("txt-2", losing, seg(ACK, 5001, 2001, 10)).next(State::Closed).sends(&["<SEQ=2001><CTL=RST>"]),
    );
    rows.push(row("ack-9", user_gone(State::FinWait2), seg(ACK, 5001, 1002, 0)));
    for (state, ack, answer) in [
        (State::CloseWait, 1001, None),
        (State::TimeWait, 1002, None),
        (State::Closing, 1002, Some(State::TimeWait)),
    ] {
        let next = answer.unwrap_or(state);
        rows.push(
            row("txt-3", tcb(state), seg(ACK, 5002, ack, 10))
                .next(next)
                .holds(|tcb, _| tcb.rcv.nxt == Seq(5002) && tcb.rcv.readable == 0),
        );
    }
    rows
}

fn fin() -> Vec<Row> {
    let mut partly_read = tcb(State::Established);
    partly_read.rcv.wanted = 20;
    vec![
        row("fin-1", tcb(State::Established), seg(FIN_ACK, 5001, 1001, 0))
            .trail("ack-5 ack-7 fin-1")
            .next(State::CloseWait)
            .sends(&["<SEQ=1001><ACK=5002><CTL=ACK>"])
            .signals(&[Signal::Closing]),
        // FIN implies PUSH, and answers every RECEIVE that waits: with what there is, or with an error.
        row("fin-1", partly_read, seg(FIN_ACK, 5001, 1001, 10))
            .next(State::CloseWait)
            .sends(&["<SEQ=1001><ACK=5012><CTL=ACK>"])
            .signals(&[
                Signal::Received(Delivery { seq: Seq(5001), len: 10, push: false, urgent: false }),
                Signal::Closing,
            ]),
        row("fin-1", partly_read, seg(FIN_ACK, 5001, 1001, 0))
            .next(State::CloseWait)
            .sends(&["<SEQ=1001><ACK=5002><CTL=ACK>"])
            .signals(&[Signal::ReceiveFailed(CallError::Closing), Signal::Closing])
            .holds(|tcb, _| tcb.rcv.wanted == 0 && !tcb.rcv.push),
        row("fin-1", tcb(State::Established), seg(FIN_ACK, 5001, 1001, 10))
            .next(State::CloseWait)
            .sends(&["<SEQ=1001><ACK=5012><CTL=ACK>"])
            .holds(|tcb, _| tcb.rcv.push && tcb.rcv.readable == 10),
        row("fin-2", tcb(State::FinWait1), seg(FIN_ACK, 5001, 1002, 0))
            .trail("ack-4 ack-7 ack-8 ack-9 fin-2")
            .next(State::TimeWait)
            .sends(&["<SEQ=1002><ACK=5002><CTL=ACK>"])
            .holds(|tcb, out| restarts_2msl(tcb, out) && !tcb.timers.has(Timer::Retransmit)),
        row("fin-3", tcb(State::FinWait1), seg(FIN_ACK, 5001, 1001, 0))
            .next(State::Closing)
            .sends(&["<SEQ=1002><ACK=5002><CTL=ACK>"]),
        row("fin-4", tcb(State::FinWait2), seg(FIN_ACK, 5001, 1002, 10))
            .trail("ack-5 ack-7 ack-9 txt-1 fin-4")
            .next(State::TimeWait)
            .sends(&["<SEQ=1002><ACK=5012><CTL=ACK>"])
            .holds(restarts_2msl),
        // FIN with the ACK field of before ours was acknowledged: still the FIN.
        row("fin-4", tcb(State::FinWait2), seg(FIN_ACK, 5001, 1001, 0))
            .next(State::TimeWait)
            .sends(&["<SEQ=1002><ACK=5002><CTL=ACK>"]),
        row("fin-5", tcb(State::CloseWait), seg(FIN_ACK, 5002, 1001, 0))
            .trail("ack-5 ack-7 fin-5")
            .sends(&["<SEQ=1001><ACK=5002><CTL=ACK>"]),
        row("fin-6", tcb(State::TimeWait), seg(FIN_ACK, 5002, 1002, 0))
            .sends(&["<SEQ=1002><ACK=5002><CTL=ACK>"])
            .holds(restarts_2msl),
    ]
}
