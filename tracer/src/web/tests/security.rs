//! Passwords and certificates.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        self, ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};

use super::{Agent, Answer, AsyncReadExt, AsyncWriteExt, converse};
use crate::web::{Security, SecurityError, TelemetryPath};

/// A directory of its own for one test, removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tcp-tracer-web-{}-{number}", process::id()));
        fs::create_dir_all(&path).expect("a place for files");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a writable place");
        path
    }

    fn load(&self, text: &str) -> Result<Security, SecurityError> {
        Security::load(&self.write("web.yml", text))
    }

    fn refused(&self, text: &str) -> String {
        self.load(text).expect_err("a file that cannot be used").to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An authority of our own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for this name and its key, as PEM.
    fn sign(&self, name: &str) -> (String, String) {
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a signature");
        (certificate.pem(), key.serialize_pem())
    }

    /// The files of a server.
    fn equip(&self, folder: &Folder) {
        let (certificate, key) = self.sign("localhost");
        folder.write("server.crt", &certificate);
        folder.write("server.key", &key);
    }

    /// Asks over TLS, trusting this authority, with a certificate of our own or without.
    async fn ask(
        &self,
        agent: &Agent,
        own: Option<&(String, String)>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> io::Result<Answer> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.pem().as_bytes()).expect("PEM"))
            .expect("a certificate");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions that fit")
            .with_root_certificates(roots);
        let config = match own {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM");
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
                config.with_client_auth_cert(vec![certificate], key).expect("a key that fits")
            }
        };
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TcpStream::connect(agent.address).await?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        converse(stream, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await
    }
}

const TLS: &str = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";

async fn agent(security: Security) -> Agent {
    Agent::secured(TelemetryPath::default(), security).await
}

