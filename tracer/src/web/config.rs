//! The file of `--web.config.file`: TLS and passwords, spelled as Prometheus' exporter-toolkit spells them.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    auth::{InvalidHash, Users},
    tls::{ClientAuth, Files, Tls, TlsError},
};

/// Who may read the pages, and over what. The default: everybody, over plain HTTP.
#[derive(Debug, Default)]
pub struct Security {
    pub(super) tls: Option<Tls>,
    pub(super) users: Users,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecurityError {
    /// Not readable.
    #[error("cannot read the web configuration {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Not YAML, a key that is unknown here, or a value of the wrong kind; the message names it and its line.
    #[error("the web configuration {} is wrong: {message}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        message: String,
    },
    /// Nothing but comments: the user surely wanted something.
    #[error(
        "the web configuration {} is empty; give tls_server_config or basic_auth_users, or leave --web.config.file \
         away",
        .0.display()
    )]
    Empty(PathBuf),
    /// A value that asks for what TLS here does not do.
    #[error("the web configuration {}: {source}", .path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: TlsError,
    },
    /// Not a bcrypt hash.
    #[error("the web configuration {}: {source}", .path.display())]
    Hash {
        /// The file.
        path: PathBuf,
        /// Whose.
        source: InvalidHash,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tls_server_config: Option<TlsSection>,
    basic_auth_users: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsSection {
    cert_file: PathBuf,
    key_file: PathBuf,
    #[serde(default)]
    client_auth_type: ClientAuthType,
    client_ca_file: Option<PathBuf>,
    #[serde(default)]
    min_version: MinVersion,
}

/// Go's names, those of the policies that check what they ask for.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
enum ClientAuthType {
    #[default]
    NoClientCert,
    VerifyClientCertIfGiven,
    RequireAndVerifyClientCert,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
enum MinVersion {
    #[default]
    #[serde(rename = "TLS12")]
    Tls12,
    #[serde(rename = "TLS13")]
    Tls13,
}

impl Security {
    /// Reads the file and everything that it names. Names of files are relative to the file's own directory.
    ///
    /// # Errors
    ///
    /// [`SecurityError`] when something in it is wrong; nothing is ignored.
    pub fn load(path: &Path) -> Result<Self, SecurityError> {
        let whole = |path: &Path| path.to_owned();
        let text =
            fs::read_to_string(path).map_err(|source| SecurityError::Read { path: whole(path), source })?;
        // A parser's snippet would put hashes of passwords into the log.
        let options = serde_saphyr::options! { with_snippet: false };
        let file: Option<File> = serde_saphyr::from_str_with_options(&text, options)
            .map_err(|error| SecurityError::Syntax { path: whole(path), message: error.to_string() })?;
        let Some(File { tls_server_config, basic_auth_users }) = file else {
            return Err(SecurityError::Empty(whole(path)));
        };
        if tls_server_config.is_none() && basic_auth_users.is_none() {
            return Err(SecurityError::Empty(whole(path)));
        }
        let directory = path.parent().unwrap_or(Path::new(""));
        let tls = tls_server_config
            .map(|section| section.files(directory).and_then(Tls::new))
            .transpose()
            .map_err(|source| SecurityError::Tls { path: whole(path), source })?;
        let users = Users::new(basic_auth_users.unwrap_or_default())
            .map_err(|source| SecurityError::Hash { path: whole(path), source })?;
        Ok(Self { tls, users })
    }
}

impl TlsSection {
    fn files(self, directory: &Path) -> Result<Files, TlsError> {
        let authority = self.client_ca_file.map(|file| directory.join(file));
        let clients = match (self.client_auth_type, authority) {
            (ClientAuthType::NoClientCert, None) => ClientAuth::None,
            (ClientAuthType::VerifyClientCertIfGiven, Some(authority)) => ClientAuth::IfGiven(authority),
            (ClientAuthType::RequireAndVerifyClientCert, Some(authority)) => ClientAuth::Required(authority),
            (ClientAuthType::NoClientCert, Some(_)) => return Err(TlsError::AuthorityUnused),
            (_, None) => return Err(TlsError::AuthorityMissing),
        };
        Ok(Files {
            certificate: directory.join(self.cert_file),
            key: directory.join(self.key_file),
            clients,
            only_1_3: self.min_version == MinVersion::Tls13,
        })
    }
}
