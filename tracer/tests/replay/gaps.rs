//! Loss, doubt and limits: each has its cause, and each ends where the evidence is whole again.

use model::{Inconclusive, linux::LinuxState::*, linux::Transition};
use tracer::{
    event::{Event, Family},
    step::{HandshakeResult, Role, StepKind, Untimed},
    tracker::{Hooks, Limits},
};
use tracer_ebpf::Hook;

use crate::{
    host::{Host, MILLISECOND, SECOND, Socket, healthy},
    watch::Watch,
};

fn conversation() -> (Host, Socket) {
    let mut host = Host::new();
    let mut client = host.client(Family::Ipv4, 40_000, 80);
    host.established(&mut client);
    host.fin_received(&mut client);
    host.close(&mut client);
    host.fin_acknowledged(&mut client);
    (host, client)
}

/// The stream without the transition `from > to`.
fn without(events: &[Event], from: model::linux::LinuxState, to: model::linux::LinuxState) -> Vec<Event> {
    use tracer::event::What;
    let lost = |event: &&Event| !matches!(event.what, What::Transition { transition, .. } if transition == Transition::new(from, to));
    events.iter().filter(lost).cloned().collect()
}

#[test]
fn after_a_lost_event_one_transition_is_in_doubt_and_the_next_is_judged() {
    let (host, client) = conversation();
    let watch = Watch::of(&without(&host.events, Established, CloseWait));
    assert_eq!(
        watch.lines(client.id.cookie),
        [
            "close>syn_sent R12",
            "syn_sent>established R4",
            "close_wait>last_ack lost_event",
            "last_ack>close R15"
        ]
    );
    assert!(watch.tracker.is_empty());
}

#[test]
fn a_lost_end_of_a_handshake_is_still_an_outcome() {
    let (host, _) = conversation();
    let watch = Watch::of(&without(&host.events, SynSent, Established));
    let lost = (Role::Client, HandshakeResult::Established, Err(Untimed::LostEvent));
    assert_eq!(watch.handshakes(), [lost]);
    // It never got anywhere that we saw.
    let mut host = Host::new();
    let client = host.client(Family::Ipv4, 40_000, 80);
    host.destroy(&client);
    let other = (Role::Client, HandshakeResult::Other, Err(Untimed::LostEvent));
    assert_eq!(Watch::of(&host.events).handshakes(), [other]);
}

#[test]
fn a_socket_that_connects_again_after_a_lost_close_is_whole_again_at_once() {
    let mut host = Host::new();
    let mut socket = host.client(Family::Ipv4, 40_000, 80);
    host.established(&mut socket);
    host.reset_received(&mut socket);
    host.connect(&mut socket);
    host.established(&mut socket);
    let watch = Watch::of(&without(&host.events, Established, Close));
    assert_eq!(
        watch.lines(socket.id.cookie),
        [
            "close>syn_sent R12",
            "syn_sent>established R4",
            "close>syn_sent lost_event",
            "syn_sent>established R4"
        ]
    );
    assert_eq!(watch.handshakes().len(), 2);
    assert!(watch.handshakes()[1].2.is_ok(), "its SYN was seen");
}

#[test]
fn a_listed_socket_is_in_doubt_once() {
    let (host, client) = conversation();
    let mut listing = Host::new();
    listing.now = host.events[1].time;
    listing.exists(client.id, client.flow, Established, false);
    let mut watch = Watch::new();
    watch.adopt(&listing.events);
    assert_eq!(watch.sockets(Established), 1);
    watch.see(&host.events[2..]);
    assert_eq!(
        watch.lines(client.id.cookie),
        ["established>close_wait adopted", "close_wait>last_ack R14", "last_ack>close R15"]
    );
    assert_eq!(watch.told[0].owner, None, "the listing's own task is nobody's owner");
}

#[test]
fn an_unknown_socket_is_adopted_where_it_shows_up() {
    let (host, client) = conversation();
    let watch = Watch::of(&host.events[1..]);
    assert_eq!(
        watch.lines(client.id.cookie)[..2],
        ["syn_sent>established adopted", "established>close_wait R3"]
    );
    assert_eq!(watch.handshakes(), [(Role::Client, HandshakeResult::Established, Err(Untimed::Adopted))]);
    // Where transitions are known to be lost, that is the likelier reason.
    let mut watch = Watch::new();
    watch.tracker.lost(Hook::State, host.events[0].time);
    watch.see(&host.events[1..]);
    assert_eq!(watch.lines(client.id.cookie)[0], "syn_sent>established lost_event");
    assert_eq!(watch.handshakes()[0].2, Err(Untimed::LostEvent));
}

