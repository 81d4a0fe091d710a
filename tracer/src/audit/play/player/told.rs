//! What the oracle is told of the user's calls.

use model::{
    event::{self, Origin, Remote},
    tcb::Config,
};

use super::calls::Answer;
use crate::audit::{
    play::user::{Outcome, User},
    report::model::Family,
    scenario::{Call, Direction, SocketOption},
};

/// A call that had its effect, as an event of the model.
pub(super) fn told(
    call: &Call,
    result: &Outcome<Answer>,
    user: &User,
    place: usize,
    family: Family,
) -> Option<event::Call> {
    if !matches!(result, Ok(Answer::Done)) {
        return None;
    }
    Some(match call {
        Call::Listen { .. } => event::Call::listen(config(user, place, family)),
        Call::Connect { .. } => event::Call::Open {
            origin: Origin::Active,
            remote: Remote::Specified,
            config: config(user, place, family),
            admission: Ok(()),
        },
        Call::Send { len, urgent, .. } => event::Call::Send {
            len: *len,
            push: true,
            urgent: *urgent,
            remote: Remote::Unspecified,
            admission: Ok(()),
        },
        Call::Shutdown(Direction::Write) => event::Call::CLOSE,
        Call::Shutdown(Direction::Both) | Call::Close => event::Call::CLOSE_BOTH,
        Call::Abort | Call::Disconnect => event::Call::Abort,
        Call::Destroy => event::Call::Abort,
        // Whom nobody has accepted goes with the listener.
        Call::CloseListener | Call::ShutdownListener | Call::DestroyListener
            if user.socket(place).is_err() =>
        {
            event::Call::Abort
        }
        _ => return None,
    })
}

/// What the user's options make of a connection.
fn config(user: &User, place: usize, family: Family) -> Config {
    let set = |wanted| {
        let settings = user.settings.iter().rev();
        settings
            .filter(|(at, ..)| *at == place)
            .find(|(_, option, _)| *option == wanted)
            .map(|(.., value)| *value)
    };
    let seconds = |value: i32| u64::try_from(value).unwrap_or(0) * 1_000_000;
    let on = |option| set(option).is_some_and(|value| value != 0);
    Config {
        default_mss: if family == Family::Ipv4 { 536 } else { 1220 },
        // The window is what the kernel tells, no more.
        receive_buffer: 1,
        // The kernel offers them all; its SYN shows what it did.
        window_scale: Some(0),
        timestamps: true,
        sack: true,
        send_buffer: u32::MAX >> 2,
        nagle: !on(SocketOption::NoDelay),
        keep_alive: on(SocketOption::KeepAlive)
            .then(|| set(SocketOption::KeepIdle).map_or(7_200_000_000, seconds)),
        user_timeout: set(SocketOption::UserTimeout)
            .filter(|value| *value > 0)
            .map(|value| u64::try_from(value).unwrap_or(0) * 1_000),
        fast_open: on(SocketOption::FastOpenConnect),
        ..Config::DEFAULT
    }
}
