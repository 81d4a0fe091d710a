//! One kind of sweep: when it is due, the one that is under way, and what it found.

use std::{collections::HashMap, path::PathBuf, sync::mpsc, time::Duration};

use crate::{
    judge::records,
    kernel::{
        clock::now,
        load::Attached,
        sweep::{self, Sweep, Swept},
    },
};
use aya::programs::Iter;

/// Records of a sweep that are taken in between two batches of the ring, which fills meanwhile.
const BITE: usize = 1024;

/// Time until a sweep that could not be started is tried again.
const FAILED: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Sweeps {
    due: u64,
    running: Option<mpsc::Receiver<Swept>>,
    /// What it found, and how many of its records have been taken in.
    done: Option<(Swept, usize)>,
    /// Where namespaces were found.
    places: HashMap<u64, PathBuf>,
}

impl Sweeps {
    pub(super) const fn is_due(&self, now: u64) -> bool {
        self.running.is_none() && self.done.is_none() && now >= self.due
    }

    /// Starts one on a thread of its own; `name` is the program's.
    pub(super) fn start(
        &mut self,
        attached: &mut Attached,
        name: &str,
        namespaces: impl Iterator<Item = u64>,
    ) {
        let program: Option<&mut Iter> =
            attached.ebpf.program_mut(name).and_then(|program| program.try_into().ok());
        let Some(program) = program else { return self.put_off() };
        match Sweep::new(program, namespaces, std::mem::take(&mut self.places)) {
            Ok(sweep) => {
                let (sender, receiver) = mpsc::channel();
                self.running = Some(receiver);
                // Nobody waits any more when the agent is about to end.
                drop(tokio::task::spawn_blocking(move || drop(sender.send(sweep.run()))));
            }
            Err(error) => {
                log::warn!("cannot start the {name} of the sockets that exist: {error}");
                self.put_off();
            }
        }
    }

    /// Hands over the next records that were found, as soon as everything up to the sweep's end has been processed; the
    /// sweep itself with the last of them. The next one comes after `interval`, or later when this one was dear.
    pub(super) fn take_in(
        &mut self,
        processed: u64,
        interval: Duration,
        each: impl FnMut(&[u8]),
    ) -> Option<Swept> {
        match self.running.as_ref()?.try_recv() {
            Ok(swept) => self.done = Some((swept, 0)),
            Err(mpsc::TryRecvError::Empty) => return None,
            Err(mpsc::TryRecvError::Disconnected) if self.done.is_none() => {
                // The sweeper died.
                self.running = None;
                self.put_off();
            }
            Err(mpsc::TryRecvError::Disconnected) => {}
        }
        let (mut swept, taken_in) = self.done.take_if(|(swept, _)| swept.until <= processed)?;
        let rest = records(&swept.records).skip(taken_in);
        if rest.len() > BITE {
            rest.take(BITE).for_each(each);
            self.done = Some((swept, taken_in + BITE));
            return None;
        }
        rest.for_each(each);
        self.running = None;
        self.places = std::mem::take(&mut swept.places);
        self.due = swept.from + super::nanoseconds(interval.max(swept.cost * sweep::SHARE));
        Some(swept)
    }

    fn put_off(&mut self) {
        self.due = now() + super::nanoseconds(FAILED);
    }
}
