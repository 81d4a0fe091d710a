//! One outcome per attempt, and its time where it can be known.

use model::linux::{LinuxState::*, Owner, SocketError};
use tracer::{
    event::{Family, RequestEnd, TimerAction, What},
    step::{HandshakeResult, Role, StepKind, Untimed},
    tracker::{Hooks, Limits},
};
use tracer_ebpf::{Caller, Hook};

use crate::{
    host::{Host, MICROSECOND, MILLISECOND, SECOND, Socket},
    watch::Watch,
};

fn client(host: &mut Host) -> Socket {
    host.client(Family::Ipv4, 40_000, 80)
}

fn outcome(host: &Host) -> (Role, HandshakeResult) {
    let watch = Watch::of(&host.events);
    let handshakes = watch.handshakes();
    assert_eq!(handshakes.len(), 1, "{handshakes:?}");
    assert_eq!(watch.inconclusive(), []);
    (handshakes[0].0, handshakes[0].1)
}

#[test]
fn both_ends_are_timed_from_the_syn() {
    let mut host = Host::new();
    let listener = host.listen(Family::Ipv4, 80);
    let mut client = client(&mut host);
    let began = host.now;
    host.wait(10 * MILLISECOND);
    let request = host.request(&listener, 40_000);
    let heard = host.now;
    host.wait(10 * MILLISECOND);
    host.established(&mut client);
    let client_done = host.now;
    host.wait(20 * MILLISECOND);
    host.accept(&listener, &request);
    let watch = Watch::of(&host.events);
    assert_eq!(
        watch.handshakes(),
        [
            (Role::Client, HandshakeResult::Established, Ok(client_done - began)),
            (Role::Server, HandshakeResult::Established, Ok(host.now - heard)),
        ]
    );
    let ended = watch.told.iter().find_map(|told| match told.kind {
        StepKind::RequestEnded { completed, lived } => Some((completed, lived)),
        _ => None,
    });
    assert_eq!(ended, Some((true, Some(host.now - MICROSECOND - heard))));
}

#[test]
fn a_lost_syn_is_part_of_the_time() {
    let mut host = Host::new();
    let mut client = client(&mut host);
    let began = host.now;
    host.wait(SECOND);
    host.record(Hook::Retransmit, client.id, client.flow, None, What::SynRetransmitted);
    host.wait(30 * MILLISECOND);
    client.evidence.retransmits = 1;
    host.established(&mut client);
    let watch = Watch::of(&host.events);
    assert_eq!(watch.handshakes(), [(Role::Client, HandshakeResult::Established, Ok(host.now - began))]);
    assert_eq!(watch.count(|kind| *kind == StepKind::SynRetransmit), 1);
    assert_eq!(watch.tracker.connections().next().unwrap().syn_retransmits, 1);
}

#[test]
fn refused() {
    let mut host = Host::new();
    let mut client = client(&mut host);
    host.reset_received(&mut client);
    assert_eq!(outcome(&host), (Role::Client, HandshakeResult::Refused));
}

#[test]
fn timed_out() {
    let mut host = Host::new();
    let mut client = client(&mut host);
    host.wait(127 * SECOND);
    host.softirq(&mut client);
    client.evidence.error = SocketError::TimedOut;
    client.evidence.retransmits = 6;
    host.goes(&mut client, Close);
    assert_eq!(outcome(&host), (Role::Client, HandshakeResult::Timeout));
}

#[test]
fn unreachable() {
    let mut host = Host::new();
    let mut client = client(&mut host);
    host.softirq(&mut client);
    client.evidence.error = SocketError::Unreachable;
    host.goes(&mut client, Close);
    assert_eq!(outcome(&host), (Role::Client, HandshakeResult::Unreachable));
}

#[test]
fn aborted_by_its_caller() {
    let mut host = Host::new();
    let mut client = client(&mut host);
    client.evidence.send_shutdown = true;
    client.evidence.receive_shutdown = true;
    host.goes(&mut client, Close);
    assert_eq!(outcome(&host), (Role::Client, HandshakeResult::Aborted));
}

#[test]
fn without_a_free_port_no_syn_leaves() {
    let mut host = Host::new();
    let mut client = client(&mut host);
    client.evidence.una = 0;
    client.evidence.nxt = 0;
    client.evidence.write_seq = 0;
    host.goes(&mut client, Close);
    assert_eq!(outcome(&host), (Role::Client, HandshakeResult::Other));
}

#[test]
fn a_simultaneous_open_is_a_clients() {
    let mut host = Host::new();
    let mut client = client(&mut host);
    let began = host.now;
    host.softirq(&mut client);
    client.evidence.rcv_nxt = 5_001;
    client.evidence.copied_seq = 5_001;
    host.goes(&mut client, SynRecv);
    client.evidence.una = 1_001;
    host.goes(&mut client, Established);
    let watch = Watch::of(&host.events);
    assert_eq!(watch.handshakes(), [(Role::Client, HandshakeResult::Established, Ok(host.now - began))]);
    assert_eq!(watch.inconclusive(), []);
}

