//! Which kernels there are, and which Debian packages hold them.

use std::{cmp::Reverse, fmt};

use serde::{Deserialize, Serialize};

/// A machine that a guest can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum, Serialize, Deserialize)]
pub enum Arch {
    #[value(name = "x86_64")]
    #[serde(rename = "x86_64")]
    X86_64,
    #[value(name = "aarch64")]
    #[serde(rename = "aarch64")]
    Aarch64,
}

impl Arch {
    /// The kernel's and Rust's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// Debian's name.
    pub const fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// The target whose programs need no library in the guest.
    pub const fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-musl",
            Self::Aarch64 => "aarch64-unknown-linux-musl",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A kernel to boot: a release (`6.12`) on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    pub tag: String,
    pub arch: Arch,
}

/// The numbers of a release, by which the oldest comes first: 6.12 is younger than 6.1 and 6.2.
pub fn numbers(release: &str) -> Vec<u32> {
    release.split('.').map(|number| number.parse().unwrap_or(0)).collect()
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.tag, self.arch)
    }
}

/// The releases of the matrix, oldest first: the oldest that Debian still has, its long-term ones, the newest.
const MATRIX: [(Arch, &[&str]); 2] = [
    (Arch::X86_64, &["5.10", "6.1", "6.12", "6.18", "7.2", "7.3"]),
    (Arch::Aarch64, &["6.1", "6.12", "7.2"]),
];

/// The machines of the matrix.
pub const ARCHES: [Arch; 2] = [Arch::X86_64, Arch::Aarch64];

/// The matrix of one machine.
pub fn matrix(arch: Arch) -> Vec<Kernel> {
    let tags = MATRIX.iter().filter(|(machine, _)| *machine == arch).flat_map(|(_, tags)| *tags);
    tags.map(|tag| Kernel { tag: (*tag).to_owned(), arch }).collect()
}

/// A package with a kernel's image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub package: String,
    /// The package with the modules, where it is another one.
    pub modules: Option<String>,
}

/// Among all package names those that hold this kernel in Debian's build for virtual machines, newest first: the archive
/// may have lost a file that its index still lists.
pub fn candidates<'a>(kernel: &Kernel, names: impl Iterator<Item = &'a str>) -> Vec<Candidate> {
    let suffix = format!("-cloud-{}", kernel.arch.debian());
    let mut found: Vec<(Vec<u32>, u8, Candidate)> = names
        .filter_map(|name| {
            let abi = name.strip_suffix(&suffix)?;
            // From 6.19 on the image package is an empty shell around linux-binary and linux-modules. The newest upload
            // may be there only without a signature for some days.
            let (rank, abi, split) =
                [("linux-binary-unsigned-", 0, true), ("linux-image-", 1, false), ("linux-binary-", 2, true)]
                    .into_iter()
                    .find_map(|(prefix, rank, split)| Some((rank, abi.strip_prefix(prefix)?, split)))?;
            let patch = abi.strip_prefix(&kernel.tag)?.strip_prefix('.')?;
            let version = version(patch)?;
            let modules = split.then(|| format!("linux-modules-{abi}{suffix}"));
            Some((version, rank, Candidate { package: name.to_owned(), modules }))
        })
        .collect();
    found.sort_by_key(|(version, rank, _)| Reverse((version.clone(), *rank)));
    found.into_iter().map(|(_, _, candidate)| candidate).collect()
}

/// `12+deb13` or `0-46`: the numbers; `None` for flavours such as `0-46-rt`.
fn version(patch: &str) -> Option<Vec<u32>> {
    patch
        .split(['.', '-', '+'])
        .map(|part| part.strip_prefix("deb").or(part.strip_prefix("bpo")).unwrap_or(part).parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(tag: &str, arch: Arch, names: &[&str]) -> Vec<String> {
        let kernel = Kernel { tag: tag.to_owned(), arch };
        candidates(&kernel, names.iter().copied()).into_iter().map(|candidate| candidate.package).collect()
    }

    #[test]
    fn the_newest_comes_first_and_others_follow() {
        let names = [
            "linux-image-5.10.0-9-cloud-amd64",
            "linux-image-5.10.0-46-cloud-amd64",
            "linux-image-5.10.0-46-cloud-amd64-unsigned",
            "linux-image-5.10.0-46-rt-amd64",
            "linux-image-5.10.0-46-cloud-arm64",
            "linux-image-5.1.0-4-cloud-amd64",
        ];
        assert_eq!(found("5.10", Arch::X86_64, &names), [names[1], names[0]]);
        assert_eq!(found("5.10", Arch::Aarch64, &names), [names[4]]);
        assert_eq!(found("5.1", Arch::X86_64, &names), [names[5]]);
    }

    #[test]
    fn a_split_kernel_names_its_modules_and_a_signed_one_is_preferred() {
        let names = [
            "linux-image-7.2.12+deb13-cloud-amd64",
            "linux-binary-unsigned-7.2.12+deb13-cloud-amd64",
            "linux-binary-7.2.12+deb13-cloud-amd64",
            "linux-binary-7.2.9+deb13-cloud-amd64",
        ];
        let kernel = Kernel { tag: "7.2".to_owned(), arch: Arch::X86_64 };
        let found = candidates(&kernel, names.into_iter());
        let packages: Vec<_> = found.iter().map(|candidate| candidate.package.as_str()).collect();
        assert_eq!(packages, [names[2], names[0], names[1], names[3]]);
        assert_eq!(found[0].modules.as_deref(), Some("linux-modules-7.2.12+deb13-cloud-amd64"));
        assert_eq!(found[1].modules, None);
    }

    #[test]
    fn the_matrix_has_the_oldest_first() {
        let tags = |arch| matrix(arch).into_iter().map(|kernel| kernel.tag).collect::<Vec<_>>();
        assert_eq!(tags(Arch::X86_64), ["5.10", "6.1", "6.12", "6.18", "7.2", "7.3"]);
        assert_eq!(tags(Arch::Aarch64), ["6.1", "6.12", "7.2"]);
    }
}
