//! Lemmas of the sequence arithmetic, and what holds of every step whatever the TCB and the event.

#[path = "support/mod.rs"]
mod support;

use model::reassembly::Reassembly;
use model::seq::acceptable;
use model::tcb::{Fin, Former, Recent};
use model::{
    Call, Choices, Config, Effect, Effects, Event, Flags, Origin, Profile, Remote, Segment, Seq, State, Tcb,
    Timer, step,
};
use proptest::prelude::*;

/// Every number modulo 2^8, spread over the 32 bits: the order of multiples of 2^24 is that of 8-bit numbers.
fn spread() -> impl Iterator<Item = Seq> {
    (0..256_u32).map(|n| Seq(n << 24))
}

#[test]
fn order_is_antisymmetric_but_for_the_opposite_number() {
    for a in spread() {
        for b in spread() {
            let opposite = a - b == 1 << 31;
            assert_eq!(a.lt(b) && b.lt(a), opposite, "{a} {b}");
            assert_eq!(a.lt(b) || b.lt(a), a != b, "{a} {b}");
            assert_eq!(a.gt(b), b.lt(a));
            assert_eq!(a.le(b), !a.gt(b));
            assert_eq!(a.ge(b), !a.lt(b));
        }
    }
}

#[test]
fn order_is_transitive_within_half_the_space_and_moves_along() {
    for a in spread() {
        for b in spread() {
            for c in spread().step_by(5) {
                let near = (b - a) < 1 << 30 && (c - b) < 1 << 30;
                if near && a.lt(b) && b.lt(c) {
                    assert!(a.lt(c), "{a} {b} {c}");
                }
                assert_eq!(a.lt(b), (a + c.0).lt(b + c.0), "{a} {b} shifted by {c}");
            }
        }
    }
}

/// Every distance of 16 bits, at either end of the 32, from numbers on both sides of both wraps.
#[test]
fn order_and_windows_follow_the_distance() {
    for base in [0, 1, (1 << 31) - 1, 1 << 31, u32::MAX].map(Seq) {
        for distance in (0..=u16::MAX).flat_map(|n| [u32::from(n), u32::from(n) << 16, !u32::from(n)]) {
            let other = base + distance;
            // The opposite number is later both ways (RFC 7323, 2.3 keeps windows below that).
            let later = distance != 0 && distance <= 1 << 31;
            assert_eq!((base.lt(other), other.gt(base)), (later, later), "{base} {other}");
            assert_eq!((base.ge(other), other.le(base)), (!later, !later));
            assert_eq!(base.max(other), if later { other } else { base });
            assert_eq!((other - base, other - distance), (distance, base));
            for size in [0, 1, distance, distance.wrapping_add(1), 1 << 30, u32::MAX] {
                assert_eq!(other.in_window(base, size), distance < size, "{other} in {base}+{size}");
            }
        }
    }
}

/// Exhaustive on a space of 2^8 numbers, by counting which numbers are where.
#[test]
fn acceptability_is_what_the_four_tests_say() {
    for wnd in 0..20_u32 {
        for len in 0..20_u32 {
            for start in 0..256_u32 {
                let seq = Seq(start.wrapping_sub(128));
                let inside = |n: u32| n.wrapping_add(start).wrapping_sub(128) < wnd;
                let expected = match (len, wnd) {
                    (0, 0) => start == 128,
                    (0, _) => inside(0),
                    (_, 0) => false,
                    (len, _) => inside(0) || inside(len - 1),
                };
                assert_eq!(acceptable(seq, len, Seq(0), wnd), expected, "seq {seq} len {len} wnd {wnd}");
                // The same anywhere in the space.
                assert_eq!(acceptable(seq + 77, len, Seq(77), wnd), expected);
            }
        }
    }
}

fn seq() -> impl Strategy<Value = Seq> {
    prop_oneof![
        3 => (0..40_u32).prop_map(|n| Seq(5_000 + n)),
        2 => (0..40_u32).prop_map(|n| Seq(1_000 + n)),
        1 => any::<u32>().prop_map(Seq),
        1 => prop_oneof![Just(Seq(0)), Just(Seq(u32::MAX)), Just(Seq(1 << 31))],
    ]
}

fn size() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..30_u32, 2 => 0..70_000_u32, 1 => any::<u32>()]
}

