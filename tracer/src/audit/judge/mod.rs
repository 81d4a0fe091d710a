//! What a scenario's run amounts to: the oracle's word on every observation, the deviations that it needs, the
//! requirements that its steps decided.

mod departure;
mod oracle;
mod profile;
mod requirement;
mod run;
mod trace;
mod wire;

pub use departure::{departures, named};
pub use oracle::{Judgement, Observed, judge};
pub use profile::{orphaned, running};
pub use requirement::requirements;
pub use run::{Judged, name, scenario};
pub use trace::traces;
