//! BPF iterators, linked and read by hand: aya links an iterator without a target, and one of ours walks a map.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
};

use aya::programs::{Iter, ProgramError, ProgramFd};

/// A loaded iterator; each [`open`](Self::open) walks anew.
#[derive(Debug)]
pub struct BpfIter {
    program: ProgramFd,
    /// The map that an `iter/bpf_map_elem` program walks.
    map: Option<OwnedFd>,
}

impl BpfIter {
    /// Of a program that is loaded; `map`: what it walks, where it walks a map.
    ///
    /// # Errors
    ///
    /// [`ProgramError`] when its descriptor cannot be had.
    pub fn new(program: &Iter, map: Option<OwnedFd>) -> Result<Self, ProgramError> {
        Ok(Self { program: program.fd()?.try_clone().map_err(ProgramError::IOError)?, map })
    }

    /// The walk: reading runs the program. An `iter/tcp` walks the network namespace of the thread that opens it.
    ///
    /// # Errors
    ///
    /// What bpf(2) gives.
    pub fn open(&self) -> io::Result<File> {
        let link = self.link()?;
        let mut attributes = IterCreate { link: link.as_raw_fd().cast_unsigned(), flags: 0 };
        // SAFETY: the attributes are those of the command, and outlive the call.
        Ok(unsafe { bpf(BPF_ITER_CREATE, &mut attributes) }?.into())
    }

    fn link(&self) -> io::Result<OwnedFd> {
        // union bpf_iter_link_info: of a map its descriptor.
        let target = self.map.as_ref().map(|map| map.as_raw_fd().cast_unsigned());
        let mut attributes = LinkCreate {
            program: self.program.as_fd().as_raw_fd().cast_unsigned(),
            target: 0,
            attach_type: BPF_TRACE_ITER,
            flags: 0,
            info: target.as_ref().map_or(0, |target| std::ptr::from_ref(target) as u64),
            info_size: target.map_or(0, |_| 4),
            end: 0,
        };
        // SAFETY: as above; the information that it points to outlives the call as well.
        unsafe { bpf(BPF_LINK_CREATE, &mut attributes) }
    }
}

/// `union bpf_attr` of `BPF_LINK_CREATE` for an iterator.
#[repr(C)]
struct LinkCreate {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    info: u64,
    info_size: u32,
    end: u32,
}

/// `union bpf_attr` of `BPF_ITER_CREATE`.
#[repr(C)]
struct IterCreate {
    link: u32,
    flags: u32,
}

/// include/uapi/linux/bpf.h.
const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_ITER_CREATE: libc::c_int = 33;
const BPF_TRACE_ITER: u32 = 28;

/// A command that gives a descriptor.
///
/// # Safety
///
/// `attributes` are those that the command takes, and all that they point to is valid.
unsafe fn bpf<T>(command: libc::c_int, attributes: &mut T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise; the kernel reads and writes no more than the size.
    let answer =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<T>()) };
    match i32::try_from(answer) {
        // SAFETY: a new descriptor that nobody else has.
        Ok(descriptor @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}
