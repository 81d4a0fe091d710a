use std::path::PathBuf;

use tracer_ebpf::{FIELDS, Field, Hook};

use super::{
    checks::{Check, Mark, diagnose, outcome},
    page,
};
use crate::kernel::{
    btf::BtfError,
    evidence,
    load::{HookStatus, Kind, LoadError},
    privileges::Privileges,
    probe::{Listed, MissingField, Probe, SYSCTLS, Trial, TypeFacts},
};

fn attached(hook: Hook) -> HookStatus {
    let (kind, copies) = if hook == Hook::Snapshot { (Kind::Netlink, 1) } else { (Kind::TpBtf, 2) };
    HookStatus { hook, kind, copies, problem: None }
}

/// A kernel that lacks nothing, asked by root.
fn complete() -> Probe {
    Probe {
        release: "6.12.0".to_owned(),
        machine: "x86_64".to_owned(),
        privileges: Privileges { euid: 0, capabilities: Some(u64::MAX) },
        types: Ok(TypeFacts {
            hooks: Hook::ALL.map(|hook| (hook, true)).to_vec(),
            missing: Vec::new(),
            reset_reasons: 26,
        }),
        trial: Some(Ok(Trial {
            hooks: Hook::ALL.map(attached).to_vec(),
            has_cookies: true,
            sweep_problem: None,
            listed: Some(Listed { lister: "sock_diag", sockets: 12, namespaces: 3, problems: Vec::new() }),
        })),
        symbols: vec![("tw_timer_handler", true), ("reqsk_timer_handler", true)],
        callers: vec![("tcp_abort", true), ("tcp_check_req", true)],
        namespaces: 3,
        lockdown: Some("integrity".to_owned()),
        jit: Some("1".to_owned()),
        stats_enabled: Some("0".to_owned()),
        memlock: None,
        sysctls: SYSCTLS
            .iter()
            .map(|sysctl| (sysctl, Some(sysctl.default.unwrap_or("4096").to_owned())))
            .collect(),
    }
}

fn facts(probe: &mut Probe) -> &mut TypeFacts {
    probe.types.as_mut().unwrap()
}

fn trial(probe: &mut Probe) -> &mut Trial {
    probe.trial.as_mut().unwrap().as_mut().unwrap()
}

fn named(checks: &[Check], name: &str) -> Check {
    checks
        .iter()
        .find(|check| check.name == name)
        .unwrap_or_else(|| panic!("no {name} in {checks:#?}"))
        .clone()
}

#[test]
fn a_complete_kernel_has_nothing_to_complain_of() {
    let probe = complete();
    let checks = diagnose(&probe);
    assert!(checks.iter().all(|check| matches!(check.mark, Mark::Ok | Mark::Info)), "{checks:#?}");
    assert_eq!(outcome(&probe, &checks), "State transitions can be traced, and nothing is missing.");
    let page = page(&probe, &checks, 100, false);
    assert!(page.lines().all(|line| line.chars().count() <= 100), "{page}");
    assert!(!page.contains('\u{1b}'));
}

#[test]
fn a_missing_hook_says_what_is_lost() {
    let mut probe = complete();
    facts(&mut probe).hooks[Hook::SendReset as usize].1 = false;
    let timer = &mut trial(&mut probe).hooks[Hook::TimerStart as usize];
    (timer.copies, timer.problem) = (0, Some("no address".to_owned()));
    let checks = diagnose(&probe);
    let reset = named(&checks, "tcp_send_reset");
    assert_eq!((reset.mark, reset.text.as_str()), (Mark::Missing, "this kernel does not have it"));
    assert_eq!(reset.notes, [evidence::without_hook(Hook::SendReset)]);
    let timer = named(&checks, "timer_start");
    assert_eq!((timer.mark, timer.text.as_str()), (Mark::Missing, "no address"));
    assert_eq!(
        outcome(&probe, &checks),
        "State transitions can be traced, with the losses named above: 2 missing, 0 degraded."
    );
}

#[test]
fn a_function_that_is_not_found_leaves_causes_unknown() {
    let mut probe = complete();
    probe.callers[0].1 = false;
    let check = named(&diagnose(&probe), "causes of early ends");
    assert_eq!((check.mark, check.text.as_str()), (Mark::Degraded, "not found: tcp_abort"));
}

#[test]
fn fewer_copies_are_a_loss_too() {
    let mut probe = complete();
    let state = &mut trial(&mut probe).hooks[Hook::State as usize];
    (state.copies, state.problem) = (1, Some("no memory".to_owned()));
    let state = named(&diagnose(&probe), "inet_sock_set_state");
    assert_eq!(state.mark, Mark::Degraded);
    assert_eq!(state.notes[0], "no memory");
    assert!(probe.can_trace());
}

