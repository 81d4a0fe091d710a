//! How many transitions one core takes through decode, track and check.
//!
//! `cargo run --release --example throughput [CONNECTIONS [ROUNDS]]`: records of whole connections (both ends, request,
//! TIME_WAIT) as the kernel makes them, CONNECTIONS of them alive at once, ROUNDS times over.

use std::{hint::black_box, time::Instant};

use tracer::{
    checker,
    decode::{self, Kernel},
    recording::layout,
    tracker::{Hooks, Limits, Tracker},
};
use tracer_ebpf::{Hook, Record, bits, uapi};
use uapi::tcp_state as state;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let mut number = |default| arguments.next().and_then(Result::ok).unwrap_or(default);
    let (connections, rounds) = (number(1_000), number(1_000));
    let mut records = Vec::new();
    let mut tracker = Tracker::new(Limits::default(), Hooks::all());
    let (mut transitions, mut total, mut doubtful) = (0_u64, 0_u64, 0_u64);
    let mut spent = std::time::Duration::ZERO;
    let kernel = Kernel::default();
    for round in 0..rounds {
        records.clear();
        interleaved(round * connections, connections, &mut records);
        let begin = Instant::now();
        for bytes in records.chunks_exact(Record::SIZE) {
            total += 1;
            let Ok(event) = decode::decode(bytes, &kernel) else { continue };
            tracker.observe(&event, &mut |step| {
                let finding = checker::check(step);
                if let Some(judgement) = black_box(&finding).judgement {
                    transitions += 1;
                    doubtful += u64::from(judgement.verdict.severity() > 1);
                }
            });
        }
        spent += begin.elapsed();
    }
    assert_eq!(
        (tracker.len(), doubtful),
        (0, 0),
        "a healthy stream ends with nothing left and nothing in doubt"
    );
    let per = |count: u64| spent.as_nanos() as f64 / count as f64;
    println!(
        "{transitions} transitions in {total} records, {connections} connections at once: {:.2} million transitions/s, \
         {:.0} ns per transition, {:.0} ns per record",
        1e3 / per(transitions),
        per(transitions),
        per(total)
    );
}

/// One record of each connection in turn, so that each finds its entry cold.
fn interleaved(first: u64, connections: u64, out: &mut Vec<u8>) {
    for (at, step) in STEPS.iter().enumerate() {
        for connection in first..first + connections {
            let time =
                1_000_000_000 + (first * STEPS.len() as u64 + at as u64 * connections + connection) * 100;
            for record in step(connection * 4 + 1, time) {
                out.extend(layout::bytes(&record));
            }
        }
    }
}

type Step = fn(u64, u64) -> Vec<Record>;

/// A connection whose client closes first, in steps of what the kernel does in one go.
const STEPS: [Step; 9] = [
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
