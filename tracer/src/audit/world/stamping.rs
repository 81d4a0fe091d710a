//! The times of packets: the kernel takes them only while a socket wants them, and begins some time after the first one did
//! (`net_enable_timestamp` leaves it to a work queue). What crosses a device before that has the time of its reading, which
//! is later than what it caused.

use std::{
    os::fd::OwnedFd,
    thread,
    time::{Duration, Instant},
};

use super::{World, WorldError, tap::Tap};

/// While this lives, every packet of the host gets its time when it crosses a device.
#[derive(Debug)]
pub struct Stamping {
    /// It wants times. The network in which that was tried lives as long.
    _socket: OwnedFd,
}

impl Stamping {
    /// Asks for the times, and waits for the first one.
    ///
    /// # Errors
    ///
    /// [`WorldError::Stamps`] when none comes within ten seconds; the others when there is no network to try it in.
    pub fn start() -> Result<Self, WorldError> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| first_stamp().map(|tap| Self { _socket: tap.into_socket() }));
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// On a busy host the work queue may wait for a processor.
const PATIENCE: Duration = Duration::from_secs(10);

/// An IPv4 header whose checksum is wrong: it crosses the device, and that is all.
const PROBE: [u8; 20] = [0x45, 0, 0, 20, 0, 0, 0, 0, 1, 0, 0, 0, 192, 0, 2, 2, 192, 0, 2, 1];

fn first_stamp() -> Result<Tap, WorldError> {
    let mut world = World::new()?;
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let mut seen = 0;
        let before = world.tap.unstamped();
        world.inject(&PROBE)?;
        world.observe(&mut |_| seen += 1)?;
        if seen > 0 && world.tap.unstamped() == before {
            return Ok(world.tap);
        }
        thread::sleep(Duration::from_millis(1));
    }
    Err(WorldError::Stamps)
}
