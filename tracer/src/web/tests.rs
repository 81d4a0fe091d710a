//! The pages over real connections on loopback, asked by a client that speaks just enough HTTP.

mod security;

use std::{
    io::{self, Read},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use model::{
    Verdict,
    linux::{Evidence, History, Judgement, LinuxState, Transition, ViolationId},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
use tracer_ebpf::Hook;

use super::{Health, Security, Site, TelemetryPath, inquiries, serve};
use crate::{
    decode::Kernel,
    event::{Event, Family, Flow, SocketId, Task, What},
    kernel::load::{HookStatus, Kind},
    sink::{Metrics, Violations, violations::KEPT},
    step::{Finding, Step, StepKind},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// A server on a free port, and what stands behind it.
struct Agent {
    address: SocketAddr,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    violations: Arc<Violations>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Agent {
    async fn start() -> Self {
        Self::at(TelemetryPath::default()).await
    }

    async fn at(path: TelemetryPath) -> Self {
        Self::secured(path, Security::default()).await
    }

    async fn secured(path: TelemetryPath, security: Security) -> Self {
        let metrics = Arc::new(Metrics::new(&Kernel::default()).expect("distinct names"));
        let (health, violations) = (Arc::new(Health::default()), Arc::new(Violations::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        // There is no pipeline behind it.
        let (inquirer, _) = inquiries();
        let site = Site::new(
            Arc::clone(&metrics),
            Arc::clone(&health),
            Arc::clone(&violations),
            inquirer,
            path,
            security,
        );
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(vec![listener], site, async {
            let _ = stopped.await;
        }));
        Self { address, metrics, health, violations, stop, server }
    }

    async fn get(&self, path: &str, headers: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n{headers}\r\n")).await
    }

    async fn ask(&self, request: &str) -> Answer {
        let stream = TcpStream::connect(self.address).await.expect("the server listens");
        converse(stream, request).await.expect("an answer")
    }
}

async fn converse(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &str) -> io::Result<Answer> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut bytes = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("in time")?;
    Ok(Answer::parse(&bytes))
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an end of the head");
        let head = String::from_utf8(bytes[..end].to_vec()).expect("text").to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let body = bytes[end + 4..].to_vec();
        let body = if head.contains("transfer-encoding: chunked") { joined(&body) } else { body };
        Self { status, head, body }
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

/// The data of a chunked body.
fn joined(mut chunked: &[u8]) -> Vec<u8> {
    let mut data = Vec::new();
    loop {
        let end = chunked.windows(2).position(|two| two == b"\r\n").expect("a size");
        let size = std::str::from_utf8(&chunked[..end]).expect("text");
        let size = usize::from_str_radix(size, 16).expect("a hexadecimal size");
        if size == 0 {
            return data;
        }
        data.extend_from_slice(&chunked[end + 2..end + 2 + size]);
        chunked = &chunked[end + 4 + size..];
    }
}

fn attached() -> [HookStatus; 1] {
    [HookStatus { hook: Hook::State, kind: Kind::TpBtf, copies: 2, problem: None }]
}

#[tokio::test]
async fn the_format_is_the_scrapers_choice() {
    let agent = Agent::start().await;
    let text = agent.get("/metrics", "").await;
    assert_eq!(text.status, 200);
    assert_eq!(text.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(
        text.text()
            .contains("# TYPE tcptracer_syn_retransmits_total counter\ntcptracer_syn_retransmits_total 0\n")
    );
    assert!(!text.text().contains("# EOF"));

    let open = agent
        .get("/metrics", "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n")
        .await;
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    assert!(
        open.text().contains("# TYPE tcptracer_syn_retransmits counter\ntcptracer_syn_retransmits_total 0\n")
    );
    assert!(open.text().ends_with("# EOF\n"));
    assert!(open.header("vary").is_some_and(|vary| vary.contains("accept")));
}

#[tokio::test]
async fn a_scrape_shows_what_was_counted() {
    let agent = Agent::start().await;
    agent.metrics.invalid(None);
    let body = agent.get("/metrics", "").await;
    assert!(body.text().contains("tcptracer_events_invalid_total{hook=\"unknown\"} 1\n"), "{}", body.text());
}

#[tokio::test]
async fn gzip_only_when_asked() {
    let agent = Agent::start().await;
    let plain = agent.get("/metrics", "").await;
    assert_eq!(plain.header("content-encoding"), None);
    let packed = agent.get("/metrics", "Accept-Encoding: gzip\r\n").await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() * 5 < plain.body.len(), "{} of {} bytes", packed.body.len(), plain.body.len());
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&packed.body[..]).read_to_string(&mut unpacked).expect("gzip");
    let ours = |text: &str| text.lines().filter(|line| line.starts_with("tcptracer")).count();
    assert_eq!(ours(&unpacked), ours(plain.text()));
}

#[tokio::test]
async fn health_is_200_or_503_with_a_reason() {
    let agent = Agent::start().await;
    let sick = agent.get("/healthz", "").await;
    assert_eq!((sick.status, sick.text()), (503, "the hook inet_sock_set_state is not attached\n"));
    agent.health.hooks(&attached());
    let idle = agent.get("/healthz", "").await;
    assert_eq!((idle.status, idle.text()), (503, "the pipeline has not started yet\n"));
    agent.health.beat();
    let well = agent.get("/healthz", "").await;
    assert_eq!((well.status, well.text()), (200, "ok\n"));
}

#[tokio::test]
async fn the_landing_page_leads_to_the_others() {
    let agent = Agent::at("/deep/path".parse().expect("a path")).await;
    agent.health.hooks(&attached());
    let page = agent.get("/", "").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    for link in ["href=\"/deep/path\"", "href=\"/healthz\"", "href=\"/violations\""] {
        assert!(page.text().contains(link), "{link}");
    }
    assert_eq!(agent.get("/deep/path", "").await.status, 200);
    assert_eq!(agent.get("/metrics", "").await.status, 404);
}

#[tokio::test]
async fn pages_are_only_read() {
    let agent = Agent::start().await;
    let missing = agent.get("/nothing", "").await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.text(), "there is no such page; there are /, /metrics, /healthz and /violations\n");
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let request = format!(
            "{method} /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        let refused = agent.ask(&request).await;
        assert_eq!(refused.status, 405, "{method}");
        assert_eq!(refused.header("allow"), Some("get,head"), "{method}");
    }
    let head = agent.ask("HEAD /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
}

#[tokio::test]
async fn nonsense_is_refused_and_the_next_one_served() {
    let agent = Agent::start().await;
    let refused = agent.ask("nonsense\r\n\r\n").await;
    assert_eq!(refused.status, 400);
    let endless = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "x".repeat(100_000));
    let mut stream = TcpStream::connect(agent.address).await.expect("the server listens");
    // The server may hang up before it has all of it.
    let _ = stream.write_all(endless.as_bytes()).await;
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("in time");
    assert!(bytes.is_empty() || Answer::parse(&bytes).status == 431, "{:?}", String::from_utf8_lossy(&bytes));
    assert_eq!(agent.get("/metrics", "").await.status, 200);
}

#[tokio::test]
async fn clients_that_say_nothing_do_not_keep_others_out() {
    let agent = Agent::start().await;
    let mut silent = Vec::new();
    // More than there are places.
    for _ in 0..80 {
        silent.push(TcpStream::connect(agent.address).await.expect("the server listens"));
    }
    // Prometheus gives up after 10 s.
    let answer = timeout(Duration::from_secs(9), agent.get("/metrics", "")).await;
    assert_eq!(answer.expect("no long waiting for the silent").status, 200);
}

#[tokio::test]
async fn a_connection_serves_many_scrapes() {
    let agent = Agent::start().await;
    let mut stream = TcpStream::connect(agent.address).await.expect("the server listens");
    for _ in 0..3 {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n").await.expect("still open");
        let mut answer = Vec::new();
        while !answer.ends_with(b"attached\n") {
            let mut more = [0; 512];
            let read = timeout(PATIENCE, stream.read(&mut more)).await.expect("in time").expect("an answer");
            assert_ne!(read, 0, "the server hung up");
            answer.extend_from_slice(&more[..read]);
        }
        assert_eq!(Answer::parse(&answer).status, 503);
    }
}

#[tokio::test]
async fn the_server_stops_when_asked_and_frees_its_port() {
    let agent = Agent::start().await;
    assert_eq!(agent.get("/metrics", "").await.status, 200);
    // An open connection without a request must not hold it up.
    let _idle = TcpStream::connect(agent.address).await.expect("the server listens");
    agent.stop.send(()).expect("it runs");
    timeout(Duration::from_secs(2), agent.server).await.expect("at once").expect("no panic");
    assert!(TcpStream::connect(agent.address).await.is_err(), "nobody listens any more");
}

/// An event of a transition that no kernel takes, at `time`.
fn illegal(time: u64) -> Event {
    let transition = Transition::new(LinuxState::Listen, LinuxState::Established);
    Event {
        time,
        hook: Hook::State,
        copy: 0,
        cpu: 0,
        socket: SocketId { cookie: 11, address: 12, netns: 13 },
        flow: Flow {
            family: Family::Ipv6,
            local: "[::1]:80".parse().expect("an address"),
            remote: "[::1]:40000".parse().expect("an address"),
        },
        task: Some(Task { pid: 21, tid: 22, comm: *b"nginx\0\0\0\0\0\0\0\0\0\0\0" }),
        what: What::Transition { transition, evidence: Evidence::default(), srtt: 0 },
    }
}

fn record(violations: &Violations, event: &Event, verdict: Verdict) {
    let transition = Transition::new(LinuxState::Listen, LinuxState::Established);
    let (evidence, history) = (Evidence::default(), History::default());
    let kind = StepKind::Transition { transition, evidence, history, hole: None, spent: None };
    let judgement = Judgement { verdict, cause: None, noted: None, edges: &[] };
    let step = Step { event, connection: None, kind };
    drop(violations.record(&Finding { step: &step, judgement: Some(judgement) }));
}

#[tokio::test]
async fn violations_are_told_newest_first() {
    const RULE: Verdict = Verdict::Violation(ViolationId::IllegalEdge);
    let agent = Agent::start().await;
    let empty: serde_json::Value =
        serde_json::from_slice(&agent.get("/violations", "").await.body).expect("JSON");
    assert_eq!(empty, serde_json::json!({"total": 0, "violations": []}));

    record(&agent.violations, &illegal(1), Verdict::Inconclusive(model::Inconclusive::Adopted));
    for time in 0..KEPT as u64 + 10 {
        record(&agent.violations, &illegal(time), RULE);
    }
    let answer = agent.get("/violations", "").await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let report: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(report["total"], KEPT + 10, "only violations count");
    let list = report["violations"].as_array().expect("a list");
    assert_eq!(list.len(), KEPT, "the oldest are forgotten");
    let newest = &list[0];
    assert_eq!(newest["time_ns"], KEPT + 9);
    assert_eq!(newest["rule"], "illegal-edge");
    assert_eq!(newest["transition"], "listen>established");
    assert_eq!(newest["family"], "ipv6");
    assert_eq!(newest["local"], "[::1]:80");
    assert_eq!(newest["remote"], "[::1]:40000");
    assert_eq!((&newest["netns"], &newest["cookie"]), (&13.into(), &11.into()));
    assert_eq!(newest["task"], serde_json::json!({"pid": 21, "comm": "nginx"}));
    assert!(
        newest["clause"].is_string() && newest["sentence"].is_string() && newest["fields"]["snd_una"] == 0
    );
}