#[test]
fn fields_with_the_same_loss_share_a_line() {
    let mut probe = complete();
    facts(&mut probe).missing = FIELDS
        .iter()
        .filter(|(field, _)| matches!(field, Field::RemoteV6 | Field::LocalV6 | Field::Srtt))
        .map(|(field, source)| MissingField { source: *source, loss: evidence::without_field(*field) })
        .collect();
    let checks = diagnose(&probe);
    let pair = named(&checks, "sock_common.skc_v6_daddr, sock_common.skc_v6_rcv_saddr");
    assert_eq!(
        (pair.mark, pair.text.as_str()),
        (Mark::Degraded, "Addresses of IPv6 sockets are shown as [::].")
    );
    assert_eq!(named(&checks, "tcp_sock.srtt_us").text, "Round-trip times are not recorded.");
    assert!(page(&probe, &checks, 100, false).lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn a_required_field_that_is_missing_stops_everything() {
    let mut probe = complete();
    let source = FIELDS[Field::State as usize].1;
    facts(&mut probe).missing = vec![MissingField { source, loss: evidence::without_field(Field::State) }];
    probe.trial =
        Some(Err(LoadError::Types(BtfError::Field { container: source.container, path: source.path })));
    let checks = diagnose(&probe);
    assert_eq!(named(&checks, "sock_common.skc_state").mark, Mark::Missing);
    assert_eq!(named(&checks, "type information (BTF)").mark, Mark::Missing);
    assert!(!probe.can_trace());
    assert!(outcome(&probe, &checks).contains("sock_common.skc_state"));
}

#[test]
fn without_btf_there_is_nothing_to_try() {
    let mut probe = complete();
    let source = std::io::ErrorKind::NotFound.into();
    probe.types = Err(BtfError::Read { path: PathBuf::from("/sys/kernel/btf/vmlinux"), source });
    probe.trial = None;
    let checks = diagnose(&probe);
    assert_eq!(named(&checks, "type information (BTF)").mark, Mark::Missing);
    let outcome = outcome(&probe, &checks);
    assert!(
        outcome.starts_with("State transitions cannot be traced")
            && outcome.contains("CONFIG_DEBUG_INFO_BTF")
    );
}

#[test]
fn whoever_may_not_load_learns_what_can_be_known() {
    let mut probe = complete();
    probe.privileges = Privileges { euid: 1000, capabilities: Some(0) };
    let refusal = aya::EbpfError::MapError(aya::maps::MapError::OutOfBounds { index: 0, max_entries: 0 });
    probe.trial = Some(Err(LoadError::Permission(Box::new(refusal))));
    let checks = diagnose(&probe);
    assert_eq!(named(&checks, "CAP_BPF").mark, Mark::Missing);
    assert_eq!(named(&checks, "CAP_NET_ADMIN").mark, Mark::Info);
    assert_eq!(named(&checks, "inet_sock_set_state").mark, Mark::Unknown);
    assert_eq!(named(&checks, "reset reasons").mark, Mark::Ok);
    assert!(outcome(&probe, &checks).contains("Run `tcp-tracer doctor` as root"));
}

#[test]
fn settings_that_are_not_the_default_are_marked() {
    let mut probe = complete();
    for (sysctl, value) in &mut probe.sysctls {
        match sysctl.name {
            "tcp_fin_timeout" => *value = Some("15".to_owned()),
            "tcp_migrate_req" => *value = None,
            _ => {}
        }
    }
    let checks = diagnose(&probe);
    let changed: Vec<_> = checks.iter().filter(|check| check.mark == Mark::Changed).collect();
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].name, "tcp_fin_timeout");
    assert!(changed[0].text.starts_with("15 (") && changed[0].notes == ["The kernel's default is 60."]);
    assert!(named(&checks, "tcp_migrate_req").text.starts_with("not on this kernel"));
}

#[test]
fn namespaces_that_cannot_be_listed_are_a_loss() {
    let mut probe = complete();
    trial(&mut probe).listed.as_mut().unwrap().problems =
        (1..=5).map(|number| format!("no way into {number}")).collect();
    let existing = named(&diagnose(&probe), "existing sockets");
    assert_eq!(existing.mark, Mark::Degraded);
    assert_eq!(existing.notes, ["no way into 1", "no way into 2", "no way into 3", "... and 2 more."]);
}

#[test]
fn a_loss_that_is_said_once_is_not_said_again() {
    let mut probe = complete();
    for hook in [Hook::TimerStart, Hook::TimerCancel, Hook::TimerExpire] {
        facts(&mut probe).hooks[hook as usize].1 = false;
    }
    let page = page(&probe, &diagnose(&probe), 1000, false);
    assert_eq!(page.matches(evidence::without_hook(Hook::TimerStart)).count(), 1, "{page}");
    assert_eq!(page.matches("this kernel does not have it").count(), 3, "{page}");
}
