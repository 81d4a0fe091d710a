//! What a scrape takes while there are many sockets: ours, and that of node_exporter's tcpstat collector, which walks them.

use std::{
    net::SocketAddr,
    path::Path,
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    procfs::anonymous_memory,
    sample::{figure, tell},
    support::{
        agent::Agent,
        counters,
        http::Client,
        load::{Ending, Family, Load},
        namespace::Namespace,
        process::Process,
    },
};

/// TIME_WAIT sockets that one listener's address gives room for without a long search for a free port.
const LANE: u64 = 40_000;

/// More than are made: the kernel drops TIME_WAIT beyond this.
const BUCKETS: &str = "1000000";

/// node_exporter's, in a namespace of its own.
const ADDRESS: &str = "127.0.0.1:9100";

pub fn measure(scrapes: u64, sockets: &[u64], node_exporter: Option<&Path>) {
    let namespace = Namespace::new();
    namespace.sysctl("net/ipv4/tcp_max_tw_buckets", BUCKETS);
    let mut agent = Agent::start();
    let empty = anonymous_memory(agent.pid());
    let mut peer = node_exporter.and_then(|path| match Peer::start(&namespace, path) {
        Ok(peer) => Some(peer),
        Err(error) => {
            eprintln!("node_exporter cannot be measured: {error}");
            None
        }
    });
    let mut made = 0;
    for &wanted in sockets {
        if wanted > made {
            let more = wanted - made;
            let lanes = more.div_ceil(LANE);
            Load { connections: more, lanes, family: Family::Ipv4, ending: Ending::Client, exchanges: 0 }
                .run(&namespace);
            made = wanted;
        }
        // The agent reads what waits in the ring.
        sleep(Duration::from_secs(2));
        for round in 1..=scrapes {
            let begin = Instant::now();
            agent.get("/metrics", "text/plain");
            tell(&wanted, "agent", round, "scrape_seconds", begin.elapsed().as_secs_f64());
            if let Some(peer) = &mut peer {
                let begin = Instant::now();
                match peer.client.get("/metrics") {
                    Ok(_) => {
                        tell(
                            &wanted,
                            "node_exporter",
                            round,
                            "scrape_seconds",
                            begin.elapsed().as_secs_f64(),
                        );
                    }
                    Err(error) => eprintln!("node_exporter does not answer: {error}"),
                }
            }
        }
        let timewait = counters::of(&namespace).get("sockstat.tw").copied().unwrap_or(0);
        tell(&wanted, "kernel", 1, "time_wait_sockets", figure(u64::try_from(timewait).unwrap_or(0)));
        let grown = anonymous_memory(agent.pid()).saturating_sub(empty);
        tell(&wanted, "agent", 1, "grown_bytes", figure(grown));
    }
}

/// node_exporter with nothing but its tcpstat collector, inside the namespace of the sockets: it sees no other.
struct Peer {
    client: Client,
    _process: Process,
}

impl Peer {
    fn start(namespace: &Namespace, path: &Path) -> std::io::Result<Self> {
        let mut command = namespace.command(&path.to_string_lossy());
        command
            .args(["--collector.disable-defaults", "--collector.tcpstat", "--web.disable-exporter-metrics"])
            .arg(format!("--web.listen-address={ADDRESS}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Process::start(&mut command, Signal::TERM);
        let address: SocketAddr = ADDRESS.parse().map_err(std::io::Error::other)?;
        let begin = Instant::now();
        loop {
            match namespace.enter(|| Client::connect(address)) {
                Ok(client) => return Ok(Self { client, _process: process }),
                Err(error) if begin.elapsed() > Duration::from_secs(5) => return Err(error),
                Err(_) => sleep(Duration::from_millis(50)),
            }
        }
    }
}
