//! Resets, and connections of which one end knows nothing.

use super::{Fate, Pair, Side, Story};
use crate::event::Call;
use crate::segment::{Flags, Segment};
use crate::state::State;
use Side::{A, B};

/// A reset that A believes: at RCV.NXT, or acknowledging the SYN.
fn reset(pair: &mut Pair, state: State) {
    reach(pair, state);
    let tcb = &pair.end(A).tcb;
    let reset = match tcb.state {
        State::SynSent => Segment::new(Flags::RST_ACK, 0, tcb.snd.nxt.0),
        _ => Segment::new(Flags::RST, tcb.rcv.nxt.0, 0),
    };
    pair.note("a reset arrives at A");
    pair.inject(A, reset);
}

/// Brings A to a state, through its own calls and B's.
fn reach(pair: &mut Pair, state: State) {
    match state {
        State::Closed => {}
        State::Listen => pair.call(A, Call::listen(Pair::CONFIG)),
        State::SynSent => {
            pair.lose_next(A);
            pair.call(A, Call::connect(Pair::CONFIG));
        }
        State::SynReceived => {
            pair.call(A, Call::listen(Pair::CONFIG));
            pair.fates(A, &[Fate::Lost]);
            pair.call(B, Call::connect(Pair::CONFIG));
            pair.run_for(15_000);
        }
        State::Established => pair.establish(),
        State::FinWait1 => {
            pair.establish();
            pair.lose_next(A);
            pair.call(A, Call::CLOSE);
        }
        State::FinWait2 => {
            pair.establish();
            pair.call(A, Call::CLOSE);
            pair.settle();
        }
        State::CloseWait => {
            pair.establish();
            pair.call(B, Call::CLOSE);
            pair.settle();
        }
        State::Closing => {
            pair.establish();
            pair.lose_next(A);
            pair.call(A, Call::CLOSE);
            pair.call(B, Call::CLOSE);
            pair.run_for(15_000);
        }
        State::LastAck => {
            pair.establish();
            pair.call(B, Call::CLOSE);
            pair.settle();
            pair.lose_next(A);
            pair.call(A, Call::CLOSE);
        }
        State::TimeWait => {
            pair.establish();
            pair.call(A, Call::CLOSE);
            pair.settle();
            pair.call(B, Call::CLOSE);
            pair.settle();
        }
    }
}

pub(super) const STORIES: &[Story] = &[
    Story::new(
        "reset-in-closed",
        "A reset to a closed port",
        "Dropped: a reset never answers a reset.",
        |pair| {
            reset(pair, State::Closed);
        },
    ),
    Story::new("reset-in-listen", "A reset to a listener", "Ignored.", |pair| reset(pair, State::Listen)),
    Story::new(
        "reset-in-syn-sent",
        "A reset answers the SYN",
        "It acknowledges the SYN, so it counts: refused.",
        |pair| {
            reset(pair, State::SynSent);
        },
    ),
    Story::new(
        "reset-in-syn-received",
        "A reset to a half-open connection",
        "Opened passively: back to LISTEN, and the user is not told (MUST-11).",
        |pair| reset(pair, State::SynReceived),
    ),
    Story::new(
        "reset-in-established",
        "A reset in ESTABLISHED",
        "The connection is gone; the user is told.",
        |pair| {
            reset(pair, State::Established);
        },
    ),
    Story::new("reset-in-fin-wait-1", "A reset in FIN-WAIT-1", "As in ESTABLISHED.", |pair| {
        reset(pair, State::FinWait1);
    }),
    Story::new("reset-in-fin-wait-2", "A reset in FIN-WAIT-2", "As in ESTABLISHED.", |pair| {
        reset(pair, State::FinWait2);
    }),
    Story::new("reset-in-close-wait", "A reset in CLOSE-WAIT", "As in ESTABLISHED.", |pair| {
        reset(pair, State::CloseWait);
    }),
    Story::new(
        "reset-in-closing",
        "A reset in CLOSING",
        "The TCB is deleted; both had closed anyway.",
        |pair| {
            reset(pair, State::Closing);
        },
    ),
    Story::new(
        "reset-in-last-ack",
        "A reset in LAST-ACK",
        "The TCB is deleted; both had closed anyway.",
        |pair| {
            reset(pair, State::LastAck);
        },
    ),
    Story::new(
        "reset-in-time-wait",
        "A reset in TIME-WAIT",
        "TIME-WAIT is assassinated: RFC 1337 names the hazards, and would ignore the reset.",
        |pair| reset(pair, State::TimeWait),
    ),
    Story::new(
        "blind-reset",
        "A reset inside the window, but not exactly",
        "It draws a challenge ACK (RFC 5961): a true peer then resets exactly, a forger does not see the number.",
        |pair| {
            pair.establish();
            pair.inject(A, Segment::new(Flags::RST, pair.end(A).tcb.rcv.nxt.0.wrapping_add(5), 0));
            pair.settle();
        },
    ),
    Story::new("refused", "Nobody listens", "A closed port answers the SYN with a reset.", |pair| {
        pair.call(A, Call::connect(Pair::CONFIG));
        pair.settle();
    }),
    Story::new(
        "half-open",
        "One side has crashed and connects again (figure 9)",
        "Its SYN draws a challenge; the ACK in it acknowledges nothing that A ever sent, so A resets B, and the next \
         SYN finds nobody left over.",
        |pair| {
            pair.establish();
            pair.crash(A);
            pair.note("A has crashed and knows nothing");
            pair.end_mut(A).choices.iss = crate::Seq(400);
            pair.call(A, Call::connect(Pair::CONFIG));
            pair.run_for(100_000);
            pair.call(B, Call::listen(Pair::CONFIG));
            pair.settle();
        },
    ),
    Story::new(
        "half-open-data",
        "One side has crashed, the other sends (figure 10)",
        "Data to a connection that does not exist is answered by a reset.",
        |pair| {
            pair.establish();
            pair.crash(A);
            pair.note("A has crashed and knows nothing");
            pair.call(B, Call::send(100));
            pair.settle();
        },
    ),
    Story::new(
        "close-unread",
        "CLOSE with data unread",
        "The data is lost with the user who would not read it, and the peer has to know: reset (SHLD-3).",
        |pair| {
            pair.establish();
            pair.call(A, Call::send(100));
            pair.settle();
            pair.call(B, Call::CLOSE_BOTH);
            pair.settle();
        },
    ),
    Story::new("abort", "ABORT", "A reset instead of a FIN; what was queued is thrown away.", |pair| {
        pair.establish();
        pair.call(A, Call::Abort);
        pair.settle();
    }),
];