#[test]
fn a_simultaneous_open_can_be_reset() {
    let mut host = Host::new();
    let mut client = client(&mut host);
    host.softirq(&mut client);
    host.goes(&mut client, SynRecv);
    host.reset_received(&mut client);
    assert_eq!(outcome(&host), (Role::Client, HandshakeResult::Reset));
}

#[test]
fn a_syn_cookie_leaves_nothing_to_time_by() {
    let mut host = Host::new();
    let listener = host.listen(Family::Ipv4, 80);
    let flow = crate::host::flow(Family::Ipv4, 80, 40_000);
    let mut child = host.clone_child_or_fast_open(&listener, flow);
    host.child_established(&mut child);
    let expected = |untimed| [(Role::Server, HandshakeResult::Established, Err(untimed))];
    assert_eq!(Watch::of(&host.events).handshakes(), expected(Untimed::SynCookie));
    // Without the timers nothing says that there was no request.
    let mut blind = Watch::with(Limits::default(), Hooks::all().without(Hook::TimerStart));
    assert_eq!(blind.see(&host.events).handshakes(), expected(Untimed::LostEvent));
    let mut lossy = Watch::new();
    lossy.tracker.lost(Hook::TimerCancel, host.now);
    assert_eq!(lossy.see(&host.events).handshakes(), expected(Untimed::LostEvent));
}

#[test]
fn where_no_listener_takes_fast_open_a_syn_cookie_may_take_its_time() {
    let mut host = Host::new();
    let listener = host.listen(Family::Ipv4, 80);
    let mut child = host.clone_child(&listener, crate::host::flow(Family::Ipv4, 80, 40_000));
    // The hypervisor gave the processor to another guest.
    host.wait(30 * MILLISECOND);
    host.child_established(&mut child);
    let expected = [(Role::Server, HandshakeResult::Established, Err(Untimed::SynCookie))];
    assert_eq!(Watch::of(&host.events).handshakes(), expected);
}

#[test]
fn a_fast_open_child_lives_before_its_handshake_ends() {
    let mut host = Host::new();
    let listener = host.listen(Family::Ipv4, 80);
    let mut child = host.clone_child_or_fast_open(&listener, crate::host::flow(Family::Ipv4, 80, 40_000));
    host.wait(30 * MILLISECOND);
    host.child_established(&mut child);
    let expected = [(Role::Server, HandshakeResult::Established, Err(Untimed::FastOpen))];
    assert_eq!(Watch::of(&host.events).handshakes(), expected);
    // Accepted within the round-trip time of the loopback.
    let mut host = Host::new();
    let listener = host.listen(Family::Ipv4, 80);
    let mut child = host.clone_child_or_fast_open(&listener, crate::host::flow(Family::Ipv4, 80, 40_000));
    child.evidence.has_user_socket = Some(true);
    host.child_established(&mut child);
    assert_eq!(Watch::of(&host.events).handshakes(), expected);
}

#[test]
fn a_fast_open_child_closed_early_has_an_outcome_too() {
    let mut host = Host::new();
    let listener = host.listen(Family::Ipv4, 80);
    let mut child = host.clone_child_or_fast_open(&listener, crate::host::flow(Family::Ipv4, 80, 40_000));
    child.evidence.fast_open = Some(true);
    host.wait(MILLISECOND);
    host.close(&mut child);
    assert_eq!(outcome(&host), (Role::Server, HandshakeResult::Aborted));
}

#[test]
fn a_request_that_nobody_answers_times_out() {
    let mut host = Host::new();
    let listener = host.listen(Family::Ipv4, 80);
    let request = host.request(&listener, 40_000);
    let heard = host.now;
    for earlier in 0..2 {
        host.wait(SECOND << earlier);
        host.request_timer(&request, TimerAction::Cancelled);
        host.request_timer(&request, TimerAction::Expired);
        let what = What::SynAckRetransmitted { earlier };
        host.record(Hook::RetransmitSynack, request.id, request.flow, None, what);
        host.request_timer(&request, TimerAction::Started);
    }
    host.wait(4 * SECOND);
    host.request_timer(&request, TimerAction::Cancelled);
    host.request_timer(&request, TimerAction::Expired);
    let mut watch = Watch::of(&host.events);
    assert_eq!(watch.handshakes(), [], "what comes after the expiry is not known yet");
    watch.flush(host.now + SECOND);
    assert_eq!(watch.handshakes(), [(Role::Server, HandshakeResult::Timeout, Ok(host.now - heard))]);
    assert_eq!(watch.count(|kind| *kind == StepKind::SynAckRetransmit), 2);
    assert_eq!(watch.sockets(NewSynRecv), 0);
    watch.books_balance();
}

