//! What is explored.

use model::profile::{RFC9293_INTENT, RFC9293_LITERAL};
use model::{Flags, Profile};

use crate::world::{Do, Scenario};

const SHORT: &[Do] = &[Do::Send(1), Do::Close];
const LONG: &[Do] = &[Do::Send(2), Do::Send(1), Do::Close];
const CLOSE: &[Do] = &[Do::Close];
const ABORT: &[Do] = &[Do::Send(1), Do::Abort];

// Time stands still, so a throttle would never open again.
const fn unthrottled(mut profile: Profile) -> Profile {
    profile.limits.challenges = None;
    profile
}

pub const INTENT: Profile = unthrottled(RFC9293_INTENT);
pub const LITERAL: Profile = unthrottled(RFC9293_LITERAL);

/// The scenarios under a profile; each loses, repeats and lets timers expire as often as said.
pub fn scenarios(profile: Profile, [losses, repeats, timeouts]: [u8; 3]) -> Vec<Scenario> {
    let plain = Scenario {
        name: "client and server",
        profile,
        scripts: [SHORT, SHORT],
        both_connect: false,
        eager: true,
        old: &[],
        losses,
        repeats,
        timeouts,
    };
    vec![
        plain.clone(),
        Scenario { name: "closed windows", scripts: [LONG, CLOSE], eager: false, ..plain.clone() },
        Scenario { name: "simultaneous open", both_connect: true, ..plain.clone() },
        Scenario { name: "nothing but closes", scripts: [CLOSE, CLOSE], ..plain.clone() },
        Scenario { name: "an old SYN", old: &[(Flags::SYN, 90_000, 0)], ..plain.clone() },
        Scenario {
            name: "an old SYN and its ACK",
            old: &[(Flags::SYN, 90_000, 0), (Flags::ACK, 90_001, 290_001)],
            ..plain.clone()
        },
        Scenario { name: "an abort", scripts: [ABORT, SHORT], ..plain },
    ]
}
