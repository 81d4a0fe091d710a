//! Whatever is claimed to have been seen: no panic, and no more candidates than places.

use model::event::IcmpError;
use model::oracle::{Kind, Numbers, Observation, Tap, Transition};
use model::{Call, Config, Flags, Oracle, Profile, Segment, Seq, State};
use proptest::prelude::*;

fn seq() -> impl Strategy<Value = Seq> {
    prop_oneof![3 => (0..20_u32).prop_map(|n| Seq(100 + n)), 2 => (0..20_u32).prop_map(|n| Seq(300 + n)),
        1 => any::<u32>().prop_map(Seq)]
}

prop_compose! {
    fn segment()(
        seq in seq(), ack in seq(), flags in any::<u8>(), window in any::<u16>(), len in prop_oneof![0..20_u32, any::<u32>()],
        scale in any::<Option<u8>>(),
    ) -> Segment {
        let mut segment = Segment { seq, ack, flags: Flags(flags), window, len, ..Segment::default() };
        segment.options.window_scale = scale;
        segment
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    let state = || (0..State::ALL.len()).prop_map(|n| State::ALL[n]);
    let number = || proptest::option::of(seq());
    prop_oneof![
        3 => segment().prop_map(Kind::Received),
        3 => segment().prop_map(Kind::Sent),
        3 => (state(), state(), number(), number(), number()).prop_map(|(from, to, una, nxt, rcv_nxt)| {
            Kind::Transition(Transition { from, to, numbers: Numbers { una, nxt, rcv_nxt } })
        }),
        3 => prop_oneof![
            Just(Call::listen(Config::DEFAULT)), Just(Call::connect(Config::DEFAULT)), any::<u32>().prop_map(Call::send),
            any::<u32>().prop_map(Call::receive), Just(Call::CLOSE), Just(Call::CLOSE_BOTH), Just(Call::Abort)
        ].prop_map(Kind::Call),
        1 => Just(Kind::Icmp(IcmpError::Hard)),
        1 => Just(Kind::Quiet),
        1 => Just(Kind::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nothing_makes_it_panic_or_grow(
        observations in prop::collection::vec((0..4_000_000_u64, kind()), 1..25),
        bits in any::<[bool; 4]>(), profile in 0..Profile::ALL.len(),
    ) {
        let [calls, received, sent, transitions] = bits;
        let tap = Tap { calls, received, sent, transitions };
        let mut oracle = Oracle::<6>::new(&Profile::ALL[profile], tap);
        let mut again = oracle.clone();
        let mut at = 0;
        for (after, kind) in observations {
            at += after;
            let observation = Observation { at, kind };
            let verdict = oracle.observe(&observation);
            prop_assert!(oracle.candidates().len() <= 6);
            // After a violation the next connection deserves a judge.
            if oracle.lost().is_some() {
                oracle.adopt(&model::Tcb::closed(), at);
                again = oracle.clone();
            } else {
                prop_assert_eq!(again.observe(&observation), verdict);
            }
        }
    }
}
