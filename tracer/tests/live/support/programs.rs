//! BPF programs and links, as the kernel lists them.

use std::{collections::BTreeMap, fs};

use aya::programs::{loaded_links, loaded_programs};

/// Numbers of BPF objects. The kernel hands numbers out in turn, so that one does not come back soon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objects {
    pub programs: Vec<u32>,
    pub links: Vec<u32>,
}

/// What a process holds.
pub fn held_by(pid: u32) -> Objects {
    let mut objects = Objects::default();
    for fdinfo in fdinfos(pid) {
        match (number(&fdinfo, "link_id"), number(&fdinfo, "prog_id")) {
            (Some(link), _) => objects.links.push(link),
            (None, Some(program)) if fdinfo.contains("prog_tag") => objects.programs.push(program),
            _ => {}
        }
    }
    objects
}

/// True when the kernel has a program of this name, whoever has loaded it.
pub fn is_loaded(name: &str) -> bool {
    loaded_programs().filter_map(Result::ok).any(|program| program.name_as_str() == Some(name))
}

/// Those of `objects` that still are in the kernel.
pub fn remaining(objects: &Objects) -> Objects {
    let programs: Vec<_> =
        loaded_programs().filter_map(|program| program.ok().map(|program| program.id())).collect();
    let links: Vec<_> = loaded_links().filter_map(|link| link.ok().map(|link| link.id())).collect();
    Objects {
        programs: objects.programs.iter().copied().filter(|id| programs.contains(id)).collect(),
        links: objects.links.iter().copied().filter(|id| links.contains(id)).collect(),
    }
}

/// How often each program of a process was started or skipped, by name; the kernel counts starts only while
/// `kernel.bpf_stats_enabled` is on.
pub fn firings(pid: u32) -> BTreeMap<String, i64> {
    let names: BTreeMap<u32, String> = loaded_programs()
        .filter_map(Result::ok)
        .map(|program| (program.id(), program.name_as_str().unwrap_or_default().to_owned()))
        .collect();
    let mut firings = BTreeMap::new();
    for fdinfo in
        fdinfos(pid).iter().filter(|fdinfo| fdinfo.contains("prog_tag") && !fdinfo.contains("link_id"))
    {
        let count = |key| number(fdinfo, key).unwrap_or(0);
        if let Some(name) = number(fdinfo, "prog_id").and_then(|id| names.get(&id)) {
            firings.insert(name.clone(), count("run_cnt") + count("recursion_misses"));
        }
    }
    firings
}

fn fdinfos(pid: u32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
    entries.filter_map(|entry| fs::read_to_string(entry.path()).ok()).collect()
}

/// The number after `key:` in an fdinfo file.
fn number<T: std::str::FromStr>(fdinfo: &str, key: &str) -> Option<T> {
    fdinfo.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')?.trim().parse().ok())
}