#[test]
fn events_that_the_listing_has_overtaken_change_nothing() {
    let (host, client) = conversation();
    let mut listing = Host::new();
    listing.now = host.events[2].time;
    listing.exists(client.id, client.flow, CloseWait, false);
    let mut watch = Watch::new();
    watch.adopt(&listing.events).see(&host.events);
    assert_eq!(
        watch.lines(client.id.cookie),
        [
            "close>syn_sent adopted",
            "syn_sent>established adopted",
            "established>close_wait adopted",
            "close_wait>last_ack adopted",
            "last_ack>close R15"
        ]
    );
    assert_eq!(watch.handshakes(), [(Role::Client, HandshakeResult::Established, Err(Untimed::Adopted))]);
    assert!(watch.tracker.is_empty());
}

#[test]
fn a_listing_that_caught_the_state_before_a_transition_gives_way_to_it() {
    let (host, client) = conversation();
    let mut listing = Host::new();
    listing.now = host.events[2].time;
    listing.exists(client.id, client.flow, Established, false);
    let mut watch = Watch::new();
    watch.adopt(&listing.events).see(&host.events[2..]);
    assert_eq!(watch.lines(client.id.cookie)[1..], ["close_wait>last_ack R14", "last_ack>close R15"]);
}

#[test]
fn a_later_listing_finds_what_was_lost() {
    let (host, client) = conversation();
    let mut watch = Watch::of(&host.events[..2]);
    let mut listing = Host::new();
    listing.now = host.events[2].time;
    listing.exists(client.id, client.flow, CloseWait, false);
    watch.see(&listing.events);
    assert_eq!((watch.sockets(Established), watch.sockets(CloseWait)), (0, 1));
    watch.see(&host.events[3..]);
    assert_eq!(watch.lines(client.id.cookie)[2..], ["close_wait>last_ack lost_event", "last_ack>close R15"]);
}

#[test]
fn a_doubled_record_is_counted_once() {
    let (mut host, client) = conversation();
    let doubled: Vec<_> = host
        .events
        .drain(..)
        .flat_map(|event| {
            let again = Event { copy: 1, time: event.time + 300, ..event.clone() };
            [event, again]
        })
        .collect();
    let watch = Watch::of(&doubled);
    assert_eq!(watch.lines(client.id.cookie).len(), 5);
    assert_eq!(watch.inconclusive(), []);
    // Both the transitions, and the end, which comes for an unknown socket then.
    assert_eq!(watch.count(|kind| *kind == StepKind::Duplicate), doubled.len() / 2);
    assert_eq!(watch.handshakes().len(), 1);
}

#[test]
fn a_doubled_record_is_known_however_long_interrupts_held_up_the_second_copy() {
    let (mut host, client) = conversation();
    let (mut other, _) = conversation();
    for event in &mut other.events {
        event.socket.cookie += 1_000;
        event.copy = 1;
    }
    let doubled: Vec<_> = host
        .events
        .drain(..)
        .flat_map(|event| {
            let again = Event { copy: 1, time: event.time + 15 * MILLISECOND, ..event.clone() };
            std::iter::once(event).chain(other.events.drain(..)).chain([again]).collect::<Vec<_>>()
        })
        .collect();
    let watch = Watch::of(&doubled);
    assert_eq!(watch.lines(client.id.cookie).len(), 5);
    assert_eq!(watch.inconclusive(), []);
    assert_eq!(watch.handshakes().len(), 2);
    watch.books_balance();
}

#[test]
fn an_end_that_is_told_again_on_another_cpu_long_after_is_one() {
    let (mut host, _) = conversation();
    let end = host.events.last().expect("its end").clone();
    let cpu = end.cpu + 1;
    host.events.push(Event { copy: 1, cpu, time: end.time + SECOND, ..end });
    let watch = Watch::of(&host.events);
    assert_eq!(watch.count(|kind| *kind == StepKind::Destroyed), 1);
    assert_eq!(watch.count(|kind| *kind == StepKind::Duplicate), 1);
}

#[test]
fn another_socket_in_the_same_memory_is_no_doubled_record() {
    let (mut host, client) = conversation();
    let end = host.events.len() - 1;
    let (other, _) = conversation();
    host.events.extend(other.events.into_iter().map(|mut event| {
        event.socket.cookie += 1_000;
        event.time = host.now + MILLISECOND;
        event.copy = 1;
        event
    }));
    let watch = Watch::of(&host.events);
    assert!(matches!(host.events[end].what, tracer::event::What::Destroyed { .. }), "{:?}", host.events[end]);
    assert_eq!(host.events[end].socket.address, client.id.address);
    assert_eq!(watch.count(|kind| *kind == StepKind::Destroyed), 2);
    assert_eq!(watch.count(|kind| *kind == StepKind::Duplicate), 0);
}

