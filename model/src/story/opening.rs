//! Handshakes.

use super::{Fate, Pair, Side, Story};
use crate::event::Call;
use crate::isn::{Clock, Key, isn};
use crate::profile::{RFC9293_INTENT, RFC9293_LITERAL};
use crate::segment::{FastOpen, Flags, Segment};
use crate::seq::Seq;
use crate::state::State;
use Side::{A, B};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

const SECOND: u64 = 1_000_000;

static FAST_OPEN: crate::Profile = crate::Profile { fast_open: true, ..RFC9293_INTENT };

pub(super) const STORIES: &[Story] = &[
    Story::new(
        "handshake",
        "The three-way handshake",
        "SYN seq=x, SYN+ACK seq=y ack=x+1, ACK seq=x+1 ack=y+1: each side learns the other's initial number and \
         that its own was heard.",
        Pair::establish,
    ),
    Story::new(
        "numbers",
        "What the numbers count",
        "ack = seq + octets of text. Only SYN and FIN count one more; the frequent \"+1 for data\" is wrong.",
        numbers,
    ),
    Story::new(
        "urgent",
        "Urgent data",
        "URG makes the urgent pointer count: seq + pointer is the number after the last urgent octet. The data stays \
         where it is in the stream; the user is only told how far to hurry.",
        |pair| {
            pair.establish();
            pair.call(B, Call::receive(10));
            let remote = crate::event::Remote::Unspecified;
            pair.call(A, Call::Send { len: 10, push: true, urgent: true, remote, admission: Ok(()) });
            pair.settle();
        },
    ),
    Story::new(
        "isn",
        "How the initial numbers are chosen",
        "A 4 microsecond clock plus a keyed hash of the addresses: a cycle of 4.77 hours (the RFC's 4.55 would be a \
         2^18 Hz clock), so two incarnations of one connection are apart by what the clock ticked in between.",
        choose_isn,
    ),
    Story::new(
        "first-lost",
        "The SYN is lost",
        "The client repeats it when its timer expires, each time after twice as long.",
        |pair| {
            pair.fates(A, &[Fate::Lost, Fate::Lost]);
            pair.establish();
        },
    ),
    Story::new(
        "first-lost-for-ever",
        "Nobody answers the SYN",
        "The client repeats it until R2, three minutes at least (MUST-23), and tells its user.",
        |pair| {
            pair.fates(A, &[Fate::Lost; 20]);
            pair.establish();
        },
    ),
    Story::new(
        "second-lost",
        "The SYN+ACK is lost",
        "Neither side knows whose segment was lost: the client repeats its SYN and the server its SYN+ACK.",
        |pair| {
            pair.lose_next(B);
            pair.establish();
        },
    ),
    Story::new(
        "third-lost",
        "The ACK is lost, nobody has data",
        "The client is ESTABLISHED and silent; the server repeats its SYN+ACK, which draws the ACK again.",
        |pair| {
            pair.fates(A, &[Fate::Arrives, Fate::Lost]);
            pair.establish();
        },
    ),
    Story::new(
        "third-lost-client-has-data",
        "The ACK is lost, the client has data",
        "Every segment of data carries an ACK: the first one completes the handshake, and its data is accepted.",
        |pair| {
            pair.fates(A, &[Fate::Arrives, Fate::Lost]);
            pair.call(B, Call::listen(Pair::CONFIG));
            pair.call(B, Call::receive(100));
            pair.call(A, Call::connect(Pair::CONFIG));
            pair.run_for(30_000);
            pair.call(A, Call::send(100));
            pair.settle();
        },
    ),
    Story::new(
        "third-lost-server-has-data",
        "The ACK is lost, the server has data",
        "The server may not send before the handshake is over: it repeats the SYN+ACK, and the data waits.",
        |pair| {
            pair.fates(A, &[Fate::Arrives, Fate::Lost]);
            pair.call(B, Call::listen(Pair::CONFIG));
            pair.call(A, Call::connect(Pair::CONFIG));
            pair.run_for(15_000);
            pair.call(B, Call::send(100));
            pair.settle();
        },
    ),
    Story::new(
        "third-with-data",
        "The third segment carries data",
        "A SEND that waited in SYN-SENT leaves with the ACK.",
        |pair| {
            pair.call(B, Call::listen(Pair::CONFIG));
            pair.call(B, Call::receive(100));
            pair.call(A, Call::connect(Pair::CONFIG));
            pair.call(A, Call::send(100));
            pair.settle();
        },
    ),
    Story::new(
        "data-on-syn",
        "Data on the SYN, without Fast Open",
        "Lawful, but the server keeps it until the handshake is over and acknowledges the SYN alone.",
        |pair| {
            pair.call(B, Call::listen(Pair::CONFIG));
            pair.call(A, Call::listen(Pair::CONFIG));
            pair.end_mut(A).choices.text_on_syn = true;
            let send = Call::Send {
                len: 100,
                push: true,
                urgent: false,
                remote: crate::event::Remote::Specified,
                admission: Ok(()),
            };
            pair.call(A, send);
            pair.settle();
        },
    ),
    Story::new(
        "fast-open",
        "Data on the SYN, with Fast Open",
        "The cookie of an earlier connection lets the server deliver the data before the handshake ends (RFC 7413).",
        |pair| {
            let config = crate::Config { fast_open: true, ..Pair::CONFIG };
            pair.call(B, Call::listen(Pair::CONFIG));
            pair.call(B, Call::receive(100));
            pair.end_mut(B).choices.valid_fast_open = true;
            pair.end_mut(A).choices.fast_open = Some(FastOpen::Cookie(7));
            pair.call(A, Call::connect(config));
            pair.call(A, Call::send(100));
            pair.settle();
        },
    )
    .under(&FAST_OPEN),
    Story::new(
        "old-duplicate-syn",
        "An old duplicate SYN arrives first (figure 8)",
        "The client sees that the SYN+ACK acknowledges another number and refuses it. With two steps the server \
         would already be ESTABLISHED with a connection that nobody wants.",
        |pair| {
            pair.call(B, Call::listen(Pair::CONFIG));
            pair.fates(A, &[Fate::Late(50_000)]);
            pair.call(A, Call::connect(Pair::CONFIG));
            pair.note("a SYN of a former connection arrives before this one's");
            pair.inject(B, Segment::new(Flags::SYN, 90, 0));
            pair.note("two steps would end here, with B ESTABLISHED");
            pair.settle();
        },
    ),
    Story::new(
        "old-syn-to-nobody",
        "An old duplicate SYN, and no client any more",
        "The SYN+ACK meets a closed port; its reset brings the server back to LISTEN.",
        |pair| {
            pair.call(B, Call::listen(Pair::CONFIG));
            pair.inject(B, Segment::new(Flags::SYN, 90, 0));
            pair.settle();
        },
    ),
    Story::new(
        "two-listeners",
        "A stray SYN between two listeners (figure 11)",
        "Neither has called; the reset ends what the stray SYN began.",
        |pair| {
            pair.call(A, Call::listen(Pair::CONFIG));
            pair.call(B, Call::listen(Pair::CONFIG));
            pair.inject(B, Segment::new(Flags::SYN, 90, 0));
            pair.settle();
        },
    ),
    Story::new(
        "simultaneous-open",
        "Both call at once (figure 7)",
        "The SYNs cross; each answers with SYN+ACK; one connection, not two (MUST-10).",
        cross,
    ),
    Story::new(
        "simultaneous-open-to-the-letter",
        "Both call at once, by the text of 3.10.7.4",
        "The SYN+ACK repeats a number already counted, so the first check refuses it and answers with an ACK; that \
         ACK is what establishes the connection (contradiction 4).",
        cross,
    )
    .under(&RFC9293_LITERAL),
    Story::new(
        "simultaneous-open-one-lost",
        "Both call at once, and one SYN is lost",
        "Then it is no crossing for the other side, but an ordinary handshake that meets a SYN-SENT.",
        |pair| {
            pair.lose_next(A);
            cross(pair);
        },
    ),
    Story::new(
        "self-connect",
        "A port connects to itself",
        "One TCB plays both parts of a simultaneous open.",
        |pair| {
            pair.loops = true;
            pair.call(A, Call::connect(Pair::CONFIG));
            pair.settle();
        },
    ),
    Story::new(
        "keep-alive-reuse",
        "Ten requests, one handshake",
        "Every request that reuses the connection saves a handshake, its round trip, and a TIME-WAIT.",
        |pair| {
            pair.establish();
            for _ in 0..10 {
                pair.call(B, Call::receive(100));
                pair.call(A, Call::receive(1_000));
                pair.call(A, Call::send(100));
                pair.settle();
                pair.call(B, Call::send(1_000));
                pair.settle();
            }
            let handshakes = pair.sent(A).filter(|segment| segment.has(Flags::SYN)).count();
            let saved = 10 - handshakes;
            let segments = 3 * saved;
            pair.note(&alloc::format!(
                "10 requests, {handshakes} handshake: {saved} saved, which are {segments} segments and {saved} round trips"
            ));
        },
    ),
];

