//! One file per group of hooks; each hook is an entry per copy plus one function that does the work.

mod caller;
mod emit;
mod iter;
mod kernel;
mod maps;
mod minisocket;
mod once;
mod reset;
mod retransmit;
mod socket;
mod state;
mod timer;

/// Declares the copies of a handler: programs of their own, because the kernel skips a program that is active. The number
/// is a constant of each, so that nothing of it is left as a call.
macro_rules! copies {
    ($section:literal, $work:ident: $($name:ident = $copy:literal),+) => {
        $(
            #[unsafe(no_mangle)]
            #[unsafe(link_section = $section)]
            fn $name(context: *mut core::ffi::c_void) -> i32 {
                $work::<$copy>(&aya_ebpf::programs::BtfTracePointContext::new(context));
                0
            }
        )+
    };
}
pub(crate) use copies;
