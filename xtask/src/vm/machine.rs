//! A machine that guests boot on: an emulator, and Debian's programs for it.

use std::{fs, path::PathBuf, time::Duration};

use super::{
    catalog::{self, Arch, Kernel},
    guest::{self, Ending, Guest},
    programs::{self, Load},
    store::{self, Image, Qemu, Store},
};
use crate::file::{self, failed};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Programs(#[from] programs::Error),
    #[error(transparent)]
    Guest(#[from] guest::Error),
    #[error(transparent)]
    File(#[from] file::Error),
}

/// One kind of machine.
#[derive(Debug)]
pub struct Machine {
    arch: Arch,
    qemu: Qemu,
    userland: PathBuf,
}

/// How to boot a kernel.
#[derive(Debug)]
pub struct Plan {
    /// See [`Guest::fast_clock`].
    pub fast_clock: bool,
    /// The longest that it may take.
    pub limit: Duration,
    /// Where its console is kept.
    pub console: PathBuf,
}

impl Machine {
    /// With all that it needs downloaded.
    pub fn new(store: &Store, arch: Arch) -> Result<Self, store::Error> {
        Ok(Self { arch, qemu: store.qemu(arch)?, userland: store.userland(arch)? })
    }

    /// Boots a kernel with this load, and hands each line of its console to `line`.
    pub fn boot(
        &self,
        image: &Image,
        load: &Load,
        plan: &Plan,
        line: impl FnMut(&str),
    ) -> Result<(Ending, Duration), Error> {
        let Plan { fast_clock, limit, console } = plan;
        let initramfs = console.with_extension("cpio");
        programs::assemble(load, &self.userland, image, &initramfs)?;
        let guest = Guest {
            arch: self.arch,
            image,
            qemu: &self.qemu,
            initramfs: &initramfs,
            fast_clock: *fast_clock,
            limit: *limit,
            console,
        };
        let ended = guest.run(line);
        // It is as large as everything in the guest.
        fs::remove_file(&initramfs).map_err(failed("remove", &initramfs))?;
        Ok(ended?)
    }
}

/// The kernels of each machine that has some.
pub fn by_machine(kernels: &[Kernel]) -> Vec<(Arch, Vec<&Kernel>)> {
    let of = |arch| (arch, kernels.iter().filter(|kernel| kernel.arch == arch).collect::<Vec<_>>());
    catalog::ARCHES.into_iter().map(of).filter(|(_, its)| !its.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_go_by_machine_and_keep_their_order() {
        let of = |tag: &str, arch| Kernel { tag: tag.into(), arch };
        let kernels = [of("7.2", Arch::Aarch64), of("6.1", Arch::X86_64), of("6.12", Arch::X86_64)];
        let sorted: Vec<(Arch, Vec<&str>)> = by_machine(&kernels)
            .into_iter()
            .map(|(arch, its)| (arch, its.iter().map(|kernel| kernel.tag.as_str()).collect()))
            .collect();
        assert_eq!(sorted, [(Arch::X86_64, vec!["6.1", "6.12"]), (Arch::Aarch64, vec!["7.2"])]);
        assert!(by_machine(&kernels[1..]).iter().all(|(arch, _)| *arch == Arch::X86_64));
    }
}