#[test]
fn a_request_that_is_dropped_has_no_known_cause() {
    let mut host = Host::new();
    let listener = host.listen(Family::Ipv4, 80);
    let request = host.request(&listener, 40_000);
    host.request_timer(&request, TimerAction::Cancelled);
    // The next event of that CPU is about somebody else.
    client(&mut host);
    let watch = Watch::of(&host.events);
    assert_eq!(watch.handshakes(), [(Role::Server, HandshakeResult::Other, Ok(MICROSECOND))]);
    watch.books_balance();
}

#[test]
fn a_request_in_the_memory_of_a_dropped_one_is_another() {
    let mut host = Host::new();
    let listener = host.listen(Family::Ipv4, 80);
    let first = host.request(&listener, 40_000);
    host.wait(MILLISECOND);
    host.request_timer(&first, TimerAction::Cancelled);
    let mut second = host.request(&listener, 40_000);
    // The kernel hands the same memory out again.
    let again = host.events.pop().map(|event| tracer::event::Event { socket: first.id, ..event }).unwrap();
    host.events.push(again);
    second.id = first.id;
    host.wait(MILLISECOND);
    host.accept(&listener, &second);
    let watch = Watch::of(&host.events);
    let results: Vec<_> = watch.handshakes().iter().map(|(_, result, _)| *result).collect();
    assert_eq!(results, [HandshakeResult::Other, HandshakeResult::Established]);
    let begun = watch.told.iter().filter(|told| told.kind == StepKind::RequestBegun).count();
    assert_eq!(begun, 2);
}

#[test]
fn a_request_that_is_dropped_beside_somebody_elses_child_is_not_that_child() {
    let mut host = Host::new();
    let listener = host.listen(Family::Ipv4, 80);
    let request = host.request(&listener, 40_000);
    let mut child = host.clone_child(&listener, crate::host::flow(Family::Ipv4, 80, 40_001));
    host.request_timer(&request, TimerAction::Cancelled);
    host.child_established(&mut child);
    assert_eq!(
        Watch::of(&host.events).handshakes(),
        [
            (Role::Server, HandshakeResult::Other, Ok(2 * MICROSECOND)),
            (Role::Server, HandshakeResult::Established, Err(Untimed::SynCookie)),
        ]
    );
}

#[test]
fn the_peers_second_syn_restarts_the_timer_of_a_request() {
    let mut host = Host::new();
    let listener = host.listen(Family::Ipv4, 80);
    let request = host.request(&listener, 40_000);
    let heard = host.now;
    host.wait(SECOND);
    host.request_timer(&request, TimerAction::Cancelled);
    host.request_timer(&request, TimerAction::Started);
    host.wait(MILLISECOND);
    host.accept(&listener, &request);
    let expected = [(Role::Server, HandshakeResult::Established, Ok(host.now - heard))];
    assert_eq!(Watch::of(&host.events).handshakes(), expected);
}

/// What a request comes to whose timer ends so; `answered`: its listener sends an RST just before.
fn ends(action: TimerAction, end: RequestEnd, answered: Option<bool>) -> HandshakeResult {
    let mut host = Host::new();
    let listener = host.listen(Family::Ipv4, 80);
    let request = host.request(&listener, 40_000);
    host.wait(MILLISECOND);
    if let Some(syn) = answered {
        host.refuses(&listener, syn);
    }
    if action == TimerAction::Expired {
        host.request_timer(&request, TimerAction::Cancelled);
    }
    host.request_ends(&request, action, end);
    host.client(Family::Ipv4, 50_000, 443);
    let watch = Watch::of(&host.events);
    watch.books_balance();
    let handshakes = watch.handshakes();
    assert_eq!((handshakes.len(), handshakes[0].0), (1, Role::Server));
    handshakes[0].1
}

#[test]
fn a_dropped_request_has_the_reason_that_the_kernel_shows() {
    use HandshakeResult::{Aborted, Other, Overflow, Reset, Unreachable};
    let by = |caller| RequestEnd { caller, ..RequestEnd::default() };
    let dropped = |end, answered| ends(TimerAction::Cancelled, end, answered);
    let segment = by(Caller::CheckRequest);
    let full = RequestEnd { listener_full: true, ..segment };
    assert_eq!(dropped(segment, None), Reset, "an RST gets no answer");
    assert_eq!(dropped(full, None), Reset, "however full the listener is");
    assert_eq!(dropped(segment, Some(true)), Reset, "a second SYN");
    assert_eq!(dropped(full, Some(true)), Reset);
    assert_eq!(dropped(full, Some(false)), Overflow, "tcp_abort_on_overflow");
    assert_eq!(dropped(segment, Some(false)), Other, "no child, and there was room");
    assert_eq!(dropped(by(Caller::RequestError), None), Unreachable);
    assert_eq!(dropped(by(Caller::Abort), None), Aborted);
    assert_eq!(dropped(by(Caller::Purge), None), Aborted);
    let orphaned = RequestEnd { listener_gone: true, ..by(Caller::Receive) };
    assert_eq!(dropped(orphaned, None), Aborted);
    assert_eq!(dropped(by(Caller::Receive), None), Other);
    assert_eq!(dropped(by(Caller::Unknown), None), Other);
}

