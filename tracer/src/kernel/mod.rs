//! Everything that touches the kernel.

pub mod adopt;
pub mod btf;
pub mod counts;
pub mod kallsyms;
pub mod load;
pub mod netns;
pub mod procfs;
pub mod ring;
