//! The running kernel's settings as a profile of the model.

use std::collections::BTreeMap;

use model::{
    Profile,
    profile::{LINUX_IN_DETAIL, R2},
};

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

/// The same for a connection whose user has gone: it gives up earlier.
#[must_use]
pub fn orphaned(profile: &Profile, sysctls: &BTreeMap<String, String>) -> Profile {
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
