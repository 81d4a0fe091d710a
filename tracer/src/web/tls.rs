//! TLS: certificates from files, read again when the files change.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{
            CertificateDer, PrivateKeyDer,
            pem::{self, PemObject},
        },
        server::{VerifierBuilderError, WebPkiClientVerifier},
    },
};

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that is no PEM, or holds nothing of the kind.
    #[error("cannot read {what} from {}: {source}", .path.display())]
    Pem {
        /// What was looked for.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What is wrong.
        source: pem::Error,
    },
    /// A certificate authority that nobody is asked to prove.
    #[error(
        "client_ca_file is given, but client_auth_type lets everybody in; set it to RequireAndVerifyClientCert"
    )]
    AuthorityUnused,
    /// Clients cannot be verified against nothing.
    #[error("client_auth_type asks for certificates, but client_ca_file does not say whose; give it")]
    AuthorityMissing,
    /// The certificate authority cannot be used.
    #[error("the clients' certificates cannot be verified with client_ca_file: {0}")]
    Authority(#[from] VerifierBuilderError),
    /// A certificate that is none, or that does not fit its key.
    #[error("the certificate cannot be used: {0}")]
    Certificate(#[from] rustls::Error),
}

/// What to serve TLS with.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) clients: ClientAuth,
    /// No TLS 1.2.
    pub(super) only_1_3: bool,
}

/// Whether clients show certificates, and who must have signed them.
#[derive(Clone, Debug)]
pub(super) enum ClientAuth {
    None,
    IfGiven(PathBuf),
    Required(PathBuf),
}

/// TLS with the files' contents of now.
#[derive(Debug)]
pub(super) struct Tls {
    files: Files,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    /// When the files were changed last.
    stamps: Vec<Option<SystemTime>>,
    config: Arc<ServerConfig>,
}

impl Tls {
    pub(super) fn new(files: Files) -> Result<Self, TlsError> {
        let stamps = files.stamps();
        let config = files.config()?;
        Ok(Self { files, current: Mutex::new(Current { stamps, config }) })
    }

    /// For the next connection. New files that cannot be used leave the old ones in force, so that a certificate that
    /// is being exchanged does not cut off the monitoring.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let stamps = self.files.stamps();
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.stamps != stamps {
            match self.files.config() {
                Ok(config) => current.config = config,
                Err(error) => log::warn!("the changed TLS files are not used: {error}"),
            }
            // Also after an error: one warning for each change.
            current.stamps = stamps;
        }
        TlsAcceptor::from(Arc::clone(&current.config))
    }
}

impl Files {
    fn stamps(&self) -> Vec<Option<SystemTime>> {
        let authority = match &self.clients {
            ClientAuth::None => None,
            ClientAuth::IfGiven(path) | ClientAuth::Required(path) => Some(path),
        };
        let changed = |path: &PathBuf| -> io::Result<SystemTime> { fs::metadata(path)?.modified() };
        [&self.certificate, &self.key].into_iter().chain(authority).map(|path| changed(path).ok()).collect()
    }

    fn config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let versions: &[_] = if self.only_1_3 { &[&rustls::version::TLS13] } else { rustls::ALL_VERSIONS };
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions)?;
        let verifier = |path| -> Result<_, TlsError> {
            let mut roots = RootCertStore::empty();
            for authority in certificates(path)? {
                roots.add(authority)?;
            }
            Ok(WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider))
        };
        let builder = match &self.clients {
            ClientAuth::None => builder.with_no_client_auth(),
            ClientAuth::IfGiven(path) => {
                builder.with_client_cert_verifier(verifier(path)?.allow_unauthenticated().build()?)
            }
            ClientAuth::Required(path) => builder.with_client_cert_verifier(verifier(path)?.build()?),
        };
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|source| TlsError::Pem {
            what: "a private key",
            path: self.key.clone(),
            source,
        })?;
        let mut config = builder.with_single_cert(certificates(&self.certificate)?, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |source| TlsError::Pem { what: "certificates", path: path.to_owned(), source };
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(wrong)?.collect::<Result<_, _>>().map_err(wrong)?;
    if certificates.is_empty() { Err(wrong(pem::Error::NoItemsFound)) } else { Ok(certificates) }
}