prop_compose! {
    fn segment()(
        seq in seq(), ack in seq(), flags in 0..64_u8, window in any::<u16>(), urgent in any::<u16>(), len in size(),
        mss in any::<Option<u16>>(), window_scale in any::<Option<u8>>(), stamp in any::<Option<(u32, u32)>>(),
        compartment in 0..2_u8,
    ) -> Segment {
        let mut segment = Segment { seq, ack, flags: Flags(flags), window, urgent, len, compartment, ..Segment::default() };
        segment.options.mss = mss;
        segment.options.window_scale = window_scale;
        segment.options.timestamps =
            stamp.map(|(value, echo)| model::segment::Timestamps { value, echo });
        segment
    }
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        Just(Call::listen(support::CONFIG)),
        Just(Call::connect(support::CONFIG)),
        (size(), any::<bool>(), any::<bool>()).prop_map(|(len, push, urgent)| Call::Send {
            len,
            push,
            urgent,
            remote: Remote::Specified,
            admission: Ok(())
        }),
        size().prop_map(Call::receive),
        any::<bool>().prop_map(|reader_gone| Call::Close { reader_gone }),
        Just(Call::Abort),
        Just(Call::Status),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => segment().prop_map(Event::Arrives),
        2 => call().prop_map(Event::Call),
        2 => (0..8_usize).prop_map(|n| Event::Expires(Timer::ALL[n])),
        1 => Just(Event::Transmit),
        1 => prop_oneof![
            Just(model::event::IcmpError::Soft),
            Just(model::event::IcmpError::Hard),
            Just(model::event::IcmpError::SourceQuench)
        ].prop_map(Event::Icmp),
    ]
}

/// Any TCB at all, most of them impossible.
fn wild_tcb() -> impl Strategy<Value = Tcb> {
    let numbers = (seq(), seq(), seq(), seq(), seq(), seq(), seq(), size(), size());
    let more = (size(), size(), size(), size(), any::<u8>(), any::<u64>(), any::<u16>(), any::<bool>());
    let rest =
        (any::<Option<(u8, u8)>>(), any::<Option<(u32, u64)>>(), any::<[Option<u64>; 2]>(), any::<[u8; 3]>());
    (0..11_usize, numbers, more, rest, prop::collection::vec((seq(), size()), 0..4)).prop_map(
        |(state, numbers, more, rest, held)| {
            let mut tcb = support::tcb(State::ALL[state]);
            (
                tcb.snd.iss,
                tcb.snd.una,
                tcb.snd.nxt,
                tcb.snd.wl1,
                tcb.snd.wl2,
                tcb.rcv.irs,
                tcb.rcv.nxt,
                tcb.snd.wnd,
                tcb.rcv.wnd,
            ) = numbers;
            let timers;
            (
                tcb.snd.queued,
                tcb.snd.max_wnd,
                tcb.rcv.readable,
                tcb.rcv.wanted,
                timers,
                tcb.rtt.rto,
                tcb.agreed.peer_mss,
                tcb.rcv.reader_gone,
            ) = more;
            for timer in Timer::ALL {
                if timers & (1 << timer as u8) != 0 {
                    tcb.timers = tcb.timers.with(timer);
                }
            }
            let counts;
            (tcb.agreed.scale, tcb.agreed.timestamps, counts) =
                (rest.0, rest.1.map(|(value, since)| Recent { value, since }), rest.3);
            [tcb.rtt.srtt, tcb.config.keep_alive] = rest.2;
            tcb.config.user_timeout = tcb.config.keep_alive;
            [tcb.rtt.probes, tcb.rtt.retransmits, tcb.rtt.keep_alive_probes] = counts;
            tcb.snd.fin = [Fin::None, Fin::Wanted, Fin::Sent][usize::from(counts[0] % 3)];
            tcb.origin = if counts[1] % 2 == 0 { Origin::Active } else { Origin::Passive };
            if counts[2] % 4 == 0 {
                tcb.former = Some(Former {
                    snd_nxt: tcb.snd.wl1,
                    rcv_nxt: tcb.snd.wl2,
                    rcv_wnd: tcb.rcv.wnd,
                    agreed: tcb.agreed,
                });
            }
            let mut ranges = Reassembly::default();
            for (start, len) in held {
                ranges.insert(start, len, false, false);
            }
            tcb.rcv.held = ranges;
            tcb
        },
    )
}

fn profile() -> impl Strategy<Value = Profile> {
    (0..Profile::ALL.len(), any::<[bool; 10]>()).prop_map(|(n, on)| {
        let mut profile = Profile::ALL[n];
        [
            profile.rfc5961_rst,
            profile.rfc5961_syn,
            profile.rfc5961_ack,
            profile.security,
            profile.fast_open,
            profile.syn_cookies,
            profile.figure_7,
            profile.rfc1337,
            profile.user_timeout_resets,
            profile.half_duplex_close,
        ] = on;
        profile
    })
}

