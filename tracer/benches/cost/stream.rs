//! Records of whole connections as the kernel makes them: both ends, request, TIME_WAIT.

use tracer::recording::layout;
use tracer_ebpf::{Hook, Record, bits, uapi};
use uapi::tcp_state as state;

/// Transitions that the kernel announces for one connection, both ends together.
pub const TRANSITIONS: u64 = 10;

/// What the kernel does in one go, for each of `connections` connections in turn, so that each finds its entry cold.
pub fn interleaved(step: Step, connections: std::ops::Range<u64>, time: u64, out: &mut Vec<u8>) {
    for (turn, connection) in connections.enumerate() {
        for record in step(connection * 4 + 1, time + turn as u64 * 100) {
            out.extend(layout::bytes(&record));
        }
    }
}

/// Makes the records of one connection: its number, and the time in nanoseconds.
pub type Step = fn(u64, u64) -> Vec<Record>;

/// A connection whose client closes first, in steps of what the kernel does in one go.
pub const STEPS: [Step; 9] = [
    |socket, time| vec![transition(client(socket, time), state::CLOSE, state::SYN_SENT)],
    |socket, time| vec![timer(server(socket, time), Hook::TimerStart, true)],
    |socket, time| vec![transition(client(socket, time), state::SYN_SENT, state::ESTABLISHED)],
    |socket, time| {
        vec![
            transition(server(socket, time), state::LISTEN, state::SYN_RECV),
            timer(server(socket, time), Hook::TimerCancel, true),
            transition(server(socket, time), state::SYN_RECV, state::ESTABLISHED),
        ]
    },
    |socket, time| vec![transition(closing(client(socket, time)), state::ESTABLISHED, state::FIN_WAIT1)],
    |socket, time| vec![transition(finished(server(socket, time)), state::ESTABLISHED, state::CLOSE_WAIT)],
    |socket, time| {
        let record = finished(closing(client(socket, time)));
        vec![
            transition(
                Record { sock_flags: uapi::sock_flag::DEAD, ..record },
                state::FIN_WAIT1,
                state::FIN_WAIT2,
            ),
            timer(record, Hook::TimerStart, false),
            transition(record, state::FIN_WAIT2, state::CLOSE),
            Record { hook: Hook::Destroy as u8, from: state::CLOSE, to: state::CLOSE, ..record },
        ]
    },
    |socket, time| {
        let record = finished(closing(server(socket, time)));
        vec![
            transition(record, state::CLOSE_WAIT, state::LAST_ACK),
            transition(record, state::LAST_ACK, state::CLOSE),
            Record { hook: Hook::Destroy as u8, from: state::CLOSE, to: state::CLOSE, ..record },
        ]
    },
    |socket, time| {
        let record = client(socket, time + 60_000_000_000);
        vec![timer(record, Hook::TimerCancel, false), timer(record, Hook::TimerExpire, false)]
    },
];

fn client(socket: u64, time: u64) -> Record {
    Record { local_port: port(socket), remote_port: 80, ..record(socket, time) }
}

fn server(socket: u64, time: u64) -> Record {
    Record { local_port: 80, remote_port: port(socket), ..record(socket + 1, time) }
}

fn port(socket: u64) -> u16 {
    20_000 + u16::try_from(socket % 40_000).unwrap_or(0)
}

fn record(socket: u64, time_ns: u64) -> Record {
    Record {
        time_ns,
        cookie: socket,
        socket: 0xffff_8880_0000_0000 + socket * 2432,
        netns: 1,
        local: address(),
        remote: address(),
        protocol: uapi::IPPROTO_TCP,
        family: uapi::AF_INET,
        una: 1_001,
        nxt: 1_001,
        write_seq: 1_001,
        rcv_nxt: 5_001,
        copied_seq: 5_001,
        bits: bits::HAS_SOCKET,
        ..Record::EMPTY
    }
}

fn address() -> [u8; 16] {
    let mut address = [0; 16];
    address[..4].copy_from_slice(&[127, 0, 0, 1]);
    address
}

fn transition(record: Record, from: u8, to: u8) -> Record {
    Record { hook: Hook::State as u8, from, to, ..record }
}

fn closing(record: Record) -> Record {
    Record { shutdown: uapi::shutdown::SEND | uapi::shutdown::RECEIVE, ..record }
}

/// The peer's FIN is consumed.
fn finished(record: Record) -> Record {
    Record {
        sock_flags: uapi::sock_flag::DONE,
        shutdown: record.shutdown | uapi::shutdown::RECEIVE,
        ..record
    }
}

fn timer(record: Record, hook: Hook, request: bool) -> Record {
    let (to, bits) = if request {
        (state::NEW_SYN_RECV, bits::MINISOCKET | bits::REQUEST)
    } else {
        (state::TIME_WAIT, bits::MINISOCKET)
    };
    let cookie = if request { 0 } else { record.cookie };
    Record { hook: hook as u8, from: to, to, bits, cookie, socket: record.socket + (1 << 40), ..record }
}

/// A client that stays connected.
pub const CLIENT_OPENS: [Step; 2] = [STEPS[0], STEPS[2]];

/// A client that has closed: its TIME_WAIT stays.
pub const CLIENT_LIVES: [Step; 4] = [STEPS[0], STEPS[2], STEPS[4], STEPS[6]];
