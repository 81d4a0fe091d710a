//! `cargo xtask setup`: installs what is missing. A second call only looks at paths.

mod bpf_linker;
mod packages;
mod toolchain;

pub use packages::Availability;
pub use toolchain::Toolchain;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Toolchain(#[from] toolchain::Error),
    #[error(transparent)]
    BpfLinker(#[from] bpf_linker::Error),
    #[error("{0}")]
    Packages(packages::Missing),
}

/// Everything that any task needs.
pub fn everything() -> Result<(), Error> {
    for_build()?;
    match for_live_tests() {
        Availability::Complete => {
            eprintln!("Everything is set up.");
            Ok(())
        }
        Availability::Missing(missing) => Err(Error::Packages(missing)),
    }
}

/// What building needs: `core`'s sources and a bpf-linker that fits the compiler.
pub fn for_build() -> Result<Toolchain, Error> {
    let toolchain = Toolchain::find()?;
    toolchain.ensure(toolchain::RUST_SRC)?;
    bpf_linker::ensure(&toolchain)?;
    Ok(toolchain)
}

/// What building for a guest needs: its target's standard library, and a C compiler for its machine, whose name is returned.
pub fn for_guest(target: &'static str, machine: &str) -> Result<&'static str, Error> {
    let toolchain = for_build()?;
    toolchain.ensure_target(target)?;
    packages::for_guest(machine).map_err(Error::Packages)
}

/// What `cargo xtask check` needs.
pub fn for_check() -> Result<(), Error> {
    let toolchain = for_build()?;
    toolchain.ensure(toolchain::CLIPPY)?;
    toolchain.ensure(toolchain::RUSTFMT)?;
    Ok(())
}

/// The programs that the live tests talk to. What cannot be installed is told, not an error: some tests do without.
pub fn for_live_tests() -> Availability {
    packages::for_live_tests()
}

/// The programs that `cargo xtask bench` measures the agent against.
pub fn for_bench() -> Availability {
    packages::for_bench()
}
