//! Options agreed in the SYNs, windows and their scaling, silly windows, probes.

#[path = "support/mod.rs"]
mod support;

use model::profile::RFC9293_INTENT;
use model::segment::{Options, Timestamps};
use model::{
    Call, Choices, Config, Effect, Effects, Event, Flags, Remote, Segment, Seq, State, Tcb, Timer, step,
};
use support::{CONFIG, in_flight, tcb};

fn happen(tcb: &mut Tcb, event: Event, choices: Choices) -> Effects {
    let mut out = Effects::new();
    step(tcb, 5_000_000, &event, &RFC9293_INTENT, &choices, &mut out);
    out
}

fn arrives(tcb: &mut Tcb, segment: Segment) -> Effects {
    happen(tcb, Event::Arrives(segment), Choices::default())
}

const OFFERED: Options = Options {
    mss: Some(800),
    window_scale: Some(20),
    sack_permitted: true,
    timestamps: Some(Timestamps { value: 77, echo: 0 }),
    fast_open: None,
};

fn rich() -> Config {
    Config { window_scale: Some(2), timestamps: true, sack: true, receive_buffer: 100_000, ..CONFIG }
}

#[test]
fn what_both_sides_offer_is_agreed() {
    let mut tcb = Tcb::listening(rich(), Remote::Unspecified);
    let syn = Segment { options: OFFERED, ..Segment::new(Flags::SYN, 5000, 0).window(1_000) };
    let out = arrives(&mut tcb, syn);
    let answer = out.segments().next().unwrap();
    assert_eq!(answer.options.mss, Some(1000));
    assert_eq!(answer.options.window_scale, Some(2));
    assert_eq!(answer.options.timestamps, Some(Timestamps { value: 5_000, echo: 77 }));
    assert!(answer.options.sack_permitted);
    // 14 is the most (RFC 7323, 2.3), and the window of a SYN is not scaled.
    assert_eq!(tcb.agreed.scale, Some((14, 2)));
    assert_eq!(answer.window, u16::MAX);
    // MSS: the smaller one, less the timestamps.
    assert_eq!(tcb.effective_mss(), 800 - 12);
    let mut ack = Segment::new(Flags::ACK, 5001, 1).window(3);
    ack.options.timestamps = Some(Timestamps { value: 78, echo: 5_000 });
    arrives(&mut tcb, ack);
    assert_eq!((tcb.state, tcb.snd.wnd), (State::Established, 3 << 14));
    let out = happen(&mut tcb, Event::Call(Call::send(10)), Choices::default());
    let text = out.segments().next().unwrap();
    assert_eq!(u32::from(text.window) << 2, 100_000);
    assert_eq!(
        text.options,
        Options { timestamps: Some(Timestamps { value: 5_000, echo: 78 }), ..Options::default() }
    );
}

#[test]
fn what_only_one_side_offers_is_not() {
    let mut plain = Tcb::listening(CONFIG, Remote::Unspecified);
    let syn = Segment { options: OFFERED, ..Segment::new(Flags::SYN, 5000, 0) };
    let out = arrives(&mut plain, syn);
    assert_eq!(out.segments().next().unwrap().options, Options { mss: Some(1000), ..Options::default() });
    let mut rich = Tcb::listening(rich(), Remote::Unspecified);
    let out = arrives(&mut rich, Segment::new(Flags::SYN, 5000, 0));
    assert_eq!(out.segments().next().unwrap().options, Options { mss: Some(1000), ..Options::default() });
    assert_eq!((rich.agreed.scale, rich.agreed.timestamps, rich.rcv.wnd), (None, None, 65_535));
    assert_eq!(rich.agreed.peer_mss, 536, "MUST-15");
}

#[test]
fn a_fin_on_a_syn_is_kept_only_inside_the_window() {
    for (len, kept) in [(9_998, true), (9_999, true), (10_000, false), (10_001, false)] {
        let mut tcb = Tcb::listening(CONFIG, Remote::Unspecified);
        arrives(&mut tcb, Segment::new(Flags::SYN | Flags::FIN, 5000, 0).text(len));
        assert_eq!(tcb.rcv.held.fin().is_some(), kept, "{len}");
        assert_eq!(tcb.rcv.held.held()[0].len, len.min(10_000) + u32::from(kept));
    }
}

/// Octets that leave at once when so many are given, without PUSH, to an idle connection.
fn leaves(len: u32, push: bool, largest_window: u32, window: u32) -> (u32, bool) {
    let mut tcb = tcb(State::Established);
    (tcb.snd.max_wnd, tcb.snd.wnd) = (largest_window, window);
    let call = Call::Send { len, push, urgent: false, remote: Remote::Unspecified, admission: Ok(()) };
    let out = happen(&mut tcb, Event::Call(call), Choices::default());
    (out.segments().map(|segment| segment.len).sum(), tcb.timers.has(Timer::SwsOverride))
}

#[test]
fn the_sender_avoids_silly_windows() {
    // A full segment; everything, pushed; half of the largest window; otherwise it waits for the override timer.
    assert_eq!(leaves(1_000, false, 10_000, 10_000), (1_000, false));
    assert_eq!(leaves(999, false, 10_000, 10_000), (0, true));
    assert_eq!(leaves(999, true, 10_000, 10_000), (999, false));
    assert_eq!(leaves(500, false, 1_000, 1_000), (500, false));
    assert_eq!(leaves(499, false, 1_000, 1_000), (0, true));
    assert_eq!(leaves(900, true, 10_000, 800), (0, true));
    // Half of a window of one octet is nothing.
    assert_eq!(leaves(500, false, 1, 1), (0, true));
}

