//! Whole lives of connections: every verdict, the two ends, the owner, the books.

use model::linux::{LinuxState, LinuxState::*, ResetReason, SocketError};
use tracer::{
    event::{Family, What},
    step::StepKind,
};

use crate::{
    host::{Host, MILLISECOND, SECOND, flow, healthy, task},
    watch::Watch,
};

#[test]
fn a_connection_lives_and_dies_on_both_ends_without_a_doubt() {
    for family in Family::ALL {
        let mut host = Host::new();
        let mut listener = host.listen(family, 80);
        healthy(&mut host, family, &listener, 40_000, MILLISECOND);
        host.stop_listening(&mut listener);
        let watch = Watch::of(&host.events);
        let client = listener.id.cookie + 1;
        let server = client + 2;
        assert_eq!(
            watch.lines(client),
            [
                "close>syn_sent R12",
                "syn_sent>established R4",
                "established>fin_wait1 R1",
                "fin_wait1>fin_wait2 R10",
                "fin_wait2>close C2"
            ]
        );
        assert_eq!(
            watch.lines(server),
            [
                "listen>syn_recv C4",
                "syn_recv>established R7",
                "established>close_wait R3",
                "close_wait>last_ack R14",
                "last_ack>close R15"
            ]
        );
        assert_eq!(watch.lines(listener.id.cookie), ["close>listen R13", "listen>close R16"]);
        assert_eq!(watch.inconclusive(), []);
        assert!(watch.tracker.is_empty(), "{:?}", watch.tracker.books());
        watch.books_balance();
    }
}

#[test]
fn a_child_that_has_no_cookie_at_first_is_not_its_listener() {
    let mut host = Host::new();
    let mut listener = host.listen(Family::Ipv4, 80);
    for port in [40_000, 40_001] {
        healthy(&mut host, Family::Ipv4, &listener, port, MILLISECOND);
    }
    host.stop_listening(&mut listener);
    for event in &mut host.events {
        let What::Transition { transition, .. } = event.what else { continue };
        if (transition.from, transition.to) == (Listen, SynRecv) {
            event.socket.cookie = 0;
        }
    }
    let watch = Watch::of(&host.events);
    assert_eq!(watch.lines(listener.id.cookie), ["close>listen R13", "listen>close R16"]);
    assert_eq!(watch.inconclusive(), []);
    assert_eq!(watch.violations().len(), 0);
    assert!(watch.tracker.is_empty(), "{:?}", watch.tracker.books());
    watch.books_balance();
}

#[test]
fn the_books_say_at_each_moment_where_every_socket_is() {
    let mut host = Host::new();
    let listener = host.listen(Family::Ipv4, 80);
    let mut client = host.client(Family::Ipv4, 40_000, 80);
    let request = host.request(&listener, 40_000);
    let mut watch = Watch::new();
    let mut now = |host: &mut Host, expected: &[(LinuxState, u64)]| {
        watch.see(&host.events);
        host.events.clear();
        for state in LinuxState::ALL {
            let wanted = expected.iter().find(|(other, _)| *other == state).map_or(0, |(_, count)| *count);
            assert_eq!(watch.tracker.books().get(state, Family::Ipv4), wanted, "{state}");
            assert_eq!(watch.tracker.books().get(state, Family::Ipv6), 0, "{state}");
        }
        watch.fin_wait2_minisockets()
    };
    now(&mut host, &[(Listen, 1), (SynSent, 1), (NewSynRecv, 1)]);
    host.established(&mut client);
    let mut server = host.accept(&listener, &request);
    now(&mut host, &[(Listen, 1), (Established, 2)]);
    host.close(&mut client);
    host.fin_received(&mut server);
    now(&mut host, &[(Listen, 1), (FinWait1, 1), (CloseWait, 1)]);
    host.fin_acknowledged(&mut client);
    let mut timewait = host.time_wait(&mut client, FinWait2);
    assert_eq!(now(&mut host, &[(Listen, 1), (CloseWait, 1)]), 1);
    host.close(&mut server);
    timewait.substate = TimeWait;
    host.fin_acknowledged(&mut server);
    host.expire(&timewait);
    assert_eq!(now(&mut host, &[(Listen, 1)]), 0);
}