prop_compose! {
    fn choices()(
        iss in seq(), bits in any::<[bool; 6]>(), congestion_window in size(), burst in any::<u8>(),
        valid_cookie in any::<Option<u16>>(),
    ) -> Choices {
        let [delay_ack, ack_out_of_order, hold_out_of_order, text_on_syn, valid_fast_open, listener] = bits;
        Choices {
            iss, delay_ack, ack_out_of_order, hold_out_of_order, text_on_syn, congestion_window, burst, valid_cookie,
            valid_fast_open, fast_open: None, listener,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, ..ProptestConfig::default() })]

    /// Totality, and what holds even of nonsense: no reset answers a reset, effects fit, the trail is never empty
    /// for a segment.
    #[test]
    fn no_tcb_and_no_event_make_it_panic(
        tcb in wild_tcb(), event in event(), profile in profile(), choices in choices(), now in any::<u64>(),
    ) {
        let mut after = tcb;
        let mut out = Effects::new();
        let trail = step(&mut after, now, &event, &profile, &choices, &mut out);
        prop_assert!(!out.overflowed());
        if let Event::Arrives(segment) = event {
            prop_assert!(!trail.as_slice().is_empty());
            if segment.has(Flags::RST) {
                prop_assert!(out.segments().all(|sent| !sent.has(Flags::RST)), "{trail}");
            }
        }
        if let Event::Call(_) = event {
            prop_assert!(out.reply().is_some());
            prop_assert_eq!(trail.as_slice().len(), 1);
        }
        if after.state == State::Closed {
            prop_assert!(after == Tcb::closed() || tcb.state == State::Closed);
        }
        // The same input gives the same output.
        let mut again = tcb;
        let mut out_again = Effects::new();
        prop_assert_eq!(step(&mut again, now, &event, &profile, &choices, &mut out_again), trail);
        prop_assert_eq!(again, after);
        prop_assert_eq!(&out[..], &out_again[..]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, ..ProptestConfig::default() })]

    /// From CLOSED through any events: the invariants of a TCB that the machine made itself.
    #[test]
    fn whatever_happens_the_variables_stay_in_order(
        first in prop_oneof![Just(Call::listen(Config { user_timeout: Some(1), ..support::CONFIG })),
                             Just(Call::connect(Config { keep_alive: Some(1), ..support::CONFIG }))],
        events in prop::collection::vec(event(), 1..40),
        profile in profile(), choices in choices(),
    ) {
        let mut tcb = Tcb::closed();
        let mut out = Effects::new();
        for (now, event) in core::iter::once(Event::Call(first)).chain(events).enumerate() {
            let before = tcb;
            step(&mut tcb, now as u64, &event, &profile, &choices, &mut out);
            let (snd, rcv) = (&tcb.snd, &tcb.rcv);
            if !matches!(tcb.state, State::Closed | State::Listen) {
                prop_assert!(snd.una.le(snd.nxt), "una {} beyond nxt {}", snd.una, snd.nxt);
                prop_assert!(snd.iss.le(snd.una));
                prop_assert!(snd.nxt - snd.una <= tcb.config.send_buffer + 2);
            }
            if tcb.state.is_synchronized() && before.state == tcb.state && before.snd.iss == snd.iss {
                prop_assert!(before.rcv.nxt.le(rcv.nxt), "RCV.NXT went back");
                prop_assert!(before.snd.una.le(snd.una), "SND.UNA went back");
                let (old, new) = (before.rcv.nxt + before.rcv.wnd, rcv.nxt + rcv.wnd);
                // A FIN at the very edge of a closed window takes a number that the window does not have.
                prop_assert!(old.le(new), "right edge from {} to {}", old, new);
                prop_assert!(rcv.readable <= tcb.config.receive_buffer);
            }
            if tcb.state == State::TimeWait {
                prop_assert!(tcb.timers.has(Timer::TimeWait));
                prop_assert_eq!(tcb.timers.iter().count(), 1);
            }
            // Orders and the TCB agree on what runs.
            let mut running = before.timers;
            if let Event::Expires(timer) = event {
                running = running.without(timer);
            }
            for effect in out.iter() {
                match effect {
                    Effect::Start(timer, _) => running = running.with(*timer),
                    Effect::Stop(timer) => running = running.without(*timer),
                    _ => {}
                }
            }
            prop_assert_eq!(running, tcb.timers);
            for sent in out.segments() {
                if sent.has(Flags::ACK) && !sent.has(Flags::RST) && tcb.state.is_synchronized() {
                    prop_assert!(sent.ack.le(tcb.rcv.nxt));
                }
            }
        }
    }
}
