//! Connections by the thousand, inside one namespace, bounded in number.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{counters, guest::patience, namespace::Namespace};

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    /// A free port on the loopback of this family.
    pub fn loopback(self) -> SocketAddr {
        match self {
            Self::Ipv4 => (Ipv4Addr::LOCALHOST, 0).into(),
            Self::Ipv6 => (Ipv6Addr::LOCALHOST, 0).into(),
        }
    }
}

/// Who ends a connection, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The client closes first: the TIME_WAIT is the client's.
    Client,
    /// The server closes first: the TIME_WAIT is the server's.
    Server,
    /// The client closes with SO_LINGER 0: an RST.
    Reset,
}

/// A load to run.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Connections in all.
    pub connections: u64,
    /// Pairs of a client thread and a server thread, each with a listener of its own.
    pub lanes: u64,
    pub family: Family,
    pub ending: Ending,
    /// Bytes sent and echoed one by one on each connection.
    pub exchanges: usize,
}

/// Connections that a client may be ahead of its server; well below the listener's backlog.
const AHEAD: u64 = 512;
const BACKLOG: i32 = 4096;

/// The kernel's counter of requests that a reset has ended.
pub const UNBORN: &str = "TcpExt.EmbryonicRsts";

/// Longer than the end of a connection takes on its way through the loopback, repetitions included.
const END_COMES: Duration = Duration::from_secs(10);

impl Load {
    /// Runs it to its end.
    pub fn run(&self, namespace: &Namespace) {
        let made = self.run_while(namespace, &AtomicBool::new(true));
        assert_eq!(made, self.connections);
    }

    /// Runs it to its end, or until `go` is false. Returns how many connections were made.
    pub fn run_while(&self, namespace: &Namespace, go: &AtomicBool) -> u64 {
        thread::scope(|scope| {
            let lanes: Vec<_> = (0..self.lanes)
                .map(|lane| {
                    let share =
                        self.connections / self.lanes + u64::from(lane < self.connections % self.lanes);
                    scope.spawn(move || namespace.enter(|| self.lane(share, go)))
                })
                .collect();
            lanes.into_iter().map(|lane| lane.join().expect("a lane")).sum()
        })
    }

    fn lane(&self, connections: u64, go: &AtomicBool) -> u64 {
        let listener = listen(self.family);
        let address = listener.local_addr().expect("the address of a listener");
        let unborn = Unborn::here();
        let served = AtomicU64::new(0);
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| self.serve(&listener, &served, &done));
            let mut made = 0;
            while made < connections && go.load(Ordering::Relaxed) {
                while made - served.load(Ordering::Relaxed) > AHEAD {
                    thread::yield_now();
                }
                self.connect(address);
                made += 1;
            }
            let missed = all_are_served(&served, made, &unborn).err();
            done.store(true, Ordering::Relaxed);
            // Ends the server's accept without a connection that nobody has counted.
            let _ = rustix::net::shutdown(&listener, rustix::net::Shutdown::Both);
            assert_eq!(missed, None, "{self:?}");
            made
        })
    }

    fn serve(&self, listener: &TcpListener, served: &AtomicU64, done: &AtomicBool) {
        loop {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(_) if done.load(Ordering::Relaxed) => return,
                Err(error) => panic!("accept: {error}"),
            };
            let mut byte = [0];
            for _ in 0..self.exchanges {
                stream.read_exact(&mut byte).expect("a byte from the client");
                stream.write_all(&byte).expect("a byte to the client");
            }
            if self.ending != Ending::Server {
                // The end, or the reset that the client sent; or nothing, where a FIN that overtook the birth of its
                // peer was reset and took the client along.
                stream.set_read_timeout(Some(patience(END_COMES))).expect("a time limit");
                let _ = stream.read(&mut byte);
            }
            drop(stream);
            served.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn connect(&self, address: SocketAddr) {
        let mut stream =
            TcpStream::connect(address).unwrap_or_else(|error| panic!("connect to {address}: {error}"));
        let mut byte = [1];
        for _ in 0..self.exchanges {
            stream.write_all(&byte).expect("a byte to the server");
            stream.read_exact(&mut byte).expect("a byte from the server");
        }
        match self.ending {
            Ending::Client => {}
            Ending::Server => assert_eq!(stream.read(&mut byte).expect("the server's FIN"), 0),
            Ending::Reset => {
                rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("SO_LINGER");
            }
        }
    }
}

/// Connections that never come to their server: on two CPUs a reset may overtake the last ACK of its handshake, and then
/// ends a request.
struct Unborn(i64);

impl Unborn {
    /// From now on, in the thread's namespace.
    fn here() -> Self {
        Self(Self::counted())
    }

    fn counted() -> i64 {
        counters::here()[UNBORN]
    }

    /// How many there have been since.
    fn count(&self) -> u64 {
        u64::try_from(Self::counted() - self.0).unwrap_or(0)
    }
}

/// Waits until the server is done with all connections that were made; an error when it gets no further.
fn all_are_served(served: &AtomicU64, made: u64, unborn: &Unborn) -> Result<(), String> {
    let (mut before, mut since) = (0, Instant::now());
    loop {
        match served.load(Ordering::Relaxed) {
            now if now >= made => return Ok(()),
            now if now != before => (before, since) = (now, Instant::now()),
            // What is on its way has had time to come.
            now if since.elapsed() > patience(Duration::from_secs(1)) && now + unborn.count() >= made => {
                return Ok(());
            }
            now if since.elapsed() > patience(Duration::from_secs(20)) => {
                let sockets = counters::sockets_here();
                return Err(format!("{now} of {made} connections came to the server; sockets: {sockets:?}"));
            }
            _ => thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// A listener on the loopback with room for many.
pub fn listen(family: Family) -> TcpListener {
    let listener = TcpListener::bind(family.loopback()).expect("a listener");
    rustix::net::listen(&listener, BACKLOG).expect("a longer backlog");
    listener
}

/// Connections that stay open.
#[derive(Debug)]
pub struct Held {
    pub listener: TcpListener,
    pub clients: Vec<TcpStream>,
    pub servers: Vec<TcpStream>,
}

impl Held {
    /// Opens `count` connections inside the namespace.
    pub fn open(namespace: &Namespace, family: Family, count: usize) -> Self {
        namespace.enter(|| {
            let listener = listen(family);
            let address = listener.local_addr().expect("the address of a listener");
            let (clients, servers) = (0..count)
                .map(|_| {
                    let client = TcpStream::connect(address).expect("a connection");
                    (client, listener.accept().expect("its other end").0)
                })
                .unzip();
            Self { listener, clients, servers }
        })
    }

    /// Sends a byte each way on every connection: they live.
    pub fn use_all(&mut self) {
        for (client, server) in self.clients.iter_mut().zip(&mut self.servers) {
            let mut byte = [7];
            client.write_all(&byte).expect("a byte to the server");
            server.read_exact(&mut byte).expect("a byte from the client");
            server.write_all(&byte).expect("a byte to the client");
            client.read_exact(&mut byte).expect("a byte from the server");
        }
    }
}
