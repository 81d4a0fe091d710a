//! `cargo xtask vm`: boots stock Debian kernels in QEMU and runs the live tests on each.

mod apt;
mod catalog;
mod guest;
mod initramfs;
mod programs;
mod report;
mod store;
mod types;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use self::{
    catalog::{Arch, Kernel},
    guest::Guest,
    programs::{LONG_TIMERS, Tests},
    report::{Boot, Listener},
    store::Store,
};
use crate::cargo;

#[derive(clap::Args)]
pub struct Options {
    /// Kernels to boot, such as 6.12; without it the oldest and the newest of the matrix
    #[arg(long, value_name = "RELEASE", num_args = 1.., conflicts_with = "all")]
    kernel: Vec<String>,
    /// Machine of the guests; the others are emulated
    #[arg(long, value_enum, value_name = "MACHINE")]
    arch: Option<Arch>,
    /// Run only the tests whose names contain one of these
    #[arg(long, value_name = "NAME", num_args = 1..)]
    test: Vec<String>,
    /// Boot every kernel of the matrix
    #[arg(long)]
    all: bool,
    /// Boot with a clock that runs fast, for the tests of the long timers, alone
    #[arg(long)]
    fast_clock: bool,
    /// Show the matrix and what is in the cache, and boot nothing
    #[arg(long)]
    list: bool,
    /// Succeed, and say why, where kernels or QEMU cannot be downloaded; a test that fails is a failure all the same
    #[arg(long)]
    if_available: bool,
    /// Download everything anew
    #[arg(long)]
    refresh: bool,
    /// Write docs/kernels.md from what is seen
    #[arg(long, requires = "all")]
    document: bool,
    /// Boot nothing, and write the types of each kernel that the tests hold the agent's search against
    #[arg(long, requires = "all", conflicts_with = "list")]
    types: bool,
    /// Seconds that one boot may take
    #[arg(long, value_name = "SECONDS", default_value_t = 2400)]
    limit: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Programs(#[from] programs::Error),
    #[error(transparent)]
    Types(#[from] types::Error),
    #[error(transparent)]
    Guest(#[from] guest::Error),
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("{failed} of {boots} boots failed; what the guests said is in {consoles}")]
    Failed { failed: usize, boots: usize, consoles: PathBuf },
}

/// Boots what was asked for, one kernel after the other, also after one has failed.
pub fn vm(options: &Options) -> Result<(), Error> {
    let kernels = chosen(options);
    if options.list {
        return list(&kernels);
    }
    let mut architectures: Vec<_> = kernels.iter().map(|kernel| kernel.arch).collect();
    architectures.dedup();
    let store = Store::open(&architectures, options.refresh)?;
    if options.types {
        return write_types(&store, &kernels);
    }
    // First of all: what cannot be had is known before anything is built.
    match fetch(&store, &kernels) {
        Err(reason) if options.if_available => {
            println!("skipped: no other kernel can be had here: {reason}");
            return Ok(());
        }
        fetched => fetched?,
    }
    let folder = cargo::workspace().join("target/vm");
    fs::create_dir_all(&folder).map_err(|source| Error::Write { path: folder.clone(), source })?;

    let mut boots = Vec::new();
    for arch in architectures {
        let qemu = store.qemu(arch)?;
        let userland = store.userland(arch)?;
        let tests = Tests::build(arch)?;
        for kernel in kernels.iter().filter(|kernel| kernel.arch == arch) {
            let image = &store.kernel(kernel)?;
            for fast_clock in clocks(options) {
                let name = format!("{}-{arch}{}", kernel.tag, if fast_clock { "-fast" } else { "" });
                let initramfs = folder.join(format!("{name}.cpio"));
                let console = folder.join(format!("{name}.console"));
                let filters = filters(options, fast_clock);
                programs::assemble(&tests, &userland, image, fast_clock, &filters, &initramfs)?;
                let guest = Guest {
                    arch,
                    image,
                    qemu: &qemu,
                    initramfs: &initramfs,
                    fast_clock,
                    limit: Duration::from_secs(options.limit),
                    console: &console,
                };
                let boot = boot(kernel, &guest);
                // It is as large as the agent with all its debugging information.
                fs::remove_file(&initramfs).map_err(|source| Error::Write { path: initramfs, source })?;
                let boot = boot?;
                println!("{boot}");
                boots.push(boot);
            }
        }
    }
    if options.document {
        write(&cargo::workspace().join("docs/kernels.md"), report::document(&boots))?;
    }
    match boots.iter().filter(|boot| !boot.is_good()).count() {
        0 => Ok(()),
        failed => Err(Error::Failed { failed, boots: boots.len(), consoles: folder }),
    }
}

/// Downloads all that the boots need.
fn fetch(store: &Store, kernels: &[Kernel]) -> Result<(), store::Error> {
    for kernel in kernels {
        store.qemu(kernel.arch)?;
        store.userland(kernel.arch)?;
        store.kernel(kernel)?;
    }
    Ok(())
}

fn boot(kernel: &Kernel, guest: &Guest<'_>) -> Result<Boot, Error> {
    eprintln!("== {kernel} ({}){}", guest.image.package, if guest.fast_clock { ", fast clock" } else { "" });
    let mut listener = Listener::default();
    let (ending, took) = guest.run(|line| {
        if line.starts_with("test ") {
            eprintln!("{line}");
        }
        listener.hear(line);
    })?;
    let Listener { tally, doctor, .. } = listener;
    let package = guest.image.package.clone();
    Ok(Boot { kernel: kernel.clone(), package, fast_clock: guest.fast_clock, ending, took, tally, doctor })
}

fn chosen(options: &Options) -> Vec<Kernel> {
    let arch = options.arch.unwrap_or(Arch::X86_64);
    if !options.kernel.is_empty() {
        return options.kernel.iter().map(|tag| Kernel { tag: tag.clone(), arch }).collect();
    }
    if options.all || options.list {
        let machines = options.arch.map_or(vec![Arch::X86_64, Arch::Aarch64], |arch| vec![arch]);
        return machines.into_iter().flat_map(catalog::matrix).collect();
    }
    let mut matrix = catalog::matrix(arch);
    matrix.drain(1..matrix.len().saturating_sub(1).max(1));
    matrix
}

/// The clocks to boot with: as the machine has it, and running fast.
fn clocks(options: &Options) -> Vec<bool> {
    if options.fast_clock {
        vec![true]
    } else if options.test.is_empty() {
        vec![false, true]
    } else {
        vec![false]
    }
}

fn filters(options: &Options, fast_clock: bool) -> Vec<&str> {
    if fast_clock && options.test.is_empty() {
        vec![LONG_TIMERS]
    } else {
        options.test.iter().map(String::as_str).collect()
    }
}

fn list(kernels: &[Kernel]) -> Result<(), Error> {
    for kernel in kernels {
        match Store::cached(kernel)? {
            Some(package) => println!("{kernel}: {package}"),
            None => println!("{kernel}: not downloaded yet"),
        }
    }
    Ok(())
}

fn write_types(store: &Store, kernels: &[Kernel]) -> Result<(), Error> {
    for kernel in kernels {
        let types = types::of_image(&store.kernel(kernel)?.vmlinuz)?;
        let name = format!("tracer/tests/kernels/{}-{}.btf", kernel.tag, kernel.arch);
        let path = cargo::workspace().join(name);
        write(&path, &types)?;
        println!("{kernel}: {} bytes", types.len());
    }
    Ok(())
}

fn write(path: &Path, contents: impl AsRef<[u8]>) -> Result<(), Error> {
    fs::write(path, contents).map_err(|source| Error::Write { path: path.to_path_buf(), source })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    fn tags(words: &[&str]) -> Vec<String> {
        let options = Cli::parse_from(["vm"].iter().chain(words)).options;
        chosen(&options).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn without_a_choice_the_oldest_and_the_newest_are_booted() {
        assert_eq!(tags(&[]), ["5.10 x86_64", "7.3 x86_64"]);
        assert_eq!(tags(&["--arch", "aarch64"]), ["6.1 aarch64", "7.2 aarch64"]);
        assert_eq!(tags(&["--kernel", "6.1", "6.18"]), ["6.1 x86_64", "6.18 x86_64"]);
        assert_eq!(tags(&["--all"]).len(), 9);
        assert_eq!(tags(&["--all", "--arch", "aarch64"]).len(), 3);
    }

    #[test]
    fn the_long_timers_get_a_boot_of_their_own() {
        let options = |words: &[&str]| Cli::parse_from(["vm"].iter().chain(words)).options;
        assert_eq!(clocks(&options(&[])), [false, true]);
        assert_eq!(clocks(&options(&["--test", "churn"])), [false]);
        assert_eq!(filters(&options(&[]), true), [LONG_TIMERS]);
        assert!(filters(&options(&[]), false).is_empty());
    }
}
