//! What the kernel lets us do: what the agent needs, and giving up the rest.

use std::io;

use rustix::{
    process::{Resource, Rlimit, geteuid, setrlimit},
    thread::{self, CapabilitySet, CapabilitySets},
};

/// Who asks, and what the kernel lets them do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Privileges {
    /// Effective user id.
    pub euid: u32,
    /// Effective capabilities, a bit each; `None` when the kernel does not say.
    pub capabilities: Option<u64>,
}

/// A capability that the agent uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Its name.
    pub name: &'static str,
    /// Its number (include/uapi/linux/capability.h).
    pub bit: u32,
    /// What it is for.
    pub purpose: &'static str,
    /// False where the agent does the same without it.
    pub needed: bool,
}

const fn capability(name: &'static str, bit: u32, purpose: &'static str) -> Capability {
    Capability { name, bit, purpose, needed: true }
}

/// The capabilities that the agent uses.
pub const CAPABILITIES: [Capability; 6] = [
    capability("CAP_BPF", 39, "loads BPF programs and maps"),
    capability("CAP_PERFMON", 38, "lets them trace the kernel"),
    capability("CAP_SYS_ADMIN", 21, "enters other network namespaces, to list their sockets"),
    capability("CAP_SYS_PTRACE", 19, "finds the network namespaces of other users' processes"),
    capability("CAP_SYSLOG", 34, "reads kernel addresses in /proc/kallsyms"),
    Capability {
        needed: false,
        ..capability("CAP_NET_ADMIN", 12, "not used: every hook loads and attaches without it")
    },
];

impl Privileges {
    /// Of the calling thread.
    #[must_use]
    pub fn of_this_thread() -> Self {
        let capabilities = thread::capabilities(None).ok().map(|sets| sets.effective.bits());
        Self { euid: geteuid().as_raw(), capabilities }
    }

    /// True when the capability is effective. CAP_SYS_ADMIN includes CAP_BPF and CAP_PERFMON.
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        let set = self.capabilities.unwrap_or(0);
        let bit = |number: u32| set >> number & 1 == 1;
        bit(capability.bit) || (matches!(capability.name, "CAP_BPF" | "CAP_PERFMON") && bit(21))
    }
}

/// Gives up every capability that the agent does not need, for good: neither this thread nor those that it starts, nor
/// a program that one of them executes, gets it back. Call it before there are other threads.
///
/// # Errors
///
/// What capset(2) or prctl(2) gives; nothing has been gained then, and some may have been given up.
pub fn keep_only_needed() -> io::Result<()> {
    let needed = CAPABILITIES
        .into_iter()
        .filter(|capability| capability.needed)
        .fold(0, |set, capability| set | 1 << capability.bit);
    let needed = CapabilitySet::from_bits_retain(needed);
    let held = thread::capabilities(None)?.permitted;
    // Up to 5.10 the memory of BPF maps is charged to this limit, and only CAP_SYS_RESOURCE, which goes now, may raise it.
    // Where that is refused, loading says so if it matters.
    let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
    thread::set_no_new_privs(true)?;
    if held.contains(CapabilitySet::SETPCAP) {
        for unneeded in held.difference(needed).iter() {
            thread::remove_capability_from_bounding_set(unneeded)?;
        }
    }
    let kept = held.intersection(needed);
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    thread::set_capabilities(None, sets)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::{CAPABILITIES, Capability, Privileges, keep_only_needed};

    fn named(name: &str) -> Capability {
        CAPABILITIES.into_iter().find(|capability| capability.name == name).unwrap()
    }

    #[test]
    fn the_old_capability_includes_the_new_ones() {
        let privileges = Privileges { euid: 1000, capabilities: Some(1 << 21) };
        let held =
            ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_ADMIN", "CAP_SYSLOG"].map(|name| privileges.has(named(name)));
        assert_eq!(held, [true, true, true, false]);
    }

    #[test]
    fn nothing_but_what_is_needed_is_kept() {
        let needed = CAPABILITIES.iter().filter(|capability| capability.needed);
        let needed = needed.fold(0, |set, capability| set | 1_u64 << capability.bit);
        // On a thread of its own: the other tests keep what they have.
        thread::spawn(move || {
            let before = Privileges::of_this_thread().capabilities.unwrap();
            keep_only_needed().unwrap();
            assert_eq!(Privileges::of_this_thread().capabilities, Some(before & needed));
            keep_only_needed().unwrap();
        })
        .join()
        .unwrap();
    }
}