#[test]
fn a_half_closed_connection_keeps_its_ends_and_its_owner_when_the_kernel_forgets_them() {
    let mut host = Host::new();
    let mut client = host.client(Family::Ipv4, 40_000, 80);
    host.established(&mut client);
    host.shutdown(&mut client);
    host.fin_acknowledged(&mut client);
    host.wait(SECOND);
    // Somebody else holds the socket's last descriptor.
    client.task = task(666);
    host.fin_received(&mut client);
    client.flow = flow(Family::Ipv4, 0, 0);
    let timewait = host.minisocket(&client, TimeWait);
    host.timewait_timer(&timewait, tracer::event::TimerAction::Started);
    host.goes(&mut client, Close);
    host.destroy(&client);
    let watch = Watch::of(&host.events);
    assert_eq!(watch.lines(client.id.cookie).last().unwrap(), "fin_wait2>close C1");
    let last = watch.told.iter().rfind(|told| told.kind == StepKind::Destroyed).unwrap();
    assert_eq!(last.ports, (40_000, 80));
    assert_eq!(last.owner.unwrap().pid, 100);
    assert_eq!(last.state, Some(Close));
}

#[test]
fn a_child_belongs_to_nobody_until_a_task_holds_it() {
    let mut host = Host::new();
    let listener = host.listen(Family::Ipv4, 80);
    let request = host.request(&listener, 40_000);
    let mut server = host.accept(&listener, &request);
    host.close(&mut server);
    let watch = Watch::of(&host.events);
    let owners: Vec<_> = watch
        .transitions()
        .filter(|(_, _, told)| told.cookie == server.id.cookie)
        .map(|(_, _, told)| told.owner.map(|task| task.pid))
        .collect();
    assert_eq!(owners, [None, None, Some(200)]);
}

#[test]
fn whoever_destroys_a_socket_from_outside_is_not_its_owner() {
    let mut host = Host::new();
    let listener = host.listen(Family::Ipv4, 80);
    let request = host.request(&listener, 40_000);
    let mut server = host.accept(&listener, &request);
    server.evidence.owner = Some(model::linux::Owner::User);
    server.evidence.error = SocketError::Aborted;
    server.task = task(4242);
    host.goes(&mut server, Close);
    let watch = Watch::of(&host.events);
    let (_, _, last) = watch.transitions().last().unwrap();
    assert_eq!(last.owner, None);
    assert_eq!(last.verdict.unwrap().class(), "conforming");
}

#[test]
fn both_close_at_once() {
    let mut host = Host::new();
    let mut client = host.client(Family::Ipv4, 40_000, 80);
    host.established(&mut client);
    host.close(&mut client);
    host.fin_received(&mut client);
    client.evidence.una = client.evidence.write_seq;
    let timewait = host.time_wait(&mut client, TimeWait);
    host.wait(60 * SECOND);
    host.expire(&timewait);
    let watch = Watch::of(&host.events);
    assert_eq!(
        watch.lines(client.id.cookie)[2..],
        ["established>fin_wait1 R1", "fin_wait1>closing R11", "closing>close C1"]
    );
    watch.books_balance();
}

#[test]
fn a_reset_ends_it_in_any_state() {
    for closing in [Established, CloseWait, FinWait1, FinWait2, LastAck] {
        let mut host = Host::new();
        let mut client = host.client(Family::Ipv4, 40_000, 80);
        host.established(&mut client);
        match closing {
            CloseWait => host.fin_received(&mut client),
            FinWait1 => host.close(&mut client),
            FinWait2 => {
                host.shutdown(&mut client);
                host.fin_acknowledged(&mut client);
            }
            LastAck => {
                host.fin_received(&mut client);
                host.close(&mut client);
            }
            _ => {}
        }
        host.reset_received(&mut client);
        let watch = Watch::of(&host.events);
        assert_eq!(watch.lines(client.id.cookie).last().unwrap(), &format!("{closing}>close R2"));
        assert_eq!(watch.inconclusive(), []);
    }
}

