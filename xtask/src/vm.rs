//! `cargo xtask vm`: boots stock Debian kernels in QEMU and runs the live tests on each.

mod apt;
mod audit;
mod boot;
mod catalog;
mod document;
mod guest;
mod initramfs;
mod kept;
mod machine;
mod programs;
mod record;
mod store;
mod types;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use self::{
    boot::{Boot, Heard, Set},
    catalog::{Arch, Kernel},
    machine::{Machine, Plan, by_machine},
    programs::{LONG_TIMERS, Load, QUICK, Tests},
    record::Record,
    store::{Image, Store},
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
    /// Run only the tests that say most in some minutes; with --audit only the short scenarios
    #[arg(long, conflicts_with_all = ["test", "fast_clock"])]
    quick: bool,
    /// Boot every kernel of the matrix
    #[arg(long)]
    all: bool,
    /// Boot with a clock that runs fast, for the tests of the long timers, alone
    #[arg(long)]
    fast_clock: bool,
    /// Audit each kernel instead, all scenarios and the matrix, and bring the reports to target/vm
    #[arg(long, conflicts_with_all = ["test", "fast_clock", "types"])]
    audit: bool,
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
    /// Write docs/kernels.md, or docs/kernels-audit.md with --audit, from the last run of each kernel, here or documented
    /// before; with --list without a boot
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
    Machine(#[from] machine::Error),
    #[error(transparent)]
    Kept(#[from] kept::Error),
    #[error(transparent)]
    Audit(#[from] audit::Error),
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
    reason: String,
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
    let folder = cargo::workspace().join("target/vm");
    if options.list {
        list(&kernels)?;
        return if options.document { write_document(options, &folder) } else { Ok(()) };
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
    fs::create_dir_all(&folder).map_err(failed("create", &folder))?;
    let boots: Vec<bool> = if options.audit {
        let limit = Duration::from_secs(options.limit);
        audit::audit(&store, &kernels, audit::Extent { quick: options.quick, limit }, &folder)?
    } else {
        let boots = test(&store, &kernels, options, &folder)?;
        boots.iter().map(Boot::is_good).collect()
    };
    if options.document {
        write_document(options, &folder)?;
    }
    match boots.iter().filter(|is_good| !**is_good).count() {
        0 if options.all && !gone.is_empty() => Err(Error::Gone(gone.len())),
        0 => Ok(()),
        failed => Err(Error::Failed { failed, boots: boots.len(), consoles: folder }),
    }
}

/// Runs the live tests on these kernels.
fn test(store: &Store, kernels: &[Kernel], options: &Options, folder: &Path) -> Result<Vec<Boot>, Error> {
    let tree = kept::tree();
    let limit = Duration::from_secs(options.limit);
    let mut boots = Vec::new();
    for (arch, its) in by_machine(kernels) {
        let machine = Machine::new(store, arch)?;
        let tests = Tests::build(arch)?;
        for kernel in its {
            let image = store.kernel(kernel)?;
            for set in sets(options) {
                let console = folder.join(format!("{}-{}-{}.console", kernel.tag, kernel.arch, set.name()));
                let kept_in = console.with_extension("json");
                let fast_clock = options.fast_clock || set == Set::LongTimers;
                let load = tests.load(fast_clock, &filters(options, set));
                let boot =
                    boot(&machine, (kernel, &image), set, &load, &Plan { fast_clock, limit, console })?;
                println!("{boot}");
                if set != Set::Chosen {
                    kept::write(&kept_in, &[Record::new(&boot, &tree)])?;
                }
                boots.push(boot);
            }
        }
    }
    Ok(boots)
}

/// Downloads all that the boots need: what will be booted, and what cannot be had.
fn obtain(
    store: &Store,
    kernels: Vec<Kernel>,
    options: &Options,
) -> Result<(Vec<Kernel>, Vec<Gone>), store::Error> {
    let (had, gone) = match download(store, &kernels, options) {
        Err(reason) if options.kernel.is_empty() && !reason.is_of_one_kernel() => {
            let (cached, others): (Vec<_>, Vec<_>) =
                kernels.into_iter().partition(|kernel| matches!(Store::cached(kernel), Ok(Some(_))));
            if cached.is_empty() {
                return Err(reason);
            }
            println!("note: only kernels that are in the cache are booted: {reason}");
            let had = if options.all { cached } else { both_ends(cached, |_| Ok::<_, store::Error>(true))? };
            let gone = |kernel| Gone { kernel, reason: "it is not in the cache".to_owned() };
            (had, others.into_iter().map(gone).collect())
        }
        downloaded => downloaded?,
    };
    for kernel in &had {
        store.qemu(kernel.arch)?;
        store.userland(kernel.arch)?;
    }
    Ok((had, gone))
}

fn download(
    store: &Store,
    kernels: &[Kernel],
    options: &Options,
) -> Result<(Vec<Kernel>, Vec<Gone>), store::Error> {
    let mut gone = Vec::new();
    let mut last = None;
    let mut try_one = |kernel: &Kernel| match store.kernel(kernel) {
        Ok(_) => Ok(true),
        // Debian's suites move on, and leave a release behind.
        Err(reason) if reason.is_of_one_kernel() && options.kernel.is_empty() => {
            gone.push(Gone { kernel: kernel.clone(), reason: reason.to_string() });
            last = Some(reason);
            Ok(false)
        }
        Err(reason) => Err(reason),
    };
    let had = if options.all || !options.kernel.is_empty() {
        let mut had = Vec::new();
        for kernel in kernels {
            if try_one(kernel)? {
                had.push(kernel.clone());
            }
        }
        had
    } else {
        both_ends(kernels.to_vec(), &mut try_one)?
    };
    match last {
        Some(reason) if had.is_empty() => Err(reason),
        _ => Ok((had, gone)),
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

fn boot(
    machine: &Machine,
    (kernel, image): (&Kernel, &Image),
    set: Set,
    load: &Load,
    plan: &Plan,
) -> Result<Boot, machine::Error> {
    eprintln!("== {kernel} ({}){}", image.package, if plan.fast_clock { ", fast clock" } else { "" });
    let mut heard = Heard::default();
    let (ending, took) = machine.boot(image, load, plan, |line| {
        if line.starts_with("test ") {
            eprintln!("{line}");
        }
        heard.hear(line);
    })?;
    Ok(Boot { kernel: kernel.clone(), set, package: image.package.clone(), ending, took, heard })
}

/// Puts what was kept of the boots here to what is documented already, and makes the page of it.
fn write_document(options: &Options, folder: &Path) -> Result<(), Error> {
    if options.audit {
        return Ok(audit::write_document(folder)?);
    }
    let docs = cargo::workspace().join("docs");
    let path = docs.join("kernels.json");
    let mut records: Vec<Record> = kept::read(&path)?;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "json") {
            records.extend(kept::read::<Vec<Record>>(&entry.path())?);
        }
    }
    let records = record::latest(records);
    kept::write(&path, &records)?;
    let page = docs.join("kernels.md");
    Ok(fs::write(&page, document::document(&records)).map_err(failed("write", &page))?)
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

/// What to boot each kernel for. The long timers have a boot of their own.
fn sets(options: &Options) -> Vec<Set> {
    if !options.test.is_empty() {
        vec![Set::Chosen]
    } else if options.quick {
        vec![Set::Quick]
    } else if options.fast_clock {
        vec![Set::LongTimers]
    } else {
        vec![Set::Complete, Set::LongTimers]
    }
}

fn filters(options: &Options, set: Set) -> Vec<&str> {
    match set {
        Set::Quick => QUICK.to_vec(),
        Set::LongTimers => vec![LONG_TIMERS],
        Set::Complete | Set::Chosen => options.test.iter().map(String::as_str).collect(),
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
        assert_eq!(sets(&options(&[])), [Set::Complete, Set::LongTimers]);
        assert_eq!(sets(&options(&["--test", "churn", "--fast-clock"])), [Set::Chosen]);
        assert_eq!(sets(&options(&["--quick"])), [Set::Quick]);
        assert_eq!(sets(&options(&["--fast-clock"])), [Set::LongTimers]);
        assert_eq!(filters(&options(&["--quick"]), Set::Quick), QUICK);
        assert_eq!(filters(&options(&[]), Set::LongTimers), [LONG_TIMERS]);
        assert!(filters(&options(&[]), Set::Complete).is_empty());
    }
}
