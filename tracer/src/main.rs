//! `tcp-tracer`: an eBPF-assisted tracer of the kernel's TCP with a reference model.
fn main() {}
