//! `tcp-tracer`: an eBPF-assisted tracer of the kernel's TCP with a reference model.

use std::process::ExitCode;

fn main() -> ExitCode {
    tracer::cli::main()
}
