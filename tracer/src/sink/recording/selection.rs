//! Which records go into a recording.

use std::collections::HashSet;

use crate::{
    decode::{self, Kernel},
    event::{Event, SocketId, TimerAction, What},
    filter::Sockets,
    judge::Input,
};

/// Which sockets to record. A socket that once fits is recorded to its end, also where its ports are not known yet or no
/// longer.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// The filters.
    pub sockets: Sockets,
}

/// The selection, and the sockets that fit so far.
#[derive(Debug)]
pub(super) struct Selected {
    selection: Selection,
    kernel: Kernel,
    all: bool,
    cookies: HashSet<u64>,
    addresses: HashSet<u64>,
}

impl Selected {
    pub(super) fn new(selection: Selection, kernel: Kernel) -> Self {
        let all = selection.sockets.is_everything();
        Self { selection, kernel, all, cookies: HashSet::new(), addresses: HashSet::new() }
    }

    /// True when it goes into the recording.
    pub(super) fn wants(&mut self, input: Input<'_>) -> bool {
        let (Input::Listed(record) | Input::Record(record) | Input::Shown(record)) = input else {
            return true;
        };
        // What cannot be read may be anybody's.
        self.all || decode::decode(record, &self.kernel).map_or(true, |event| self.wants_event(&event))
    }

    fn wants_event(&mut self, event: &Event) -> bool {
        let SocketId { cookie, address, .. } = event.socket;
        let fits = self.selection.sockets.match_socket(&event.socket, &event.flow);
        let known = self.cookies.contains(&cookie) || self.addresses.contains(&address);
        if !(fits || known) {
            return false;
        }
        let is_gone = match event.what {
            What::Destroyed { .. } => true,
            What::Timewait { action, .. } | What::Request { action, .. } => action != TimerAction::Started,
            _ => false,
        };
        // A minisocket is there before its socket goes, and always has its ports.
        if is_gone {
            self.addresses.remove(&address);
            self.cookies.remove(&cookie);
        } else {
            if address != 0 {
                self.addresses.insert(address);
            }
            if cookie != 0 {
                self.cookies.insert(cookie);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tracer_ebpf::{Hook, Record, bits, uapi};

    use super::*;
    use crate::{filter::SocketArgs, recording::layout};

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        sockets: SocketArgs,
    }

    fn selected(typed: &[&str]) -> Selected {
        let cli = Cli::try_parse_from(["test"].iter().chain(typed)).unwrap();
        let sockets = Sockets::new(cli.sockets).unwrap();
        Selected::new(Selection { sockets }, Kernel::default())
    }

    fn record(hook: Hook, cookie: u64, ports: (u16, u16)) -> [u8; Record::SIZE] {
        layout::bytes(&Record {
            hook: hook as u8,
            cookie,
            socket: (1 << 63) + cookie,
            family: uapi::AF_INET,
            from: uapi::tcp_state::CLOSE,
            to: uapi::tcp_state::SYN_SENT,
            local_port: ports.0,
            remote_port: ports.1,
            bits: bits::HAS_SOCKET,
            ..Record::EMPTY
        })
    }

    #[test]
    fn a_socket_that_fits_once_is_recorded_to_its_end() {
        let mut selected = selected(&["--port", "80"]);
        let mut wants = |hook, cookie, ports| selected.wants(Input::Record(&record(hook, cookie, ports)));
        assert!(!wants(Hook::State, 1, (0, 0)));
        assert!(wants(Hook::State, 1, (40_000, 80)));
        assert!(!wants(Hook::State, 2, (40_000, 81)));
        assert!(wants(Hook::State, 1, (0, 0)), "the kernel forgets the ports");
        assert!(wants(Hook::Destroy, 1, (0, 0)));
    }

    #[test]
    fn without_a_filter_all_is_recorded_and_losses_always_are() {
        let odd = [0; 3];
        assert!(selected(&[]).wants(Input::Record(&odd)));
        let mut selected = selected(&["--port", "80"]);
        assert!(selected.wants(Input::Record(&odd)) && selected.wants(Input::Flush(1)));
    }
}
