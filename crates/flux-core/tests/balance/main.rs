//! How evenly engines share the work when each decides for itself, from reports that are late.
//!
//! `FLUX_BALANCE=large` simulates up to 200 engines, which takes a minute; `--no-capture` shows the table.

#![expect(clippy::print_stdout, reason = "the table is for a reader")]
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "numbers of a simulation are small"
)]

mod measure;
mod random;
mod scenario;
mod world;

use flux_core::balance::GRACE;
use measure::Measure;
use scenario::{Arrivals, POLICIES, Policy, Scenario};
use world::{CLAIM_MS, POLL_MS, World};

#[test]
fn engines_share_the_work() {
    let large = std::env::var("FLUX_BALANCE").is_ok_and(|value| value == "large");
    Measure::print_head();
    for scenario in scenario::all(large) {
        let measures = POLICIES.map(|policy| {
            let measure = World::new(&scenario, policy).run();
            measure.print(&scenario, policy);
            measure
        });
        let [alone, ..] = &measures;
        for (policy, measure) in POLICIES.iter().zip(&measures).skip(1) {
            judge(&scenario, *policy, measure, alone);
        }
    }
}

/// Compares what engines do that hear of each other with what they do `alone`.
fn judge(scenario: &Scenario, policy: Policy, measure: &Measure, alone: &Measure) {
    let of = format!(
        "{}, {}: {measure:?}, alone {alone:?}",
        scenario.name, policy.name
    );
    let grace_ms = GRACE.as_millis() as u64;
    assert!(
        measure.idle_ms <= grace_ms + POLL_MS + CLAIM_MS,
        "idle while work is ready: {of}"
    );
    assert!(
        measure.branches * 100 >= alone.branches * 95,
        "less is done: {of}"
    );
    assert!(
        measure.claims <= measure.branches * 3,
        "claims in vain: {of}"
    );
    assert!(
        measure.joining_ms <= 4_000,
        "whoever joins gets too little: {of}"
    );
    if !matches!(scenario.arrivals, Arrivals::Backlog(_)) {
        assert!(
            measure.mean_wait_ms() <= grace_ms as f64 / 4.0,
            "work waits: {of}"
        );
    }
    // What is balanced already cannot be much better.
    if !policy.scores && alone.deviation() > 1.0 {
        assert!(
            measure.deviation() < alone.deviation() * 0.6,
            "uneven counts: {of}"
        );
    }
    if policy.scores && alone.utilisation() > 0.1 {
        assert!(
            measure.utilisation() < alone.utilisation() * 0.6,
            "uneven use: {of}"
        );
    }
}
