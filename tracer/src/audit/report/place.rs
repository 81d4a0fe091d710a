//! Places, as findings and deviations name them: `open/client/ipv4:7`, `matrix ...`, `random ...`.

use super::model::Family;

/// A place in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InScenario<'a> {
    /// The scenario's id.
    pub(super) scenario: &'a str,
    /// In which family.
    pub(super) family: Family,
    /// The line of its text; none for the run as a whole.
    pub(super) line: Option<u32>,
}

/// Reads `scenario-id/family:line`; none for a place elsewhere.
pub(super) fn in_scenario(place: &str) -> Option<InScenario<'_>> {
    let (run, line) = match place.rsplit_once(':') {
        Some((run, line)) => (run, Some(line.parse().ok()?)),
        None => (place, None),
    };
    let (scenario, family) = run.rsplit_once('/')?;
    let family = [Family::Ipv4, Family::Ipv6].into_iter().find(|known| known.name() == family)?;
    // Those of the matrix and of random conversations name a family as well.
    (!scenario.contains(' ')).then_some(InScenario { scenario, family, line })
}

#[cfg(test)]
mod tests {
    use super::{InScenario, in_scenario};
    use crate::audit::report::model::Family;

    #[test]
    fn places_in_scenarios_are_told_from_others() {
        let family = Family::Ipv6;
        let place = |line| Some(InScenario { scenario: "open/client", family, line });
        assert_eq!(in_scenario("open/client/ipv6:7"), place(Some(7)));
        assert_eq!(in_scenario("open/client/ipv6"), place(None));
        assert_eq!(in_scenario("matrix"), None);
        assert_eq!(in_scenario("matrix LISTEN SYN nxt una 0/ipv4"), None);
        assert_eq!(in_scenario("random 7/ipv4"), None);
    }
}
