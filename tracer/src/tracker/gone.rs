//! Sockets that were destroyed a moment ago. A later copy of the handler may tell it once more: a kernel that preempts tasks in
//! tracepoints may also move them to another CPU between two copies.

use crate::event::{Event, What};

/// So many are remembered: others end while a preempted task waits.
const REMEMBERED: usize = 4096;

/// The last ones, by cookie. What has none may be anybody in the same memory.
#[derive(Debug, Default)]
pub(super) struct Gone {
    cookies: Vec<u64>,
    next: usize,
}

impl Gone {
    /// True when this is a destruction that an earlier copy has told.
    pub(super) fn repeats(&mut self, event: &Event) -> bool {
        let cookie = event.socket.cookie;
        if cookie == 0 || !matches!(event.what, What::Destroyed { .. }) {
            return false;
        }
        // The first copy is the first to tell.
        if event.copy > 0 && self.cookies.contains(&cookie) {
            return true;
        }
        match self.cookies.get_mut(self.next) {
            Some(oldest) => *oldest = cookie,
            None => self.cookies.push(cookie),
        }
        self.next = (self.next + 1) % REMEMBERED;
        false
    }
}
