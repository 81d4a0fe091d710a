//! The TUN device: what is written here arrives at the kernel, and what the kernel sends comes out.

use std::{
    fs::File,
    io::{self, Read, Write},
    mem::zeroed,
    os::{fd::AsRawFd, unix::fs::OpenOptionsExt},
};

/// The device's name in its namespace.
pub const NAME: &str = "tun0";

/// `IFF_TUN | IFF_NO_PI`, as wide as the kernel keeps them there.
const TUN_WITHOUT_HEADER: libc::c_short = 0x1001;

#[derive(Debug)]
pub struct Tun(File);

impl Tun {
    /// Makes the device in the calling thread's namespace. It goes with the last descriptor.
    pub fn new() -> io::Result<Self> {
        let file =
            File::options().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
        // SAFETY: all zeros is a valid ifreq.
        let mut request: libc::ifreq = unsafe { zeroed() };
        for (slot, byte) in request.ifr_name.iter_mut().zip(NAME.bytes()) {
            *slot = libc::c_char::from_ne_bytes([byte]);
        }
        request.ifr_ifru.ifru_flags = TUN_WITHOUT_HEADER;
        // SAFETY: TUNSETIFF reads and fills an ifreq, and the pointer is to one.
        let done = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(Self(file)) }
    }

    pub fn write(&self, packet: &[u8]) -> io::Result<()> {
        (&self.0).write_all(packet)
    }

    /// Empties the queue: the packet socket shows what is in it, with times.
    pub fn drain(&self) -> io::Result<()> {
        let mut buffer = [0; 2048];
        loop {
            match (&self.0).read(&mut buffer) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}
