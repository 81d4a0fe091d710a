//! After a loss: a listing shows what is left, and what it does not show has ended unseen.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::linux::LinuxState::{self, *};
use tracer::{
    event::{Event, Family, SocketId, TimerAction, What},
    step::{HandshakeResult, Role, StepKind, TimewaitEnd, Untimed},
    tracker::Listing,
};

use crate::{
    host::{Host, MILLISECOND, Minisocket, SECOND},
    watch::Watch,
};

/// The host's namespace is listed now, and these are there. Says how many were missing.
fn refresh(watch: &mut Watch, host: &Host, shown: &[Event]) -> usize {
    let mut listing = Listing::default();
    for event in shown {
        if listing.show(event) {
            watch.see(std::slice::from_ref(event));
        }
    }
    listing.is_complete(host.now, &[7]);
    complete(watch, listing)
}

fn complete(watch: &mut Watch, mut listing: Listing) -> usize {
    let missing = watch.tracker.missing(&listing);
    watch.see(&missing);
    let unheard = watch.tracker.unheard(&mut listing);
    watch.see(&unheard);
    watch.tracker.listing_ends();
    missing.len()
}

/// As `sock_diag` lists it: minisockets without their addresses.
fn without_addresses(events: &mut [Event]) {
    for event in events {
        if matches!(event.what, What::Exists { minisocket: true, .. }) {
            event.socket.address = 0;
        }
    }
}

/// A client in each of these states, a request and two minisockets; everything is told.
fn crowd(host: &mut Host) -> Watch {
    let listener = host.listen(Family::Ipv4, 80);
    let mut clients: Vec<_> = (0..3).map(|n| host.client(Family::Ipv6, 40_000 + n, 80)).collect();
    clients.iter_mut().skip(1).for_each(|client| host.established(client));
    host.shutdown(&mut clients[2]);
    host.request(&listener, 50_000);
    for (port, substate) in [(41_000, TimeWait), (41_001, FinWait2)] {
        let mut client = host.client(Family::Ipv4, port, 80);
        host.established(&mut client);
        host.close(&mut client);
        host.fin_acknowledged(&mut client);
        host.time_wait(&mut client, substate);
    }
    Watch::of(&host.events)
}

const EVERYWHERE: [(LinuxState, u64); 6] =
    [(Listen, 1), (SynSent, 1), (Established, 1), (FinWait1, 1), (NewSynRecv, 1), (TimeWait, 1)];

#[test]
fn what_a_listing_does_not_show_has_ended_unseen() {
    let mut host = Host::new();
    let mut watch = crowd(&mut host);
    for (state, count) in EVERYWHERE {
        assert_eq!(watch.sockets(state), count, "{state}");
    }
    host.wait(2 * SECOND);
    assert_eq!(refresh(&mut watch, &host, &[]), 7);
    assert_eq!(watch.tracker.books().total(), 0);
    // How they ended is not guessed.
    for substate in [TimeWait, FinWait2] {
        assert!(watch.ends().contains(&(substate, TimewaitEnd::Unknown, None)), "{substate}");
    }
    let unknown = Err(Untimed::LostEvent);
    for role in [Role::Client, Role::Server] {
        assert!(watch.handshakes().contains(&(role, HandshakeResult::Other, unknown)), "{role:?}");
    }
    assert_eq!(watch.inconclusive(), []);
    watch.books_balance();
}

fn assert_all_stay(list: impl Fn(&mut [Event])) {
    let mut host = Host::new();
    let mut watch = crowd(&mut host);
    host.wait(2 * SECOND);
    let began = host.events.len();
    // Of each socket the last state.
    let mut last = BTreeMap::new();
    for Event { socket, flow, what, .. } in &host.events {
        let (state, minisocket) = match what {
            What::Transition { transition, .. } => (transition.to, false),
            What::Timewait { substate, .. } => (*substate, true),
            What::Request { .. } => (NewSynRecv, true),
            _ => continue,
        };
        last.insert(socket.address, (*socket, *flow, state, minisocket));
    }
    for (socket, flow, state, minisocket) in last.into_values().filter(|(_, _, state, _)| *state != Close) {
        host.exists(socket, flow, state, minisocket);
    }
    let mut shown = host.events.split_off(began);
    list(&mut shown);
    assert_eq!(refresh(&mut watch, &host, &shown), 0);
    for (state, count) in EVERYWHERE {
        assert_eq!(watch.sockets(state), count, "{state}");
    }
    watch.books_balance();
}