#[test]
fn the_same_connect_by_a_later_copy_with_other_numbers_is_a_lost_failure() {
    let mut host = Host::new();
    let mut socket = host.client(Family::Ipv4, 40_000, 80);
    host.connect(&mut socket);
    let lost = host.events.len();
    host.reset_received(&mut socket);
    let again = host.events.len();
    socket.evidence.write_seq = socket.evidence.write_seq.wrapping_add(1_000);
    host.connect(&mut socket);
    host.events[again].copy = 1;
    host.events.drain(lost..again);
    let watch = Watch::of(&host.events);
    assert_eq!(watch.inconclusive(), [Inconclusive::LostEvent]);
    assert_eq!(watch.count(|kind| *kind == StepKind::Duplicate), 0);
}

#[test]
fn a_repeated_close_is_no_doubled_record() {
    let mut host = Host::new();
    let mut client = host.client(Family::Ipv4, 40_000, 80);
    host.established(&mut client);
    host.shutdown(&mut client);
    host.fin_acknowledged(&mut client);
    client.evidence.receive_shutdown = true;
    client.evidence.owner = Some(model::linux::Owner::User);
    host.goes(&mut client, FinWait2);
    let mut stream = host.events.clone();
    stream.push(Event { copy: 1, time: host.now + 200, ..stream.last().unwrap().clone() });
    let watch = Watch::of(&stream);
    assert_eq!(watch.lines(client.id.cookie).last().unwrap(), "fin_wait2>fin_wait2 S");
    assert_eq!(watch.count(|kind| *kind == StepKind::Duplicate), 1);
}

#[test]
fn the_same_refusal_twice_is_a_lost_connect_not_a_doubled_record() {
    let mut host = Host::new();
    let mut socket = host.client(Family::Ipv4, 40_000, 80);
    host.reset_received(&mut socket);
    host.wait(MILLISECOND);
    let lost = host.events.len();
    host.connect(&mut socket);
    host.reset_received(&mut socket);
    host.events.remove(lost);
    let watch = Watch::of(&host.events);
    assert_eq!(watch.inconclusive(), [Inconclusive::LostEvent]);
    assert_eq!(watch.count(|kind| *kind == StepKind::Duplicate), 0);
}

#[test]
fn a_full_table_counts_on_and_judges_nothing_of_the_rest() {
    let mut host = Host::new();
    let listener = host.listen(Family::Ipv4, 80);
    let mut first = host.client(Family::Ipv4, 40_000, 80);
    host.established(&mut first);
    let begin = host.events.len();
    healthy(&mut host, Family::Ipv4, &listener, 40_001, MILLISECOND);
    let end = host.events.len();
    host.reset_received(&mut first);
    let mut watch = Watch::with(Limits { sockets: 2 }, Hooks::all());
    watch.see(&host.events[..begin]);
    let known = watch.told.len();
    watch.see(&host.events[begin..end]);
    let rest: Vec<_> = watch.transitions().skip(3).map(|(_, hole, told)| (hole, told.state)).collect();
    assert_eq!(rest.len(), 10);
    assert!(rest.iter().all(|seen| *seen == (Some(Inconclusive::TableFull), None)), "{rest:?}");
    assert_eq!(watch.handshakes().len(), 3);
    assert!(watch.told.len() > known && watch.tracker.len() == 2);
    // A socket in CLOSE makes room.
    watch.see(&host.events[end..]);
    assert_eq!(watch.tracker.len(), 2);
    host.wait(SECOND);
    let next = host.client(Family::Ipv4, 40_002, 80);
    watch.see(&host.events[host.events.len() - 1..]);
    assert_eq!(watch.lines(next.id.cookie), ["close>syn_sent R12"]);
    assert_eq!(watch.tracker.len(), 2);
    assert_eq!(watch.violations().len(), 0);
    watch.books_balance();
}

#[test]
fn sockets_in_close_do_not_pile_up_when_their_ends_are_lost() {
    let mut watch = Watch::new();
    let mut host = Host::new();
    for _ in 0..40_000 {
        let mut client = host.client(Family::Ipv4, 40_000, 80);
        host.reset_received(&mut client);
        watch.see(&host.events);
        host.events.clear();
        watch.told.clear();
    }
    assert_eq!(watch.tracker.len(), 16_384);
}

#[test]
fn resets_that_may_have_been_lost_are_not_missed() {
    let (host, _) = conversation();
    let visible =
        |watch: &Watch| watch.histories().iter().map(|history| history.resets_visible).collect::<Vec<_>>();
    let mut watch = Watch::new();
    watch.tracker.lost(Hook::SendReset, host.events[1].time - 1);
    watch.see(&host.events);
    assert_eq!(visible(&watch), [false, false, true, true, true], "from the first transition after the loss");
    let mut blind = Watch::with(Limits::default(), Hooks::all().without(Hook::ReceiveReset));
    assert_eq!(visible(blind.see(&host.events)), [false; 5]);
}
