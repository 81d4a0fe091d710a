//! The scenarios that come with the audit: a file per group.

use super::{error::ParseError, parse::parse_file, script::Script};

const GROUPS: [(&str, &str); 7] = [
    ("open", include_str!("library/open.scenarios")),
    ("reset", include_str!("library/reset.scenarios")),
    ("close", include_str!("library/close.scenarios")),
    ("time-wait", include_str!("library/time-wait.scenarios")),
    ("numbers", include_str!("library/numbers.scenarios")),
    ("timers", include_str!("library/timers.scenarios")),
    ("interface", include_str!("library/interface.scenarios")),
];

/// Every scenario that comes with the audit.
///
/// # Errors
///
/// [`ParseError`], which a test excludes.
pub fn library() -> Result<Vec<Script>, ParseError> {
    let mut scripts = Vec::new();
    for (group, source) in GROUPS {
        scripts.extend(parse_file(group, &format!("{group}.scenarios"), source)?);
    }
    Ok(scripts)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::library;

    #[test]
    fn every_scenario_is_readable_and_has_a_name_of_its_own() {
        let scripts = library().unwrap_or_else(|error| panic!("{error}"));
        let ids: BTreeSet<_> = scripts.iter().map(|script| script.id.clone()).collect();
        assert_eq!(ids.len(), scripts.len());
        assert!(scripts.len() >= 80, "{}", scripts.len());
    }
}
