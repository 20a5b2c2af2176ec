//! How evenly engines share the work when each decides for itself, from reports that are late.
//!
//! `FLUX_BALANCE=large` simulates up to 200 engines; `--no-capture` shows the table.

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

use measure::Measure;
use scenario::{POLICIES, Policy, Scenario};
use world::World;

fn table(policies: &[Policy]) -> Vec<(Scenario, Vec<Measure>)> {
    let large = std::env::var("FLUX_BALANCE").is_ok_and(|value| value == "large");
    Measure::print_head();
    let row = |scenario: Scenario| {
        let measure = |policy: &Policy| {
            let measure = World::new(&scenario, *policy).run();
            measure.print(&scenario, *policy);
            measure
        };
        let measures = policies.iter().map(measure).collect();
        (scenario, measures)
    };
    scenario::all(large).into_iter().map(row).collect()
}

#[test]
fn engines_share_the_work() {
    for (_scenario, _measures) in table(&POLICIES) {}
}