#[test]
fn what_a_listing_shows_stays() {
    assert_all_stay(|_| {});
    assert_all_stay(without_addresses);
}

#[test]
fn nobody_is_missing_who_moved_just_now_or_lives_elsewhere() {
    let mut host = Host::new();
    let mut watch = crowd(&mut host);
    host.wait(500 * MILLISECOND);
    assert_eq!(refresh(&mut watch, &host, &[]), 0, "their entries may be on the way into a table");
    host.wait(2 * SECOND);
    let mut other = Listing::default();
    other.is_complete(host.now, &[8]);
    assert_eq!(complete(&mut watch, other), 0, "of another namespace");
    assert_eq!(complete(&mut watch, Listing::default()), 0, "a listing that was not finished");
}

#[test]
fn what_began_unseen_counts_from_the_listing_on() {
    let mut host = Host::new();
    let mut watch = Watch::new();
    let mut client = host.client(Family::Ipv4, 40_000, 80);
    host.established(&mut client);
    host.close(&mut client);
    host.fin_acknowledged(&mut client);
    let timewait = host.time_wait(&mut client, TimeWait);
    let listener = host.listen(Family::Ipv4, 80);
    let request = host.request(&listener, 50_000);
    host.events.clear();
    host.exists(timewait.id, timewait.flow, TimeWait, true);
    host.exists(request.id, request.flow, NewSynRecv, true);
    watch.see(&host.events);
    assert_eq!(watch.count(|kind| matches!(kind, StepKind::TimewaitBegun { path: None, .. })), 1);
    assert_eq!(watch.count(|kind| *kind == StepKind::RequestBegun), 1);
    watch.books_balance();
}

/// A minisocket in this state, of a connection that nobody has seen, as `sock_diag` lists it.
fn listed(host: &mut Host, substate: LinuxState) -> (Minisocket, Event) {
    let mut client = host.client(Family::Ipv4, 40_000, 80);
    host.established(&mut client);
    host.close(&mut client);
    host.fin_acknowledged(&mut client);
    let mut timewait = host.time_wait(&mut client, substate);
    timewait.id.cookie = client.id.cookie;
    host.events.clear();
    host.exists(timewait.id, timewait.flow, substate, true);
    without_addresses(&mut host.events);
    (timewait, host.events.remove(0))
}

#[test]
fn a_minisocket_that_is_listed_by_its_cookie_tells_its_address_when_it_ends() {
    let (mut host, mut watch) = (Host::new(), Watch::new());
    let (timewait, shown) = listed(&mut host, TimeWait);
    watch.see(&[shown]);
    assert_eq!(watch.sockets(TimeWait), 1);
    host.wait(30 * SECOND);
    host.expire(&timewait);
    watch.see(&host.events);
    assert_eq!(watch.ends(), [(TimeWait, TimewaitEnd::Expired, None)]);
    assert_eq!(watch.sockets(TimeWait), 0);
    watch.books_balance();
}

#[test]
fn a_request_that_is_listed_by_its_cookie_becomes_a_child() {
    let (mut host, mut watch) = (Host::new(), Watch::new());
    let listener = host.listen(Family::Ipv4, 80);
    let mut request = host.request(&listener, 50_000);
    host.events.clear();
    // Listing it makes its cookie.
    request.id.cookie = 77;
    host.exists(request.id, request.flow, NewSynRecv, true);
    without_addresses(&mut host.events);
    host.accept(&listener, &request);
    watch.see(&host.events);
    assert_eq!(watch.sockets(NewSynRecv), 0);
    let [(Role::Server, HandshakeResult::Established, duration)] = watch.handshakes()[..] else {
        panic!("{:?}", watch.handshakes())
    };
    assert!(duration.is_ok(), "the first SYN+ACK's own time: {duration:?}");
    watch.books_balance();
}

