//! Runs the checker on a variant and compares what breaks with what should.

use std::time::Instant;

use stateright::{Checker, Model, Path};

use crate::actions::Action;
use crate::properties::{OVERLAP, RULES, TAKEN_OVER};
use crate::state::State;
use crate::variant::Protocol;
use crate::variants::Variant;

/// `full`, or the number of the last tick.
const VARIABLE: &str = "FLUX_MODEL";

/// Checks `variant` and prints a row for the table of `cargo xtask model`.
///
/// # Panics
/// If other rules break than should, with the shortest way to each.
pub fn check(variant: &Variant) {
    let (horizon, threads) = extent(variant);
    let protocol = Protocol {
        removed: variant.removed,
        world: variant.world,
        horizon,
    };
    let began = Instant::now();
    let checker = protocol.checker().threads(threads).spawn_bfs().join();
    let found = checker.discoveries();
    let broken: Vec<&str> = RULES
        .into_iter()
        .filter(|rule| found.contains_key(rule))
        .collect();
    let verdicts = RULES.map(|rule| {
        if broken.contains(&rule) {
            "broken"
        } else {
            "ok"
        }
    });
    // The line break ends what the test runner has begun.
    println!(
        "\nmodel| {} | {horizon} | {} | {:.1} s | {}",
        variant.name,
        checker.unique_state_count(),
        began.elapsed().as_secs_f64(),
        verdicts.join(" | ")
    );
    for rule in broken.iter().filter(|rule| !variant.breaks.contains(rule)) {
        println!("{rule} must hold, but:\n{}", told(&found[rule]));
    }
    assert_eq!(broken, variant.breaks, "{}: broken rules", variant.name);
    if horizon >= variant.ticks.0 && variant.world.freezes > 0 {
        for reached in [TAKEN_OVER, OVERLAP] {
            assert!(found.contains_key(reached), "never reached: {reached}");
        }
    }
}

/// The last tick and how many threads look for it: one in continuous integration, where other tests
/// run at the same time.
fn extent(variant: &Variant) -> (u8, usize) {
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    match std::env::var(VARIABLE) {
        Err(_) => (variant.ticks.0, 1),
        Ok(value) if value == "full" => (variant.ticks.1, all),
        Ok(value) => {
            let ticks = value.parse();
            (ticks.expect("FLUX_MODEL is `full` or a number"), all)
        }
    }
}

/// The steps to a state, one a line, and the state at the end.
fn told(path: &Path<State, Action>) -> String {
    let mut text = String::new();
    for (state, action) in path.clone().into_vec() {
        let line = match action {
            Some(action) => format!("  at {}: {action:?}\n", state.now),
            None => format!("{:#?}\n", (state.database, state.facts)),
        };
        text.push_str(&line);
    }
    text
}
