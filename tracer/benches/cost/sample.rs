//! One figure, taken once.

use serde_json::json;

/// Tells a figure. `case`: of what (a family, a number of sockets); `arm`: who was running; `round`: which pair it
/// belongs to; `quantity`: its name with the unit.
pub fn tell(case: &(impl ToString + ?Sized), arm: &str, round: u64, quantity: &str, value: f64) {
    let case = case.to_string();
    println!("{}", json!({ "case": case, "arm": arm, "round": round, "quantity": quantity, "value": value }));
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub fn figure(count: u64) -> f64 {
    count as f64
}