/// The listing comes before the stream at the start. What nobody had asked for a cookie has none in the stream.
#[test]
fn what_began_without_a_cookie_is_what_the_listing_shows() {
    let (mut host, mut watch) = (Host::new(), Watch::new());
    let listener = host.listen(Family::Ipv4, 80);
    let (timewait, shown) = listed(&mut host, TimeWait);
    let now = host.now;
    host.now = timewait.born;
    let id = SocketId { cookie: 0, ..timewait.id };
    host.timewait_timer(&Minisocket { id, ..timewait.clone() }, TimerAction::Started);
    let mut request = host.request(&listener, 50_000);
    let stream = std::mem::take(&mut host.events);
    host.now = now;
    request.id.cookie = 77;
    host.exists(request.id, request.flow, NewSynRecv, true);
    without_addresses(&mut host.events);
    watch.adopt(&[shown, host.events.remove(0)]).see(&stream);
    assert_eq!((watch.sockets(TimeWait), watch.sockets(NewSynRecv)), (1, 1));
    assert_eq!(watch.count(|kind| matches!(kind, StepKind::TimewaitBegun { .. })), 1);
    assert_eq!(watch.count(|kind| *kind == StepKind::RequestBegun), 1);

    host.accept(&listener, &request);
    host.wait(60 * SECOND);
    host.expire(&timewait);
    watch.flush(host.now).see(&host.events);
    let [(TimeWait, TimewaitEnd::Expired, Some(_))] = watch.ends()[..] else { panic!("{:?}", watch.ends()) };
    let [(Role::Server, HandshakeResult::Established, Ok(_))] = watch.handshakes()[..] else {
        panic!("{:?}", watch.handshakes())
    };
    assert_eq!((watch.sockets(TimeWait), watch.sockets(NewSynRecv)), (0, 0));
    watch.books_balance();
}

#[test]
fn what_ends_while_it_is_listed_is_not_there_any_more() {
    for list in [without_addresses, |_: &mut [Event]| {}] {
        let mut host = Host::new();
        let mut client = host.client(Family::Ipv4, 40_000, 80);
        host.established(&mut client);
        host.close(&mut client);
        host.fin_acknowledged(&mut client);
        let timewait = host.time_wait(&mut client, TimeWait);
        host.destroy(&client);
        let mut watch = Watch::of(&host.events);
        host.wait(60 * SECOND);
        host.events.clear();
        host.exists(timewait.id, timewait.flow, TimeWait, true);
        let mut shown = std::mem::take(&mut host.events);
        list(&mut shown);
        watch.tracker.listing_begins();
        host.expire(&timewait);
        watch.see(&host.events);
        assert_eq!(refresh(&mut watch, &host, &shown), 0);
        assert_eq!(watch.ends().len(), 1);
        assert!(watch.tracker.is_empty());
        assert_eq!(watch.tracker.books().total(), 0);
    }
}

#[test]
fn a_minisocket_that_begins_while_the_kernel_looks_has_begun_once() {
    let (mut host, mut watch) = (Host::new(), Watch::new());
    let from = host.now;
    host.wait(MILLISECOND);
    let (timewait, mut shown) = listed(&mut host, TimeWait);
    let What::Exists { from: looked, .. } = &mut shown.what else { panic!("{shown:?}") };
    *looked = from;
    shown.time = timewait.born + MILLISECOND;
    watch.see(&[shown]);
    host.now = timewait.born;
    host.timewait_timer(&timewait, TimerAction::Started);
    host.wait(60 * SECOND);
    host.expire(&timewait);
    watch.see(&host.events);
    // Once by the listing, which nobody counts at the start, and once by its own event.
    assert_eq!(watch.count(|kind| matches!(kind, StepKind::TimewaitRestarted)), 0);
    let [(TimeWait, TimewaitEnd::Expired, Some(lived))] = watch.ends()[..] else {
        panic!("{:?}", watch.ends())
    };
    assert_eq!(lived / SECOND, 60);
}

#[test]
fn the_fin_of_an_orphan_that_is_known_by_its_cookie_is_looked_for() {
    let (mut host, mut watch) = (Host::new(), Watch::new());
    let (timewait, shown) = listed(&mut host, FinWait2);
    watch.see(&[shown]);
    let cookie = timewait.id.cookie;
    assert_eq!(watch.tracker.orphans_without_address(), HashMap::from([(7, HashSet::from([cookie]))]));
    host.wait(SECOND);
    host.swept(&timewait, host.now);
    if let Some(event) = host.events.last_mut() {
        event.socket.address = 0;
    }
    watch.see(&host.events);
    assert_eq!(watch.sockets(TimeWait), 1);
    assert!(watch.tracker.orphans_without_address().is_empty());
}
