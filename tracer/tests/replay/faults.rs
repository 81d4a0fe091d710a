//! Healthy streams with faults put in: a fault may cost certainty, where it touches, and nothing else.

use std::collections::HashSet;

use proptest::prelude::*;
use tracer::{
    event::{Event, What},
    step::{HandshakeResult, StepKind},
    tracker::{Hooks, Limits},
};

use crate::{
    crowd::{courses, name, stream, turns},
    host::SECOND,
    watch::Watch,
};

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The record never came.
    Drop,
    /// Two copies of the handler recorded it.
    Double,
    /// Two sockets' records come in the other order.
    Swap,
    /// The cookie is another one.
    Cookie(u64),
    /// The time is another one. Not for minisockets: a timer that fires early and a wrong clock look the same.
    Time(u64),
    /// The CPU is another one.
    Cpu(u16),
}

fn fault() -> impl Strategy<Value = (prop::sample::Index, Fault)> {
    let fault = prop_oneof![
        Just(Fault::Drop),
        Just(Fault::Double),
        Just(Fault::Swap),
        any::<u64>().prop_map(Fault::Cookie),
        (0..2_000 * SECOND).prop_map(Fault::Time),
        any::<u16>().prop_map(Fault::Cpu),
    ];
    (any::<prop::sample::Index>(), fault)
}

/// Puts a fault in; the sockets that it touches.
fn inject(events: &mut Vec<Event>, at: prop::sample::Index, fault: Fault) -> Vec<u64> {
    let at = at.index(events.len());
    let touched = name(&events[at]);
    match fault {
        Fault::Drop => {
            events.remove(at);
        }
        Fault::Double => {
            let again =
                Event { copy: events[at].copy + 1, time: events[at].time + 500, ..events[at].clone() };
            events.insert(at + 1, again);
        }
        Fault::Swap if at + 1 < events.len() && name(&events[at + 1]) != touched => events.swap(at, at + 1),
        Fault::Swap => return Vec::new(),
        Fault::Cookie(cookie) => {
            events[at].socket.cookie = cookie;
            return vec![touched, name(&events[at])];
        }
        Fault::Time(_) if matches!(events[at].what, What::Timewait { .. }) => return Vec::new(),
        Fault::Time(time) => events[at].time = time,
        Fault::Cpu(cpu) => events[at].cpu = cpu,
    }
    vec![touched]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_healthy_crowd_is_judged_to_the_last_transition(courses in courses(), turns in turns()) {
        let host = stream(&courses, &turns);
        let mut watch = Watch::of(&host.events);
        watch.flush(host.now + SECOND);
        prop_assert!(watch.violations().is_empty(), "{:?}", watch.violations());
        prop_assert_eq!(watch.inconclusive(), []);
        for (_, result, duration) in watch.handshakes() {
            prop_assert!(duration.is_ok(), "{result:?} {duration:?}");
            prop_assert!(matches!(result, HandshakeResult::Established | HandshakeResult::Refused));
        }
        watch.books_balance();
    }

    #[test]
    fn faults_cost_certainty_only_where_they_are(
        courses in courses(),
        turns in turns(),
        faults in prop::collection::vec(fault(), 1..20),
    ) {
        let host = stream(&courses, &turns);
        let mut events = host.events;
        let mut touched = HashSet::new();
        for (at, fault) in faults {
            if events.is_empty() {
                break;
            }
            touched.extend(inject(&mut events, at, fault));
        }
        let mut watch = Watch::of(&events);
        watch.flush(u64::MAX);
        prop_assert!(watch.violations().is_empty(), "{:?}", watch.violations());
        for (transition, _, told) in watch.transitions() {
            let certain = told.verdict.is_some_and(|verdict| verdict.severity() < 2);
            prop_assert!(certain || touched.contains(&told.cookie), "{transition} of {}", told.cookie);
        }
        watch.books_balance();
    }

    #[test]
    fn each_lost_transition_costs_at_most_one_verdict(
        courses in courses(),
        turns in turns(),
        lost in prop::collection::vec(any::<prop::sample::Index>(), 1..10),
    ) {
        let host = stream(&courses, &turns);
        let is_transition = |event: &Event| matches!(event.what, What::Transition { .. });
        let places: Vec<_> = (0..host.events.len()).filter(|at| is_transition(&host.events[*at])).collect();
        let lost: HashSet<_> = lost.iter().map(|at| places[at.index(places.len())]).collect();
        let left = host.events.iter().enumerate().filter(|(at, _)| !lost.contains(at));
        let watch = Watch::of(&left.map(|(_, event)| event.clone()).collect::<Vec<_>>());
        prop_assert!(watch.violations().is_empty(), "{:?}", watch.violations());
        prop_assert!(watch.inconclusive().len() <= lost.len(), "{:?} for {lost:?}", watch.inconclusive());
        watch.books_balance();
    }

    #[test]
    fn doubled_and_reordered_records_cost_nothing(
        courses in courses(),
        turns in turns(),
        at in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 1..30),
    ) {
        let host = stream(&courses, &turns);
        let healthy = Watch::of(&host.events);
        let mut events = host.events;
        let mut swapped = false;
        for (at, double) in at {
            // A doubled record is recorded right after the first one, by the second copy.
            let fault = if double && events[at.index(events.len())].copy == 0 { Fault::Double } else { Fault::Swap };
            swapped |= matches!(fault, Fault::Swap);
            inject(&mut events, at, fault);
        }
        let watch = Watch::of(&events);
        prop_assert!(watch.violations().is_empty(), "{:?}", watch.violations());
        prop_assert_eq!(watch.inconclusive(), []);
        if !swapped {
            let steps = |watch: &Watch| {
                watch.told.iter().filter(|told| told.kind != StepKind::Duplicate).map(|told| told.kind).collect::<Vec<_>>()
            };
            prop_assert_eq!(steps(&watch), steps(&healthy));
        }
        watch.books_balance();
    }

    #[test]
    fn a_small_table_is_never_exceeded_and_never_wrong(
        courses in courses(),
        turns in turns(),
        sockets in 0..12_usize,
    ) {
        let host = stream(&courses, &turns);
        let mut watch = Watch::with(Limits { sockets }, Hooks::all());
        for event in &host.events {
            watch.see(std::slice::from_ref(event));
            prop_assert!(watch.tracker.len() <= sockets);
        }
        prop_assert!(watch.violations().is_empty(), "{:?}", watch.violations());
        watch.books_balance();
    }

    #[test]
    fn starting_in_the_middle_accuses_nobody(courses in courses(), turns in turns(), from in any::<prop::sample::Index>()) {
        let host = stream(&courses, &turns);
        let from = from.index(host.events.len());
        let mut watch = Watch::new();
        watch.see(&host.events[from..]);
        prop_assert!(watch.violations().is_empty(), "{:?}", watch.violations());
        let mut doubts = HashSet::new();
        for (transition, _, told) in watch.transitions() {
            if told.verdict.is_some_and(|verdict| verdict.severity() == 2) {
                prop_assert!(doubts.insert(told.cookie), "{transition}: each socket is in doubt once");
            }
        }
        watch.books_balance();
    }
}
