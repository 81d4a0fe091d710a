//! Basic authentication with bcrypt hashes.

use std::{
    collections::BTreeMap,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bcrypt::HashParts;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use tokio::sync::Semaphore;

use super::Site;

/// Who may read the pages. Nobody named: everybody.
#[derive(Debug)]
pub(super) struct Users {
    hashes: BTreeMap<String, String>,
    /// Digests of the credentials that were right: bcrypt is slow on purpose, and scrapes come often.
    known: Mutex<BTreeMap<String, [u8; SHA256_OUTPUT_LEN]>>,
    /// Whoever tries passwords gets one core, not all.
    checking: Semaphore,
}

/// What stands for a user's password is no bcrypt hash.
#[derive(Debug, thiserror::Error)]
#[error("the password of {user:?} is not a bcrypt hash ({source}); make one with: htpasswd -nBC 10 {user}")]
pub struct InvalidHash {
    user: String,
    source: bcrypt::BcryptError,
}

impl Default for Users {
    fn default() -> Self {
        Self { hashes: BTreeMap::new(), known: Mutex::default(), checking: Semaphore::new(1) }
    }
}

impl Users {
    pub(super) fn new(hashes: BTreeMap<String, String>) -> Result<Self, InvalidHash> {
        for (user, hash) in &hashes {
            HashParts::from_str(hash).map_err(|source| InvalidHash { user: user.clone(), source })?;
        }
        Ok(Self { hashes, ..Self::default() })
    }

    async fn admit(&self, headers: &HeaderMap) -> bool {
        if self.hashes.is_empty() {
            return true;
        }
        let Some((user, password)) = credentials(headers) else { return false };
        let proof = proof(&password);
        if self.known().get(&user) == Some(&proof) {
            return true;
        }
        // Somebody else's hash takes as long: the time does not tell which users exist.
        let exists = self.hashes.contains_key(&user);
        let Some(hash) = self.hashes.get(&user).or_else(|| self.hashes.values().next()).cloned() else {
            return false;
        };
        let Ok(_turn) = self.checking.acquire().await else { return false };
        let check = move || bcrypt::verify(password, &hash).unwrap_or(false);
        let right = tokio::task::spawn_blocking(check).await.unwrap_or(false) && exists;
        if right {
            self.known().insert(user, proof);
        }
        right
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, [u8; SHA256_OUTPUT_LEN]>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets through whom the site knows.
pub(super) async fn authenticate(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    if site.security.users.admit(request.headers()).await {
        return next.run(request).await;
    }
    let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"tcp-tracer\", charset=\"UTF-8\"")];
    (StatusCode::UNAUTHORIZED, ask, "a user name and a password are needed\n").into_response()
}

/// User and password of `Authorization: Basic`.
fn credentials(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = BASE64_STANDARD.decode(token.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some((String::from_utf8(decoded[..colon].to_vec()).ok()?, decoded[colon + 1..].to_vec()))
}

fn proof(password: &[u8]) -> [u8; SHA256_OUTPUT_LEN] {
    let mut proof = [0; SHA256_OUTPUT_LEN];
    proof.copy_from_slice(digest(&SHA256, password).as_ref());
    proof
}
