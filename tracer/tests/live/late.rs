//! A peer that answers late, by a delay that we know: what we measure is the truth, lost segments included.

use std::{
    net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream},
    thread::{scope, sleep},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{
    forge::{ACK, RST, SYN, Segment},
    guest::delay,
    namespace::Namespace,
    peer::{HERE, Peer, THERE},
    shown::Shown,
    turn,
};

/// How far a measurement may be from the truth, seconds. In a guest the test itself knows the truth only as well: it waits
/// for its turn between an answer and its look at the clock.
fn precision() -> f64 {
    delay(Duration::from_millis(1)).as_secs_f64()
}

/// Handshakes of one role: the peer's port, and how long the handshake took, seconds.
fn handshake(line: &Value, role: &str) -> Option<(u16, f64)> {
    if line["kind"] != "handshake" || line["role"] != role {
        return None;
    }
    let remote: SocketAddr = line["remote"].as_str()?.parse().ok()?;
    if remote.ip() != THERE {
        return None;
    }
    assert_eq!(line["result"], "established", "{line}");
    let seconds = line["duration_seconds"].as_f64().unwrap_or_else(|| panic!("not timed: {line}"));
    Some((remote.port(), seconds))
}

fn assert_is(measured: (u16, f64), port: u16, truth: Duration, what: &str) {
    let (measured_port, seconds) = measured;
    assert_eq!(measured_port, port, "{what}");
    let error = seconds - truth.as_secs_f64();
    println!("{what}: {seconds:.6} s, off by {:.1} us", error * 1e6);
    assert!(error.abs() < precision(), "{what}: {seconds} s measured, {truth:?} in truth");
}

#[test]
fn a_client_is_timed_however_late_the_answer_comes_and_however_many_syns_are_lost() {
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    let peer = Peer::new(&namespace);
    let shown = Shown::of(&namespace);
    for (lost, delay) in [(0, 1), (0, 40), (0, 333), (1, 20), (2, 20), (3, 20)] {
        let port = 7000 + lost * 10 + u16::try_from(delay % 10).unwrap();
        let there = SocketAddrV4::new(THERE, port);
        let delay = Duration::from_millis(delay);
        let truth = scope(|scope| {
            let client = scope.spawn(|| {
                namespace.enter(|| {
                    let start = Instant::now();
                    (start, TcpStream::connect(there).expect("a late connection"))
                })
            });
            let mut syn = peer.receive_with(SYN);
            for _ in 0..lost {
                syn = peer.receive_with(SYN);
            }
            sleep(delay);
            let answer =
                Segment { from: there, to: syn.from, flags: SYN | ACK, seq: 70_000, ack: syn.seq + 1 };
            peer.send(&answer);
            let end = Instant::now();
            let (start, stream) = client.join().expect("the client");
            // The way out: no TIME_WAIT, and nothing for the next round to trip over.
            peer.send(&Segment { flags: RST, seq: 70_001, ..answer });
            drop(stream);
            end - start
        });
        let measured = shown.next(Duration::from_secs(2), |line| handshake(line, "client"));
        assert_is(measured, port, truth, &format!("client, {lost} SYNs lost, {delay:?} late"));
    }
}

#[test]
fn a_server_is_timed_however_late_the_last_ack_comes_and_however_many_syn_acks_are_lost() {
    let Some(_turn) = turn(&[]) else { return };
    let namespace = Namespace::new();
    let peer = Peer::new(&namespace);
    let listener = namespace.enter(|| TcpListener::bind((HERE, 0)).unwrap());
    let SocketAddr::V4(here) = listener.local_addr().unwrap() else { unreachable!("an IPv4 listener") };
    let shown = Shown::of(&namespace);
    for (lost, delay) in [(0, 1), (0, 40), (0, 333), (1, 20), (2, 20), (3, 20)] {
        let port = 7000 + lost * 10 + u16::try_from(delay % 10).unwrap();
        let from = SocketAddrV4::new(THERE, port);
        let start = Instant::now();
        peer.send(&Segment { from, to: here, flags: SYN, seq: 1000, ack: 0 });
        let mut answer = peer.receive_with(SYN | ACK);
        for _ in 0..lost {
            answer = peer.receive_with(SYN | ACK);
        }
        let delay = Duration::from_millis(delay);
        sleep(delay);
        let last = Segment { from, to: here, flags: ACK, seq: 1001, ack: answer.seq + 1 };
        peer.send(&last);
        let truth = start.elapsed();
        let measured = shown.next(Duration::from_secs(2), |line| handshake(line, "server"));
        assert_is(measured, port, truth, &format!("server, {lost} SYN,ACKs lost, {delay:?} late"));
        peer.send(&Segment { flags: RST, ..last });
    }
}
