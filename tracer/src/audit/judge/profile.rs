//! The running kernel's settings as a profile of the model.

use model::{
    Profile,
    profile::{LINUX_IN_DETAIL, R2},
};

use crate::audit::conditions::Conditions;

/// Linux with these settings and habits, in every detail.
#[must_use]
pub fn running(conditions: &Conditions) -> Profile {
    let mut profile = LINUX_IN_DETAIL;
    let limits = &mut profile.limits;
    let number = |name: &str| conditions.number(name);
    let count = |name: &str| number(name).and_then(|value| u8::try_from(value).ok());
    if let Some(retries) = count("tcp_syn_retries") {
        // Those a second apart come on top.
        limits.r2_syn = R2::Count(retries.saturating_add(count("tcp_syn_linear_timeouts").unwrap_or(0)));
    }
    limits.linear_syns = count("tcp_syn_linear_timeouts").unwrap_or(0);
    if let Some(retries) = count("tcp_synack_retries") {
        limits.r2_syn_ack = R2::Count(retries);
    }
    if let Some(retries) = count("tcp_retries2") {
        limits.r2 = R2::Count(retries);
    }
    if let Some(most) = number("tcp_rto_max_ms") {
        limits.rto_max = most * 1_000;
    }
    if let Some(interval) = number("tcp_keepalive_intvl") {
        limits.keep_alive_interval = interval * 1_000_000;
    }
    if let Some(probes) = count("tcp_keepalive_probes") {
        limits.keep_alive_probes = probes;
    }
    limits.challenges = challenges(conditions);
    profile.fin_wait_2 = number("tcp_fin_timeout").map(fin_wait_2).or(profile.fin_wait_2);
    profile.rfc1337 = number("tcp_rfc1337") == Some(1);
    profile.syn_cookies = number("tcp_syncookies") == Some(2);
    // Beyond the client's side, which is on by default: the server's, or without cookies.
    profile.fast_open = number("tcp_fastopen").is_some_and(|bits| bits & !1 != 0);
    conditions.habits.apply(&profile)
}

/// How long an orphan waits in FIN-WAIT-2 with this tcp_fin_timeout (seconds), microseconds. Beyond the minute that a
/// minisocket may live the socket itself waits for what is more, and then its minisocket as long again
/// (tcp_keepalive_timer): with 62 s not 62 s, but 4.
const fn fin_wait_2(timeout: u64) -> u64 {
    const MINISOCKET: u64 = LINUX_IN_DETAIL.limits.time_wait / 1_000_000;
    1_000_000 * if timeout > MINISOCKET { 2 * (timeout - MINISOCKET) } else { timeout }
}

/// Challenge ACKs per period: those of the host, and of a socket (`tcp_send_challenge_ack`).
fn challenges(conditions: &Conditions) -> Option<(u32, u64)> {
    const UNLIMITED: u32 = i32::MAX.unsigned_abs();
    let of_host = conditions
        .number("tcp_challenge_ack_limit")
        .map_or(UNLIMITED, |n| u32::try_from(n).unwrap_or(UNLIMITED));
    let between = conditions.number("tcp_invalid_ratelimit").unwrap_or(0);
    match (of_host, between) {
        (UNLIMITED, 0) => None,
        (_, 0) => Some((of_host, 1_000_000)),
        (_, between) => Some((of_host.min(1), between * 1_000)),
    }
}

/// The same for a connection whose user has gone: it gives up earlier.
#[must_use]
pub fn orphaned(profile: &Profile, conditions: &Conditions) -> Profile {
    let retries =
        conditions.number("tcp_orphan_retries").and_then(|value| u8::try_from(value).ok()).unwrap_or(0);
    // 0 stands for 8 (tcp_orphan_retries()).
    let retries = if retries == 0 { 8 } else { retries };
    let mut orphaned = *profile;
    orphaned.limits.r2 = R2::Count(retries);
    orphaned
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{fin_wait_2, running};
    use crate::audit::conditions::Conditions;

    #[test]
    fn an_orphan_that_may_wait_longer_than_a_minute_waits_twice_for_what_is_more() {
        assert_eq!(
            [2, 60, 61, 62, 120].map(fin_wait_2),
            [2, 60, 2, 4, 120].map(|seconds| seconds * 1_000_000)
        );
    }

    #[test]
    fn challenges_are_a_duty_where_neither_host_nor_socket_limits_them() {
        let with = |host: &str, socket: &str| {
            let setting = |name: &str, value: &str| (format!("net.ipv4.{name}"), value.to_owned());
            let sysctls = BTreeMap::from([
                setting("tcp_challenge_ack_limit", host),
                setting("tcp_invalid_ratelimit", socket),
            ]);
            running(&Conditions { sysctls, ..Conditions::default() }).limits.challenges
        };
        assert_eq!(with("2147483647", "0"), None);
        assert_eq!(with("2147483647", "500"), Some((1, 500_000)));
        assert_eq!(with("1000", "0"), Some((1_000, 1_000_000)));
        assert_eq!(with("0", "500"), Some((0, 500_000)));
    }
}
