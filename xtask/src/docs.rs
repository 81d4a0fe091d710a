//! `cargo xtask docs`: writes the generated documents anew. What they say is put together by tracer's test `docs`, which
//! also finds them stale.

use crate::{cargo, command, setup};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Setup(#[from] setup::Error),
    #[error(transparent)]
    Command(#[from] command::Error),
}

/// Builds the program and lets it write docs/ and the diagram in README.md.
pub fn docs() -> Result<(), Error> {
    setup::for_build()?;
    let mut write = cargo::cargo();
    write.args(["test", "--quiet", "--package", "tracer", "--test", "docs"]).env("UPDATE_DOCS", "1");
    Ok(command::run(&mut write)?)
}
