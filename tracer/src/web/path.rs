//! Where the metrics are served (`--web.telemetry-path`).

use std::{fmt, str::FromStr};

/// The path of the metrics: begins with `/` and collides with no other page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryPath(String);

/// Why a path cannot hold the metrics.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// Not a path from the root.
    #[error("the path {0:?} does not begin with /; try /metrics")]
    Relative(String),
    /// A character that would need escaping.
    #[error("the path {path:?} holds {character:?}; use letters, digits, and -._~ between slashes")]
    Character {
        /// The path.
        path: String,
        /// The first such character.
        character: char,
    },
    /// Two pages in one place.
    #[error("the path {0:?} belongs to another page (/, /healthz, /violations); try /metrics")]
    Taken(String),
}

impl TelemetryPath {
    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TelemetryPath {
    fn default() -> Self {
        Self("/metrics".to_owned())
    }
}

impl fmt::Display for TelemetryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for TelemetryPath {
    type Err = InvalidPath;

    fn from_str(path: &str) -> Result<Self, InvalidPath> {
        if !path.starts_with('/') {
            return Err(InvalidPath::Relative(path.to_owned()));
        }
        let plain = |character: char| character.is_ascii_alphanumeric() || "-._~/".contains(character);
        if let Some(character) = path.chars().find(|character| !plain(*character)) {
            return Err(InvalidPath::Character { path: path.to_owned(), character });
        }
        if ["/", "/healthz", "/violations"].contains(&path) {
            return Err(InvalidPath::Taken(path.to_owned()));
        }
        Ok(Self(path.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidPath, TelemetryPath};

    #[test]
    fn paths_that_can_hold_the_metrics() {
        for path in ["/metrics", "/a/b-c_d.e~f", "/metrics/", "/healthz2"] {
            assert_eq!(path.parse::<TelemetryPath>().map(|path| path.to_string()), Ok(path.to_owned()));
        }
        assert_eq!(TelemetryPath::default().as_str(), "/metrics");
    }

    #[test]
    fn paths_that_cannot() {
        let refused = |path: &str| path.parse::<TelemetryPath>().expect_err("a bad path");
        assert_eq!(refused(""), InvalidPath::Relative(String::new()));
        assert_eq!(refused("metrics"), InvalidPath::Relative("metrics".into()));
        assert_eq!(refused("/{name}"), InvalidPath::Character { path: "/{name}".into(), character: '{' });
        assert_eq!(
            refused("/a b").to_string(),
            "the path \"/a b\" holds ' '; use letters, digits, and -._~ between slashes"
        );
        for page in ["/", "/healthz", "/violations"] {
            assert_eq!(refused(page), InvalidPath::Taken(page.into()));
        }
    }
}
