//! What the agent answers over HTTP: `/metrics`, `/`, `/healthz` and `/violations`.

mod auth;
mod config;
mod health;
mod inquiry;
mod landing;
mod negotiate;
mod path;
mod server;
#[cfg(test)]
mod tests;
mod tls;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    middleware,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use prometheus::TextEncoder;
use tokio::sync::Mutex;
use tower_http::compression::CompressionLayer;

use crate::sink::{Metrics, Violations, openmetrics};

pub use auth::InvalidHash;
pub use config::{Security, SecurityError};
pub use health::{Health, SILENCE, Sick};
pub use inquiry::{Inquirer, Inquiries, inquiries};
pub use path::{InvalidPath, TelemetryPath};
pub use server::serve;
pub use tls::TlsError;

use negotiate::Format;

/// The content type of Prometheus' text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

const PLAIN: &str = "text/plain; charset=utf-8";

/// What the pages show; everything in it is shared with the pipeline.
#[derive(Debug)]
pub struct Site {
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    violations: Arc<Violations>,
    inquirer: Inquirer,
    path: TelemetryPath,
    security: Security,
    /// One scrape at a time, so that many scrapers never take more than one core from the pipeline.
    rendering: Mutex<()>,
}

impl Site {
    /// A site with its metrics at `path`, for those whom `security` admits.
    #[must_use]
    pub fn new(
        metrics: Arc<Metrics>,
        health: Arc<Health>,
        violations: Arc<Violations>,
        inquirer: Inquirer,
        path: TelemetryPath,
        security: Security,
    ) -> Arc<Self> {
        Arc::new(Self { metrics, health, violations, inquirer, path, security, rendering: Mutex::new(()) })
    }

    /// `https` or `http`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.security.tls.is_some() { "https" } else { "http" }
    }
}

fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(landing_page))
        .route(site.path.as_str(), get(metrics))
        .route("/healthz", get(healthz))
        .route("/violations", get(violations))
        .fallback(not_found)
        .method_not_allowed_fallback(not_allowed)
        .layer(CompressionLayer::new().gzip(true))
        .layer(middleware::from_fn_with_state(Arc::clone(&site), auth::authenticate))
        .with_state(site)
}

async fn metrics(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    let format = Format::of(headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()));
    let _one_at_a_time = site.rendering.lock().await;
    site.inquirer.ask().await;
    let families = site.metrics.registry().gather();
    let (kind, body) = match format {
        Format::OpenMetrics => (openmetrics::CONTENT_TYPE, openmetrics::encode(&families)),
        Format::Text => match TextEncoder::new().encode_to_string(&families) {
            Ok(body) => (TEXT, body),
            Err(error) => {
                let sentence = format!("the metrics cannot be written as text: {error}\n");
                return (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, PLAIN)], sentence)
                    .into_response();
            }
        },
    };
    ([(header::CONTENT_TYPE, kind), (header::VARY, "accept")], body).into_response()
}

async fn healthz(State(site): State<Arc<Site>>) -> Response {
    let (status, sentence) = match site.health.check() {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(sick) => (StatusCode::SERVICE_UNAVAILABLE, format!("{sick}\n")),
    };
    (status, [(header::CONTENT_TYPE, PLAIN), (header::CACHE_CONTROL, "no-store")], sentence).into_response()
}

async fn violations(State(site): State<Arc<Site>>) -> Response {
    Json(site.violations.report()).into_response()
}

async fn landing_page(State(site): State<Arc<Site>>) -> Html<String> {
    Html(landing::page(&site.path, &site.health))
}

async fn not_found(State(site): State<Arc<Site>>) -> (StatusCode, String) {
    let sentence = format!("there is no such page; there are /, {}, /healthz and /violations\n", site.path);
    (StatusCode::NOT_FOUND, sentence)
}

async fn not_allowed() -> (StatusCode, &'static str) {
    (StatusCode::METHOD_NOT_ALLOWED, "pages can only be read: use GET or HEAD\n")
}
