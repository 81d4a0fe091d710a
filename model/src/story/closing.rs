//! Closes.

use super::{Fate, Pair, Side, Story};
use crate::event::Call;
use crate::profile::RFC9293_LITERAL;
use Side::{A, B};

pub(super) const STORIES: &[Story] = &[
    Story::new(
        "close-by-client",
        "Four-way close, the client first",
        "FIN-WAIT-1, FIN-WAIT-2 and TIME-WAIT on the side that closes first; CLOSE-WAIT and LAST-ACK on the other.",
        |pair| close(pair, A),
    ),
    Story::new(
        "close-by-server",
        "Four-way close, the server first",
        "Either side may begin; TIME-WAIT is with the one that does.",
        |pair| close(pair, B),
    ),
    Story::new(
        "three-way-close",
        "The ACK and the FIN in one segment",
        "A server with nothing left to send closes before its delayed ACK is due, and saves a segment.",
        |pair| {
            pair.establish();
            pair.end_mut(B).choices.delay_ack = true;
            pair.call(A, Call::CLOSE);
            pair.run_for(15_000);
            pair.call(B, Call::CLOSE);
            pair.settle();
        },
    ),
    Story::new(
        "half-close",
        "Half a close, and a long answer",
        "CLOSE says \"I have no more to send\", not \"I am gone\": FIN-WAIT-2 receives for as long as it takes.",
        |pair| {
            pair.establish();
            pair.call(A, Call::CLOSE);
            pair.settle();
            for _ in 0..3 {
                pair.call(A, Call::receive(3_000));
                pair.call(B, Call::send(3_000));
                pair.settle();
            }
            pair.call(B, Call::CLOSE);
            pair.settle();
        },
    ),
    Story::new(
        "simultaneous-close",
        "Both close at once (figure 13)",
        "The FINs cross: CLOSING, and TIME-WAIT on both sides.",
        |pair| {
            pair.establish();
            pair.call(A, Call::CLOSE);
            pair.call(B, Call::CLOSE);
            pair.settle();
        },
    ),
    Story::new("fin-lost", "The FIN is lost", "FIN has a number, so it is repeated like text.", |pair| {
        pair.establish();
        pair.lose_next(A);
        close(pair, A);
    }),
    Story::new(
        "fin-with-data",
        "FIN behind the last text",
        "One segment carries both; the receiver takes the text first.",
        |pair| {
            pair.establish();
            pair.call(B, Call::receive(100));
            pair.end_mut(A).choices.congestion_window = 0;
            pair.call(A, Call::send(100));
            pair.call(A, Call::CLOSE);
            pair.end_mut(A).choices.congestion_window = u32::MAX;
            pair.settle();
        },
    ),
    Story::new(
        "fin-out-of-order",
        "The FIN overtakes the text",
        "It is held until RCV.NXT reaches it: CLOSE-WAIT only when the hole is filled.",
        |pair| {
            pair.establish();
            pair.call(B, Call::receive(100));
            pair.fates(A, &[Fate::Late(20_000)]);
            pair.call(A, Call::send(100));
            pair.call(A, Call::CLOSE);
            pair.settle();
        },
    ),
    Story::new(
        "last-ack-lost",
        "The last ACK is lost",
        "The FIN comes again, the ACK is sent again, and 2MSL starts over: that is what TIME-WAIT is for.",
        last_ack_lost,
    ),
    Story::new(
        "last-ack-lost-to-the-letter",
        "The last ACK is lost, by the text of 3.10.7.4",
        "The FIN's number is already counted: the first check answers it and stops there, and 2MSL runs on \
         (contradiction 7). A's own FIN is late because the SYN+ACK set no window (contradiction 12).",
        last_ack_lost,
    )
    .under(&RFC9293_LITERAL),
    Story::new(
        "close-in-syn-received",
        "CLOSE before the handshake is over",
        "FIN-WAIT-1 straight from SYN-RECEIVED.",
        |pair| {
            pair.call(B, Call::listen(Pair::CONFIG));
            pair.call(A, Call::connect(Pair::CONFIG));
            pair.run_for(10_000);
            pair.call(B, Call::CLOSE);
            pair.settle();
            pair.call(A, Call::CLOSE);
            pair.settle();
        },
    ),
];

fn close(pair: &mut Pair, first: Side) {
    if pair.log.is_empty() {
        pair.establish();
    }
    pair.call(first, Call::CLOSE);
    pair.settle();
    pair.call(first.other(), Call::CLOSE);
    pair.settle();
}

fn last_ack_lost(pair: &mut Pair) {
    pair.establish();
    pair.call(A, Call::CLOSE);
    pair.settle();
    pair.lose_next(A);
    pair.call(B, Call::CLOSE);
    pair.settle();
}
