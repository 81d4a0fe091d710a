//! What a scenario's run amounts to: the oracle's word on every observation, the deviations that it needs, the
//! requirements that its steps decided.

mod departure;
mod ladder;
mod oracle;
mod peer;
mod profile;
mod reading;
mod requirement;
mod run;
mod trace;
mod wire;
mod word;

pub use departure::allowed;
pub use oracle::{Judgement, Observed, judge};
pub use profile::running;
pub use requirement::requirements;
pub use run::{Judged, scenario};
pub use trace::traces;
pub use word::{Word, word};
