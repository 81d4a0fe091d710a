//! TIME-WAIT and what it protects.

use super::{Fate, Pair, Side, Story};
use crate::event::Call;
use crate::profile::{Limits, Profile, RFC9293_INTENT};
use crate::seq::Seq;
use Side::{A, B};

const SECOND: u64 = 1_000_000;

const fn lasting(seconds: u64) -> Profile {
    Profile { limits: Limits { time_wait: seconds * SECOND, ..RFC9293_INTENT.limits }, ..RFC9293_INTENT }
}

static NEXT_TO_NOTHING: Profile = lasting(0);
static GUARDED: Profile = Profile { rfc1337: true, ..RFC9293_INTENT };
static LINUX_LONG: Profile = lasting(60);

pub(super) const STORIES: &[Story] = &[
    Story::new(
        "two-msl",
        "How long 2MSL is",
        "The RFC's MSL is 2 minutes, so TIME-WAIT lasts 240 s; an IP TTL counts hops and not seconds, so the MSL is a \
         promise of the network and not a measurement.",
        wait_out,
    ),
    Story::new(
        "two-msl-60",
        "How long 2MSL is on Linux",
        "60 s: an MSL of half a minute.",
        wait_out,
    )
    .under(&LINUX_LONG),
    Story::new(
        "old-data",
        "Old data dies in TIME-WAIT",
        "A segment that was repeated and comes late meets TIME-WAIT: acknowledged and thrown away. The other side is \
         gone and resets; that must not end the wait (RFC 1337), or the next old segment would find it over.",
        old_data,
    )
    .under(&GUARDED),
    Story::new(
        "time-wait-assassinated",
        "Old data ends TIME-WAIT",
        "Without the fix of RFC 1337 the same late segment ends the wait: its ACK meets a closed port, and the reset \
         that this draws is believed.",
        old_data,
    ),
    Story::new(
        "time-wait-cut-short",
        "What happens without TIME-WAIT",
        "The same addresses and ports connect again at once, with numbers that overlap the old ones: octets of the \
         old connection reach the new user, and then the two sides contradict each other's ACKs for ever (hazards 1 \
         and 2 of RFC 1337).",
        |pair| {
            old_segment(pair);
            pair.note("TIME-WAIT is over at once; the same ports are used again");
            pair.call(B, Call::listen(Pair::CONFIG));
            pair.call(A, Call::connect(Pair::CONFIG));
            pair.run_for(50_000);
            pair.call(B, Call::receive(100));
            pair.note("the old segment is still on its way, and fits");
            pair.run_for(830_000);
            pair.note("and so on, for ever");
        },
    )
    .under(&NEXT_TO_NOTHING),
    Story::new(
        "reopen",
        "A new SYN meets TIME-WAIT",
        "A number beyond the last one is evidence enough (RFC 6191): the wait ends, and the new ISS is beyond the old.",
        |pair| {
            pair.establish();
            pair.call(B, Call::CLOSE);
            pair.settle();
            pair.call(A, Call::CLOSE);
            pair.settle();
            pair.note("B closed first and is in TIME-WAIT; A connects again from the same port");
            pair.end_mut(A).choices.iss = Seq(5_000);
            pair.call(A, Call::connect(Pair::CONFIG));
            pair.settle();
        },
    ),
    Story::new(
        "resources-freed",
        "Everything is given back",
        "After TIME-WAIT neither side has a TCB or a timer, and the port can be opened again.",
        |pair| {
            wait_out(pair);
            pair.call(A, Call::listen(Pair::CONFIG));
            pair.call(A, Call::CLOSE);
        },
    ),
];

fn wait_out(pair: &mut Pair) {
    pair.establish();
    pair.call(A, Call::CLOSE);
    pair.settle();
    pair.call(B, Call::CLOSE);
    pair.settle();
    let wait = pair.profile.limits.time_wait;
    pair.run_for(wait + SECOND);
}

fn old_data(pair: &mut Pair) {
    old_segment(pair);
    pair.settle();
}

/// A's data is repeated and the first copy comes very late.
fn old_segment(pair: &mut Pair) {
    pair.establish();
    pair.call(B, Call::receive(100));
    pair.fates(A, &[Fate::Late(2 * SECOND)]);
    pair.call(A, Call::send(100));
    pair.run_for(1_100_000);
    pair.note("the copy arrived; the first one is still on its way");
    // B closes first: TIME-WAIT is where the old segment will come.
    pair.call(B, Call::CLOSE);
    pair.run_for(50_000);
    pair.call(A, Call::CLOSE);
    pair.run_for(50_000);
}
