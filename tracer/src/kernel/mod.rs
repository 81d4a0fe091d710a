//! Everything that touches the kernel.

pub mod backlog;
pub mod btf;
pub mod clock;
pub mod counts;
pub mod evidence;
pub mod iter;
pub mod kallsyms;
pub mod listing;
pub mod load;
pub mod netns;
pub mod privileges;
pub mod probe;
pub mod procfs;
pub mod readings;
pub mod ring;
pub mod sock_diag;
pub mod sweep;