#[test]
fn a_request_expires_because_nobody_answers_or_because_there_was_no_room() {
    let expires = |end| ends(TimerAction::Expired, end, None);
    let put_off = RequestEnd { acknowledged: true, ..RequestEnd::default() };
    assert_eq!(expires(RequestEnd::default()), HandshakeResult::Timeout);
    assert_eq!(expires(RequestEnd { listener_full: true, ..put_off }), HandshakeResult::Overflow);
    assert_eq!(expires(put_off), HandshakeResult::Other);
    let no_data = RequestEnd { deferred: true, listener_full: true, ..put_off };
    assert_eq!(expires(no_data), HandshakeResult::Timeout, "TCP_DEFER_ACCEPT");
    let orphaned = RequestEnd { listener_gone: true, ..put_off };
    assert_eq!(expires(orphaned), HandshakeResult::Aborted);
}

#[test]
fn an_rst_for_somebody_else_explains_nothing() {
    let mut host = Host::new();
    let listener = host.listen(Family::Ipv4, 80);
    let request = host.request(&listener, 40_000);
    host.refuses(&listener, true);
    host.client(Family::Ipv4, 50_000, 443);
    let end = RequestEnd { caller: Caller::CheckRequest, listener_full: true, ..RequestEnd::default() };
    host.request_ends(&request, TimerAction::Cancelled, end);
    host.client(Family::Ipv4, 50_001, 443);
    // Without the hook an RST may have been sent or not.
    let without = Hooks::all().without(Hook::SendReset);
    for (hooks, result) in [(Hooks::all(), HandshakeResult::Reset), (without, HandshakeResult::Other)] {
        let mut watch = Watch::with(Limits::default(), hooks);
        watch.see(&host.events);
        assert_eq!(watch.handshakes()[0].1, result);
    }
}

#[test]
fn a_request_of_before_is_timed_by_its_syn_ack() {
    let mut host = Host::new();
    let listener = host.listen(Family::Ipv4, 80);
    let request = host.request(&listener, 40_000);
    host.events.pop();
    host.exists(request.id, request.flow, NewSynRecv, true);
    let listing = host.events.pop().unwrap();
    host.wait(5 * MILLISECOND);
    host.accept(&listener, &request);
    let mut watch = Watch::new();
    watch.adopt(&[listing]);
    assert_eq!(watch.sockets(NewSynRecv), 1);
    watch.see(&host.events);
    let [(Role::Server, HandshakeResult::Established, Ok(duration))] = watch.handshakes()[..] else {
        panic!("{:?}", watch.handshakes());
    };
    assert!(duration.abs_diff(5 * MILLISECOND) < 10 * MICROSECOND, "{duration}");
    assert_eq!(watch.sockets(NewSynRecv), 0);
}

#[test]
fn a_child_that_gets_its_cookie_late_is_the_same_child() {
    let mut host = Host::new();
    let listener = host.listen(Family::Ipv4, 80);
    let request = host.request(&listener, 40_000);
    let heard = host.now;
    let mut half = request.flow;
    half.remote.set_port(0);
    let mut child = host.clone_child(&listener, half);
    host.request_timer(&request, TimerAction::Cancelled);
    child.id.cookie += 1_000;
    child.flow = request.flow;
    host.child_established(&mut child);
    let watch = Watch::of(&host.events);
    assert_eq!(watch.inconclusive(), []);
    assert_eq!(watch.handshakes(), [(Role::Server, HandshakeResult::Established, Ok(host.now - heard))]);
    assert_eq!(watch.tracker.len(), 2, "listener and child");
}

#[test]
fn a_child_that_lost_the_race_is_no_attempt_of_its_own() {
    let mut host = Host::new();
    let listener = host.listen(Family::Ipv4, 80);
    let mut child = host.clone_child(&listener, crate::host::flow(Family::Ipv4, 80, 40_000));
    child.evidence.owner = Some(Owner::Softirq);
    host.goes(&mut child, Close);
    let watch = Watch::of(&host.events);
    assert_eq!(watch.handshakes(), []);
    assert_eq!(watch.inconclusive(), []);
}
