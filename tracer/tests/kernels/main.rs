//! What the agent finds by name in the types of other kernels than the running one. Each file here is the BTF of one of
//! Debian's kernels, cut down to the structs, tracepoints and enums that the agent asks for; `cargo xtask vm --all --types`
//! writes them from the kernels' images.

#![expect(clippy::unwrap_used, reason = "in tests a panic is the message")]

use std::{collections::BTreeMap, fs, path::Path};

use tracer::kernel::btf::Types;
use tracer_ebpf::{FIELDS, Field, Hook, MISSING};

/// The kernels of the matrix, by file name.
fn kernels() -> BTreeMap<String, Types> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernels");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let types = files.filter(|path| path.extension().is_some_and(|extension| extension == "btf"));
    types
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, Types::from_file(&path).unwrap())
        })
        .collect()
}

/// The release of `6.12-x86_64`.
fn release(kernel: &str) -> (u32, u32) {
    let (release, _) = kernel.split_once('-').unwrap();
    let (major, minor) = release.split_once('.').unwrap();
    (major.parse().unwrap(), minor.parse().unwrap())
}

#[test]
fn the_whole_matrix_is_here() {
    let names: Vec<_> = kernels().into_keys().collect();
    let x86 = ["5.10-x86_64", "6.1-x86_64", "6.12-x86_64", "6.18-x86_64", "7.2-x86_64", "7.3-x86_64"];
    let arm = ["6.1-aarch64", "6.12-aarch64", "7.2-aarch64"];
    let mut expected = [&x86[..], &arm].concat();
    expected.sort_unstable();
    assert_eq!(names, expected);
}

#[test]
fn every_field_is_found_but_for_those_that_the_oldest_kernel_lacks() {
    for (name, types) in kernels() {
        let offsets = types.offsets().unwrap_or_else(|error| panic!("{name}: {error}"));
        let missing: Vec<_> = FIELDS
            .iter()
            .zip(&offsets)
            .filter(|(_, offset)| **offset == MISSING)
            .map(|((_, source), _)| format!("{}.{}", source.container, source.path))
            .collect();
        // net_cookie is there as an atomic that is 0 until somebody asks; MPTCP is not built in.
        let lacking: &[&str] =
            if release(&name) < (5, 12) { &["net.net_cookie", "tcp_sock.is_mptcp"] } else { &[] };
        assert_eq!(missing, lacking, "{name}");
    }
}

#[test]
fn every_hook_is_there_with_the_arguments_that_its_program_reads() {
    for (name, types) in kernels() {
        let release = release(&name);
        for hook in Hook::ALL {
            if hook == Hook::Snapshot {
                assert!(types.has_function("bpf_iter_tcp"), "{name}");
                continue;
            }
            let least = match hook {
                Hook::State => 3,
                Hook::SendReset | Hook::Retransmit | Hook::RetransmitSynack => 2,
                _ => 1,
            };
            let found = types.tracepoint_arguments(hook.name()).unwrap_or(0);
            assert!(found >= least, "{name}: {} has {found} arguments", hook.name());
        }
        let reset = types.tracepoint_arguments(Hook::SendReset.name());
        assert_eq!(reset == Some(3), release >= (6, 12), "{name}: tcp_send_reset says why");
    }
}

#[test]
fn reasons_of_resets_have_names_where_the_kernel_has_reasons() {
    for (name, types) in kernels() {
        let reasons = types.enum_values("sk_rst_reason", "SK_RST_REASON_");
        if release(&name) < (6, 12) {
            assert_eq!(reasons, [], "{name}");
        } else {
            let named: Vec<_> = reasons.iter().map(|(_, reason)| reason.as_str()).collect();
            assert!(
                named.contains(&"NO_SOCKET") && named.contains(&"TCP_ABORT_ON_DATA"),
                "{name}: {named:?}"
            );
        }
    }
}

/// Offsets that bpftool printed of the same kernels: snd_una, write_seq, sk_err, sk_shutdown, ns.inum, rcv_isn, tw_substate.
const MEASURED: [(&str, [u32; 7]); 6] = [
    ("5.10-x86_64", [1468, 1812, 568, 626, 144, 272, 140]),
    ("6.1-x86_64", [1508, 1852, 544, 610, 144, 280, 140]),
    ("6.12-x86_64", [1720, 1636, 284, 571, 136, 280, 140]),
    ("6.18-x86_64", [1664, 1572, 284, 583, 176, 280, 140]),
    ("7.2-x86_64", [1776, 1668, 284, 591, 280, 280, 140]),
    ("7.3-x86_64", [1776, 1668, 284, 591, 280, 280, 140]),
];

#[test]
fn the_offsets_are_those_that_another_tool_prints() {
    let kernels = kernels();
    for (name, measured) in MEASURED {
        let offsets = kernels[name].offsets().unwrap();
        let found = [
            Field::Una,
            Field::WriteSeq,
            Field::Err,
            Field::Shutdown,
            Field::NetInum,
            Field::RequestIsnReceived,
            Field::TimewaitSubstate,
        ]
        .map(|field| offsets[field as usize]);
        assert_eq!(found, measured, "{name}");
    }
}