#[test]
fn an_orphan_is_reset_by_the_kernel_when_the_peer_never_closes() {
    let mut host = Host::new();
    let mut client = host.client(Family::Ipv4, 40_000, 80);
    host.established(&mut client);
    host.close(&mut client);
    host.fin_acknowledged(&mut client);
    host.wait(60 * SECOND);
    host.reset_sent(&client, ResetReason::TcpState);
    host.goes(&mut client, Close);
    host.destroy(&client);
    let watch = Watch::of(&host.events);
    assert_eq!(watch.lines(client.id.cookie).last().unwrap(), "fin_wait2>close fin-wait-2-timeout");
    assert_eq!(watch.histories().last().unwrap().reset_sent, Some(ResetReason::TcpState));
}

#[test]
fn a_socket_that_connects_again_lives_again() {
    let mut host = Host::new();
    let mut socket = host.client(Family::Ipv4, 40_000, 81);
    host.reset_received(&mut socket);
    socket.flow = flow(Family::Ipv4, 40_001, 82);
    host.connect(&mut socket);
    host.established(&mut socket);
    let watch = Watch::of(&host.events);
    assert_eq!(
        watch.lines(socket.id.cookie),
        ["close>syn_sent R12", "syn_sent>close R6", "close>syn_sent R12", "syn_sent>established R4"]
    );
    let histories = watch.histories();
    assert_eq!(histories[2].previous, None, "a new life has no past");
    assert!(!histories[2].reset_received && !histories[3].reset_received);
    assert_eq!(watch.told.last().unwrap().ports, (40_001, 82));
    assert_eq!(watch.tracker.len(), 1);
    let story: Vec<_> = watch.tracker.connections().next().unwrap().story.moments().collect();
    assert_eq!(story.len(), 4, "the story goes on across lives");
    assert_eq!(story[1].spent.unwrap().as_micros(), 2, "{story:?}");
}

#[test]
fn a_failed_listen_is_told_from_a_listener_that_was_closed() {
    let mut host = Host::new();
    let mut socket = host.listen(Family::Ipv4, 80);
    host.goes(&mut socket, Close);
    let rolled_back = Watch::of(&host.events);
    assert_eq!(rolled_back.lines(socket.id.cookie), ["close>listen R13", "listen>close C5"]);
    let mut host = Host::new();
    let mut socket = host.listen(Family::Ipv4, 80);
    host.wait(SECOND);
    host.goes(&mut socket, Close);
    assert_eq!(Watch::of(&host.events).lines(socket.id.cookie)[1], "listen>close R16");
}

#[test]
fn a_closed_listener_takes_its_children_along() {
    let mut host = Host::new();
    let mut listener = host.listen(Family::Ipv4, 80);
    let request = host.request(&listener, 40_000);
    let mut child = host.clone_child(&listener, request.flow);
    host.stop_listening(&mut listener);
    child.evidence.owner = Some(model::linux::Owner::Softirq);
    host.goes(&mut child, Close);
    let watch = Watch::of(&host.events);
    assert!(watch.histories().last().unwrap().listener_closed);
    assert_eq!(watch.lines(child.id.cookie).last().unwrap(), "syn_recv>close R9");
}

#[test]
fn every_firing_shows_the_time_spent_in_the_state_that_was_left() {
    let mut host = Host::new();
    let mut client = host.client(Family::Ipv4, 40_000, 80);
    host.wait(3 * SECOND);
    host.established(&mut client);
    let watch = Watch::of(&host.events);
    let spent: Vec<_> = watch
        .told
        .iter()
        .filter_map(|told| match told.kind {
            StepKind::Transition { spent, .. } => Some(spent),
            _ => None,
        })
        .collect();
    assert_eq!(spent, [None, Some(3 * SECOND + 1_000)]);
}