fn numbers(pair: &mut Pair) {
    pair.establish();
    pair.call(B, Call::receive(10));
    pair.call(A, Call::send(10));
    pair.settle();
    pair.note("ACK = SEQ + 10: data counts its octets and no more");
    pair.call(A, Call::CLOSE);
    pair.settle();
    pair.note("FIN counts one, as SYN did");
    pair.call(B, Call::CLOSE);
    pair.settle();
}

fn cross(pair: &mut Pair) {
    pair.call(A, Call::connect(Pair::CONFIG));
    pair.call(B, Call::connect(Pair::CONFIG));
    pair.settle();
}

fn choose_isn(pair: &mut Pair) {
    let socket = |host, port| SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), port);
    let key = Key([0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210]);
    for _ in 0..2 {
        for side in [A, B] {
            let (local, remote) = if side == A {
                (socket(1, 40_000), socket(2, 80))
            } else {
                (socket(2, 80), socket(1, 40_000))
            };
            let number = isn(Clock::RFC9293, pair.now.saturating_mul(1_000), key, local, remote);
            pair.end_mut(side).choices.iss = number;
        }
        pair.establish();
        pair.call(A, Call::Abort);
        pair.run_for(SECOND);
    }
    let second = pair.end(A).choices.iss;
    let gap = second - Seq(isn(Clock::RFC9293, 0, key, socket(1, 40_000), socket(2, 80)).0);
    pair.note(&alloc::format!(
        "one second and a handshake later the same addresses begin {gap} numbers further on"
    ));
    debug_assert_eq!(pair.state(A), State::Closed);
}
