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
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use self::{
    catalog::{Arch, Kernel},
    guest::Guest,
    programs::{LONG_TIMERS, QUICK, Tests},
    report::{Boot, Listener, Scope},
    store::Store,
};
use crate::{
    cargo,
    file::{self, failed},
};

#[derive(clap::Args)]
pub struct Options {
    /// Kernels to boot, such as 6.12; without it the oldest and the newest of the matrix that can be had
    #[arg(long, value_name = "RELEASE", num_args = 1.., conflicts_with = "all")]
    kernel: Vec<String>,
    /// Machine of the guests; the others are emulated
    #[arg(long, value_enum, value_name = "MACHINE")]
    arch: Option<Arch>,
    /// Run only the tests whose names contain one of these
    #[arg(long, value_name = "NAME", num_args = 1..)]
    test: Vec<String>,
    /// Run only the tests that say most in some minutes
    #[arg(long, conflicts_with = "test")]
    quick: bool,
    /// Boot every kernel of the matrix
    #[arg(long)]
    all: bool,
    /// Boot with a clock that runs fast, for the tests of the long timers, alone
    #[arg(long)]
    fast_clock: bool,
    /// Show the matrix and what is in the cache, and boot nothing
    #[arg(long)]
    list: bool,
    /// Succeed, and say why, where no kernel can be had or its guest cannot be prepared; a test that fails is a failure all
    /// the same
    #[arg(long)]
    if_available: bool,
    /// Download everything anew
    #[arg(long)]
    refresh: bool,
    /// Write docs/kernels.md from the last run of each kernel here, the complete one if there was one
    #[arg(long)]
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
    #[error(transparent)]
    File(#[from] file::Error),
    #[error("{failed} of {boots} boots failed; what the guests said is in {consoles}")]
    Failed { failed: usize, boots: usize, consoles: PathBuf },
    #[error("{0} of the kernels could not be had, see above")]
    Gone(usize),
}

/// A kernel that cannot be had now.
#[derive(Debug)]
struct Gone {
    kernel: Kernel,
    reason: store::Error,
}

/// Boots what was asked for, one kernel after the other, also after one has failed.
pub fn vm(options: &Options) -> Result<(), Error> {
    match run(options) {
        Err(reason) if options.if_available && !matches!(reason, Error::Failed { .. }) => {
            println!("skipped: no other kernel was booted to its end: {reason}");
            Ok(())
        }
        done => done,
    }
}

fn run(options: &Options) -> Result<(), Error> {
    let kernels = chosen(options);
    if options.list {
        return list(&kernels);
    }
    let mut architectures: Vec<_> = kernels.iter().map(|kernel| kernel.arch).collect();
    architectures.dedup();
    let store = Store::open(&architectures, options.refresh)?;
    // First of all: what cannot be had is known before anything is built.
    let (kernels, gone) = obtain(&store, kernels, options)?;
    for Gone { kernel, reason } in &gone {
        println!("{kernel}: skipped: {reason}");
    }
    if options.types {
        return write_types(&store, &kernels);
    }
    let folder = cargo::workspace().join("target/vm");
    fs::create_dir_all(&folder).map_err(failed("create", &folder))?;

    let mut boots = Vec::new();
    for arch in architectures {
        let qemu = store.qemu(arch)?;
        let userland = store.userland(arch)?;
        let tests = Tests::build(arch)?;
        for kernel in kernels.iter().filter(|kernel| kernel.arch == arch) {
            let image = &store.kernel(kernel)?;
            for fast_clock in clocks(options) {
                let console = folder.join(console_of(kernel, fast_clock, scope(options)));
                let initramfs = console.with_extension("cpio");
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
                let boot = boot(kernel, scope(options), &guest);
                // It is as large as everything in the guest.
                fs::remove_file(&initramfs).map_err(failed("remove", &initramfs))?;
                let boot = boot?;
                println!("{boot}");
                boots.push(boot);
            }
        }
    }
    if options.document {
        let page = cargo::workspace().join("docs/kernels.md");
        fs::write(&page, report::document(&kept(&folder))).map_err(failed("write", &page))?;
    }
    match boots.iter().filter(|boot| !boot.is_good()).count() {
        0 if options.all && !gone.is_empty() => Err(Error::Gone(gone.len())),
        0 => Ok(()),
        failed => Err(Error::Failed { failed, boots: boots.len(), consoles: folder }),
    }
}

/// Downloads all that the boots need: what will be booted, and what cannot be had.
fn obtain(
    store: &Store,
    kernels: Vec<Kernel>,
    options: &Options,
) -> Result<(Vec<Kernel>, Vec<Gone>), store::Error> {
    let mut gone = Vec::new();
    let mut try_one = |kernel: &Kernel| match store.kernel(kernel) {
        Ok(_) => Ok(true),
        // Debian's suites move on, and leave a release behind.
        Err(reason) if reason.is_of_one_kernel() && options.kernel.is_empty() => {
            gone.push(Gone { kernel: kernel.clone(), reason });
            Ok(false)
        }
        Err(reason) => Err(reason),
    };
    let had = if options.all || !options.kernel.is_empty() {
        let mut had = Vec::new();
        for kernel in kernels {
            if try_one(&kernel)? {
                had.push(kernel);
            }
        }
        had
    } else {
        both_ends(kernels, &mut try_one)?
    };
    for kernel in &had {
        store.qemu(kernel.arch)?;
        store.userland(kernel.arch)?;
    }
    match gone.pop() {
        Some(last) if had.is_empty() => Err(last.reason),
        last => {
            gone.extend(last);
            Ok((had, gone))
        }
    }
}

/// The first and the last that can be had.
fn both_ends<E>(
    mut kernels: Vec<Kernel>,
    mut try_one: impl FnMut(&Kernel) -> Result<bool, E>,
) -> Result<Vec<Kernel>, E> {
    while let Some(oldest) = kernels.first()
        && !try_one(oldest)?
    {
        kernels.remove(0);
    }
    while kernels.len() > 1
        && let Some(newest) = kernels.last()
        && !try_one(newest)?
    {
        kernels.pop();
    }
    if kernels.len() > 2 {
        kernels.drain(1..kernels.len() - 1);
    }
    Ok(kernels)
}

fn boot(kernel: &Kernel, scope: Scope, guest: &Guest<'_>) -> Result<Boot, Error> {
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
    let boot = Boot {
        kernel: kernel.clone(),
        scope,
        package,
        fast_clock: guest.fast_clock,
        ending,
        took,
        tally,
        doctor,
    };
    let note = fs::File::options().append(true).open(guest.console);
    note.and_then(|mut console| writeln!(console, "{}", boot.note()))
        .map_err(failed("write", guest.console))?;
    Ok(boot)
}

/// The file that keeps what a guest said; runs of chosen tests do not replace complete ones.
fn console_of(kernel: &Kernel, fast_clock: bool, scope: Scope) -> String {
    let clock = if fast_clock { "-fast" } else { "" };
    let tests = match scope {
        Scope::Complete => "",
        Scope::Quick => "-quick",
        Scope::Chosen => "-chosen",
    };
    format!("{}-{}{clock}{tests}.console", kernel.tag, kernel.arch)
}

/// The last boots of the whole matrix: the complete one, else the quick one, as far as there was any.
fn kept(folder: &Path) -> Vec<Boot> {
    let read = |kernel: &Kernel, fast_clock, scope| {
        let console = fs::read_to_string(folder.join(console_of(kernel, fast_clock, scope))).ok()?;
        Boot::read(kernel.clone(), scope, fast_clock, &console)
    };
    let matrix = catalog::ARCHES.into_iter().flat_map(catalog::matrix);
    matrix
        .flat_map(|kernel| {
            let whole = read(&kernel, false, Scope::Complete).or_else(|| read(&kernel, false, Scope::Quick));
            whole.into_iter().chain(read(&kernel, true, Scope::Complete))
        })
        .collect()
}

fn chosen(options: &Options) -> Vec<Kernel> {
    let arch = options.arch.unwrap_or(Arch::X86_64);
    if !options.kernel.is_empty() {
        return options.kernel.iter().map(|tag| Kernel { tag: tag.clone(), arch }).collect();
    }
    if options.all || options.list {
        let machines = options.arch.map_or(catalog::ARCHES.to_vec(), |arch| vec![arch]);
        return machines.into_iter().flat_map(catalog::matrix).collect();
    }
    catalog::matrix(arch)
}

fn scope(options: &Options) -> Scope {
    match options.test.is_empty() {
        true if options.quick => Scope::Quick,
        true => Scope::Complete,
        false => Scope::Chosen,
    }
}

/// The clocks to boot with: as the machine has it, and running fast.
fn clocks(options: &Options) -> Vec<bool> {
    if options.fast_clock {
        vec![true]
    } else if scope(options) == Scope::Complete {
        vec![false, true]
    } else {
        vec![false]
    }
}

fn filters(options: &Options, fast_clock: bool) -> Vec<&str> {
    if options.quick {
        QUICK.to_vec()
    } else if fast_clock && options.test.is_empty() {
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
        fs::write(&path, &types).map_err(failed("write", &path))?;
        println!("{kernel}: {} bytes", types.len());
    }
    Ok(())
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

    fn ends(arch: Arch, gone: &[&str]) -> Vec<String> {
        let had = |kernel: &Kernel| Ok::<_, ()>(!gone.contains(&kernel.tag.as_str()));
        both_ends(catalog::matrix(arch), had).unwrap().into_iter().map(|kernel| kernel.tag).collect()
    }

    #[test]
    fn without_a_choice_the_oldest_and_the_newest_that_can_be_had_are_booted() {
        assert_eq!(ends(Arch::X86_64, &[]), ["5.10", "7.3"]);
        assert_eq!(ends(Arch::Aarch64, &[]), ["6.1", "7.2"]);
        assert_eq!(ends(Arch::X86_64, &["5.10", "7.3", "6.12"]), ["6.1", "7.2"]);
        assert_eq!(ends(Arch::Aarch64, &["6.12", "7.2"]), ["6.1"]);
        assert_eq!(ends(Arch::Aarch64, &["6.1", "6.12", "7.2"]), [""; 0]);
    }

    #[test]
    fn kernels_are_chosen_by_release_and_machine() {
        assert_eq!(tags(&["--kernel", "6.1", "6.18"]), ["6.1 x86_64", "6.18 x86_64"]);
        assert_eq!(tags(&["--all"]).len(), 9);
        assert_eq!(tags(&["--all", "--arch", "aarch64"]).len(), 3);
    }

    #[test]
    fn the_long_timers_get_a_boot_of_their_own() {
        let options = |words: &[&str]| Cli::parse_from(["vm"].iter().chain(words)).options;
        assert_eq!(clocks(&options(&[])), [false, true]);
        assert_eq!(clocks(&options(&["--test", "churn"])), [false]);
        assert_eq!(clocks(&options(&["--quick"])), [false]);
        assert_eq!(filters(&options(&["--quick"]), false), QUICK);
        assert_eq!(filters(&options(&[]), true), [LONG_TIMERS]);
        assert!(filters(&options(&[]), false).is_empty());
    }
}
