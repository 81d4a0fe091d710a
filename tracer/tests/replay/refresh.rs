//! After a loss: a listing shows what is left, and what it does not show has ended unseen.

use model::linux::LinuxState::{self, *};
use tracer::{
    event::{Event, Family},
    step::{HandshakeResult, Role, StepKind, TimewaitEnd, Untimed},
    tracker::Listing,
};

use crate::{
    host::{Host, MILLISECOND, SECOND},
    watch::Watch,
};

/// A listing of the host's namespace, begun now, that shows these.
fn listing(host: &Host, shown: &[Event]) -> Listing {
    let mut listing = Listing::default();
    shown.iter().for_each(|event| listing.show(event));
    listing.is_complete(host.now, &[7]);
    listing
}

fn refresh(watch: &mut Watch, listing: &Listing) -> usize {
    let missing = watch.tracker.missing(listing);
    watch.see(&missing);
    missing.len()
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
    assert_eq!(refresh(&mut watch, &listing(&host, &[])), 7);
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

#[test]
fn what_a_listing_shows_stays() {
    let mut host = Host::new();
    let mut watch = crowd(&mut host);
    host.wait(2 * SECOND);
    let began = host.events.len();
    for at in 0..began {
        let Event { socket, flow, ref what, .. } = host.events[at];
        let (state, minisocket) = match what {
            tracer::event::What::Transition { transition, .. } => (transition.to, false),
            tracer::event::What::Timewait { substate, .. } => (*substate, true),
            tracer::event::What::Request { .. } => (NewSynRecv, true),
            _ => continue,
        };
        host.exists(socket, flow, state, minisocket);
    }
    let shown = host.events.split_off(began);
    assert_eq!(refresh(&mut watch, &listing(&host, &shown)), 0);
    for (state, count) in EVERYWHERE {
        assert_eq!(watch.sockets(state), count, "{state}");
    }
}

#[test]
fn nobody_is_missing_who_moved_just_now_or_lives_elsewhere() {
    let mut host = Host::new();
    let mut watch = crowd(&mut host);
    host.wait(500 * MILLISECOND);
    assert_eq!(refresh(&mut watch, &listing(&host, &[])), 0, "their entries may be on the way into a table");
    host.wait(2 * SECOND);
    let mut other = Listing::default();
    other.is_complete(host.now, &[8]);
    assert_eq!(refresh(&mut watch, &other), 0, "of another namespace");
    assert_eq!(refresh(&mut watch, &Listing::default()), 0, "a listing that was not finished");
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
