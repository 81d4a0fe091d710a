//! The running kernel's settings as a profile of the model.

use std::collections::BTreeMap;

use model::{
    Flags, Profile,
    oracle::{Kind, Observation},
    profile::{LINUX_IN_DETAIL, R2},
};

use super::oracle::{Judgement, judge};

/// Linux with these settings, in every detail.
#[must_use]
pub fn running(sysctls: &BTreeMap<String, String>) -> Profile {
    let mut profile = LINUX_IN_DETAIL;
    let limits = &mut profile.limits;
    let count = |name: &str| number(sysctls, name).and_then(|value| u8::try_from(value).ok());
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
    if let Some(most) = number(sysctls, "tcp_rto_max_ms") {
        limits.rto_max = most * 1_000;
    }
    if let Some(interval) = number(sysctls, "tcp_keepalive_intvl") {
        limits.keep_alive_interval = interval * 1_000_000;
    }
    if let Some(probes) = count("tcp_keepalive_probes") {
        limits.keep_alive_probes = probes;
    }
    if let Some(timeout) = number(sysctls, "tcp_fin_timeout") {
        profile.fin_wait_2 = Some(timeout * 1_000_000);
    }
    profile.rfc1337 = number(sysctls, "tcp_rfc1337") == Some(1);
    profile.syn_cookies = number(sysctls, "tcp_syncookies") == Some(2);
    // Beyond the client's side, which is on by default: the server's, or without cookies.
    profile.fast_open = number(sysctls, "tcp_fastopen").is_some_and(|bits| bits & !1 != 0);
    profile
}

/// The word of the first reading of the running kernel that explains the trace, and that reading; of the plain one where
/// none does.
#[must_use]
pub fn explain(trace: &[Observation], sysctls: &BTreeMap<String, String>) -> (Judgement, Profile) {
    let plain = running(sysctls);
    let judgement = judge(trace, &plain);
    if judgement.violation.is_none() {
        return (judgement, plain);
    }
    let other = readings(trace, &plain, sysctls).into_iter().find_map(|profile| {
        let judgement = judge(trace, &profile);
        judgement.violation.is_none().then_some((judgement, profile))
    });
    other.unwrap_or((judgement, plain))
}

/// What else the same kernel may do: a connection whose user has gone gives up earlier; an orphan whose last ACK came with
/// an old FIN, or while close() was at work, stays a whole socket; of two segments that contradict each other about where
/// the stream ends either may count.
fn readings(trace: &[Observation], plain: &Profile, sysctls: &BTreeMap<String, String>) -> Vec<Profile> {
    let mut readings = vec![*plain];
    let mut either = |turn: &dyn Fn(&mut Profile)| {
        let turned: Vec<Profile> = readings
            .iter()
            .map(|reading| {
                let mut reading = *reading;
                turn(&mut reading);
                reading
            })
            .collect();
        readings.extend(turned);
    };
    either(&|profile| *profile = orphaned(profile, sysctls));
    either(&|profile| profile.orphan_minisockets = false);
    if contradicts_itself(trace) {
        either(&|profile| profile.held_fin_ends_stream = true);
    }
    readings.remove(0);
    readings
}

/// The peer has sent text with the number of its FIN, or behind it.
fn contradicts_itself(trace: &[Observation]) -> bool {
    let received = || {
        trace.iter().filter_map(|observation| match observation.kind {
            Kind::Received(segment) if !segment.has(Flags::SYN) && !segment.has(Flags::RST) => Some(segment),
            _ => None,
        })
    };
    received().filter(|segment| segment.has(Flags::FIN)).any(|fin| {
        let number = fin.end() - 1;
        received().any(|segment| segment.len > 0 && (segment.seq + segment.len).gt(number))
    })
}

/// The same for a connection whose user has gone: it gives up earlier.
fn orphaned(profile: &Profile, sysctls: &BTreeMap<String, String>) -> Profile {
    let retries =
        number(sysctls, "tcp_orphan_retries").and_then(|value| u8::try_from(value).ok()).unwrap_or(0);
    // 0 stands for 8 (tcp_orphan_retries()).
    let retries = if retries == 0 { 8 } else { retries };
    let mut orphaned = *profile;
    orphaned.limits.r2 = R2::Count(retries);
    orphaned
}

fn number(sysctls: &BTreeMap<String, String>, name: &str) -> Option<u64> {
    sysctls.get(&format!("net.ipv4.{name}"))?.parse().ok()
}