#[test]
fn nagle_holds_a_small_segment_while_something_is_in_flight() {
    for (nagle, sent) in [(true, 0), (false, 10)] {
        let mut tcb = in_flight(State::Established, 100);
        tcb.config.nagle = nagle;
        let out = happen(&mut tcb, Event::Call(Call::send(10)), Choices::default());
        assert_eq!(out.segments().map(|segment| segment.len).sum::<u32>(), sent);
    }
}

#[test]
fn nagle_holds_half_a_window_too() {
    let mut tcb = in_flight(State::Established, 100);
    (tcb.snd.max_wnd, tcb.snd.wnd) = (1_000, 1_000);
    let call =
        Call::Send { len: 600, push: false, urgent: false, remote: Remote::Unspecified, admission: Ok(()) };
    assert_eq!(happen(&mut tcb, Event::Call(call), Choices::default()).segments().count(), 0);
}

#[test]
fn a_small_buffer_opens_its_window_by_halves() {
    for (read, window) in [(599, 0), (600, 600)] {
        let mut tcb = tcb(State::Established);
        tcb.config.receive_buffer = 1_200;
        (tcb.rcv.wnd, tcb.rcv.readable) = (0, 1_200);
        tcb.rcv.nxt += 1_200;
        happen(&mut tcb, Event::Call(Call::receive(read)), Choices::default());
        assert_eq!(tcb.rcv.wnd, window, "{read} octets read");
    }
}

/// Whether the peer is told at once of a window that was so large, when a reader empties a buffer of this size.
fn told(was: u32, buffer: u32) -> bool {
    let mut tcb = tcb(State::Established);
    tcb.config.receive_buffer = buffer;
    (tcb.rcv.wnd, tcb.rcv.readable) = (was, buffer - was);
    tcb.rcv.nxt += tcb.rcv.readable;
    let out = happen(&mut tcb, Event::Call(Call::receive(buffer - was)), Choices::default());
    assert_eq!(tcb.rcv.wnd, buffer);
    out.segments().count() == 1
}

#[test]
fn a_window_that_was_small_is_told_at_once_when_it_opens() {
    // Two full segments, or half the buffer where that is less.
    assert!(told(1_999, 10_000));
    assert!(!told(2_000, 10_000));
    assert!(told(1_499, 3_000));
    assert!(!told(1_500, 3_000));
}

#[test]
fn a_shrunk_window_is_survived() {
    // MUST-34: what is in flight lies beyond the new edge; nothing new goes, and the rest is repeated.
    let mut tcb = in_flight(State::Established, 5_000);
    arrives(&mut tcb, Segment::new(Flags::ACK, 5001, 1001).window(100));
    assert_eq!(tcb.snd.wnd, 100);
    let out = happen(&mut tcb, Event::Call(Call::send(10)), Choices::default());
    assert_eq!(out.segments().count(), 0);
    assert!(tcb.timers.has(Timer::Retransmit));
    // MUST-35: shrunk to zero, it is probed.
    arrives(&mut tcb, Segment::new(Flags::ACK, 5001, 1001).window(0));
    assert!(tcb.timers.has(Timer::Persist) && !tcb.timers.has(Timer::Retransmit));
}

#[test]
fn a_peer_that_answers_probes_is_never_given_up() {
    let mut tcb = tcb(State::Established);
    (tcb.snd.queued, tcb.snd.pushed, tcb.snd.wnd) = (10, 10, 0);
    (tcb.rtt.retransmits, tcb.config.user_timeout) = (3, Some(1_000_000));
    tcb.timers = tcb.timers.with(Timer::Persist).with(Timer::User);
    let mut waits = Vec::new();
    for _ in 0..9 {
        let out = happen(&mut tcb, Event::Expires(Timer::Persist), Choices::default());
        waits.extend(out.iter().filter_map(|effect| match effect {
            Effect::Start(Timer::Persist, after) => Some(after / 1_000_000),
            _ => None,
        }));
        let out = arrives(&mut tcb, Segment::new(Flags::ACK, 5001, 1001).window(0));
        assert!(out.contains(&Effect::Start(Timer::User, 1_000_000)), "MUST-37: its time begins anew");
        assert_eq!((tcb.state, tcb.rtt.retransmits), (State::Established, 0));
    }
    // SHLD-30: doubled, up to the largest RTO.
    assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60, 60, 60]);
    // The window opens: what was probed with is repeated, the rest follows, and the next probe would come early again.
    arrives(&mut tcb, Segment::new(Flags::ACK, 5001, 1002).window(100));
    assert_eq!((tcb.rtt.probes, tcb.snd.queued), (0, 0));
}

#[test]
fn progress_forgets_the_attempts_before() {
    let mut tcb = in_flight(State::Established, 100);
    tcb.rtt.retransmits = 5;
    arrives(&mut tcb, Segment::new(Flags::ACK, 5001, 1051));
    assert_eq!(tcb.rtt.retransmits, 0);
}

#[test]
fn a_hole_filled_is_acknowledged_at_once() {
    let mut tcb = tcb(State::Established);
    tcb.rcv.held.insert(Seq(5011), 10, false, false);
    let delayed = Choices { delay_ack: true, ..Choices::default() };
    let out = happen(&mut tcb, Event::Arrives(Segment::new(Flags::ACK, 5001, 1001).text(10)), delayed);
    assert_eq!(out.segments().next().map(|segment| segment.ack), Some(Seq(5021)));
    // And so is text while another hole is open.
    tcb.rcv.held.insert(Seq(5041), 10, false, false);
    let out = happen(&mut tcb, Event::Arrives(Segment::new(Flags::ACK, 5021, 1001).text(10)), delayed);
    assert_eq!(out.segments().next().map(|segment| segment.ack), Some(Seq(5031)));
}