fn basic(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

#[tokio::test]
async fn with_users_every_page_needs_a_password() {
    let folder = Folder::new();
    // The cheapest cost: the test is not about patience.
    let hash = bcrypt::hash("wonderland", 4).expect("a hash");
    let agent =
        agent(folder.load(&format!("basic_auth_users:\n  alice: {hash}\n")).expect("a good file")).await;
    for page in ["/", "/metrics", "/healthz", "/violations", "/nothing"] {
        let answer = agent.get(page, "").await;
        assert_eq!(answer.status, 401, "{page}");
        assert!(
            answer.header("www-authenticate").is_some_and(|ask| ask.starts_with("basic realm=")),
            "{page}"
        );
    }
    for (user, password) in
        [("alice", "looking-glass"), ("bob", "wonderland"), ("alice", ""), ("", "wonderland")]
    {
        assert_eq!(agent.get("/metrics", &basic(user, password)).await.status, 401, "{user}:{password}");
    }
    for header in
        ["Authorization: Basic %%%\r\n", "Authorization: Bearer abc\r\n", "Authorization: Basic\r\n"]
    {
        assert_eq!(agent.get("/metrics", header).await.status, 401, "{header}");
    }
    for _ in 0..2 {
        assert_eq!(agent.get("/metrics", &basic("alice", "wonderland")).await.status, 200);
    }
    assert_eq!(agent.get("/metrics", &basic("alice", "wonderland2")).await.status, 401, "still checked");
}

#[tokio::test]
async fn a_password_is_hashed_once_and_remembered() {
    let folder = Folder::new();
    let hash = bcrypt::hash("wonderland", 10).expect("a hash");
    let agent =
        agent(folder.load(&format!("basic_auth_users:\n  alice: {hash}\n")).expect("a good file")).await;
    let mut took = Vec::new();
    for _ in 0..2 {
        let asked = Instant::now();
        assert_eq!(agent.get("/healthz", &basic("alice", "wonderland")).await.status, 503);
        took.push(asked.elapsed());
    }
    assert!(took[1] * 4 < took[0], "{took:?}");
}

#[tokio::test]
async fn over_tls_with_the_servers_certificate() {
    let (folder, authority) = (Folder::new(), Authority::new());
    authority.equip(&folder);
    let agent = agent(folder.load(TLS).expect("a good file")).await;
    let answer = authority.ask(&agent, None, rustls::ALL_VERSIONS).await.expect("a handshake");
    assert_eq!(answer.status, 200);
    let stranger = Authority::new().ask(&agent, None, rustls::ALL_VERSIONS).await;
    assert!(stranger.is_err(), "an authority that did not sign it");
    let mut plain = TcpStream::connect(agent.address).await.expect("the server listens");
    plain.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n").await.expect("the server reads");
    let mut bytes = Vec::new();
    // Hung up on, politely or not.
    let _ = plain.read_to_end(&mut bytes).await;
    assert!(!bytes.starts_with(b"HTTP/1.1 200"), "nothing in clear text");
}

#[tokio::test]
async fn tls_1_3_only_where_wanted() {
    let (folder, authority) = (Folder::new(), Authority::new());
    authority.equip(&folder);
    let old = &[&rustls::version::TLS12][..];
    let strict = agent(folder.load(&format!("{TLS}  min_version: TLS13\n")).expect("a good file")).await;
    assert!(authority.ask(&strict, None, old).await.is_err());
    assert_eq!(authority.ask(&strict, None, rustls::ALL_VERSIONS).await.expect("a handshake").status, 200);
    let lenient = agent(folder.load(TLS).expect("a good file")).await;
    assert_eq!(authority.ask(&lenient, None, old).await.expect("a handshake").status, 200);
}

#[tokio::test]
async fn clients_show_certificates_where_wanted() {
    let (folder, authority) = (Folder::new(), Authority::new());
    authority.equip(&folder);
    folder.write("ca.crt", &authority.pem());
    let with = |kind| format!("{TLS}  client_auth_type: {kind}\n  client_ca_file: ca.crt\n");
    let (known, unknown) = (authority.sign("scraper"), Authority::new().sign("scraper"));

    let strict = agent(folder.load(&with("RequireAndVerifyClientCert")).expect("a good file")).await;
    let asked =
        async |agent, own| authority.ask(agent, own, rustls::ALL_VERSIONS).await.map(|answer| answer.status);
    assert_eq!(asked(&strict, Some(&known)).await.expect("a handshake"), 200);
    assert!(asked(&strict, Some(&unknown)).await.is_err());
    assert!(asked(&strict, None).await.is_err());

    let lenient = agent(folder.load(&with("VerifyClientCertIfGiven")).expect("a good file")).await;
    assert_eq!(asked(&lenient, Some(&known)).await.expect("a handshake"), 200);
    assert!(asked(&lenient, Some(&unknown)).await.is_err());
    assert_eq!(asked(&lenient, None).await.expect("a handshake"), 200);
}

/// Makes a file look changed, however coarse the file system's clock.
fn touch(path: &Path, seconds: u64) {
    let file = fs::File::options().write(true).open(path).expect("the file");
    file.set_modified(SystemTime::now() + Duration::from_secs(seconds)).expect("a time");
}

#[tokio::test]
async fn a_renewed_certificate_is_served_without_a_restart() {
    let (folder, first, second) = (Folder::new(), Authority::new(), Authority::new());
    first.equip(&folder);
    let agent = agent(folder.load(TLS).expect("a good file")).await;
    assert!(first.ask(&agent, None, rustls::ALL_VERSIONS).await.is_ok());

    touch(&folder.write("server.crt", "half a certificate"), 10);
    assert!(
        first.ask(&agent, None, rustls::ALL_VERSIONS).await.is_ok(),
        "the old one stays until the new one is good"
    );

    second.equip(&folder);
    touch(&folder.0.join("server.crt"), 20);
    assert!(second.ask(&agent, None, rustls::ALL_VERSIONS).await.is_ok());
    assert!(first.ask(&agent, None, rustls::ALL_VERSIONS).await.is_err());
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let folder = Folder::new();
    let authority = Authority::new();
    authority.equip(&folder);
    for (text, said) in [
        ("tls_server_confg:\n  cert_file: a\n", "tls_server_confg"),
        (&format!("{TLS}  cipher_suites: [a]\n"), "cipher_suites"),
        ("http_server_config:\n  http2: true\n", "http_server_config"),
        ("tls_server_config:\n  cert_file: server.crt\n", "key_file"),
        (&format!("{TLS}  min_version: TLS10\n"), "TLS10"),
        (&format!("{TLS}  client_auth_type: RequestClientCert\n"), "RequestClientCert"),
        (
            &format!("{TLS}  client_auth_type: RequireAndVerifyClientCert\n"),
            "client_ca_file does not say whose",
        ),
        (&format!("{TLS}  client_ca_file: server.crt\n"), "lets everybody in"),
        ("tls_server_config:\n  cert_file: missing.crt\n  key_file: server.key\n", "missing.crt"),
        (
            "tls_server_config:\n  cert_file: server.key\n  key_file: server.key\n",
            "cannot read certificates from",
        ),
        (
            "tls_server_config:\n  cert_file: server.crt\n  key_file: server.crt\n",
            "cannot read a private key from",
        ),
        ("basic_auth_users:\n  alice: wonderland\n", "password of \"alice\" is not a bcrypt hash"),
        ("basic_auth_users: [alice]\n", "web.yml"),
        ("a: [", "web.yml"),
        ("# nothing\n", "is empty"),
        ("", "is empty"),
    ] {
        let message = folder.refused(text);
        assert!(message.contains(said), "{text:?}: {message}");
        assert!(!message.contains("wonderland"), "a secret in a message: {message}");
    }
    let missing = Security::load(&folder.0.join("none.yml")).expect_err("no file").to_string();
    assert!(
        missing.contains("cannot read the web configuration") && missing.contains("none.yml"),
        "{missing}"
    );
}

#[test]
fn keys_of_another_certificate_do_not_fit() {
    let folder = Folder::new();
    Authority::new().equip(&folder);
    let (_, key) = Authority::new().sign("localhost");
    folder.write("server.key", &key);
    let message = folder.refused(TLS);
    assert!(message.contains("the certificate cannot be used"), "{message}");
}
