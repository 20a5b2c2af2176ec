//! Runs the checker on a variant and compares what breaks with what should.

use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model, Path};

use crate::actions::Action;
use crate::properties::{OVERLAP, RULES, TAKEN_OVER};
use crate::state::State;
use crate::variant::{Protocol, WINDOW, World};
use crate::variants::{Extent, Variant};

/// Set to `full`, it lets the checker go further.
const VARIABLE: &str = "FLUX_MODEL";

/// Checks `variant` and prints a row for the table of `cargo xtask model`.
///
/// # Panics
/// If other rules break than should, with the shortest way to each.
pub fn check(variant: &Variant) {
    let full = std::env::var(VARIABLE).is_ok_and(|value| value == "full");
    let extent = if full { variant.full } else { variant.quick };
    let began = Instant::now();
    let checker = checker(variant, extent, full);
    let found = checker.discoveries();
    let broken: Vec<&str> = RULES
        .into_iter()
        .filter(|rule| found.contains_key(rule))
        .collect();
    let verdict = |rule| {
        if broken.contains(&rule) {
            "broken"
        } else {
            "ok"
        }
    };
    let Extent { ticks, faults } = extent;
    // The line break ends what the test runner has begun.
    println!(
        "\nmodel| {} | {ticks} | {faults} | {} | {:.1} s | {}",
        variant.name,
        checker.unique_state_count(),
        began.elapsed().as_secs_f64(),
        RULES.map(verdict).join(" | ")
    );
    let expected = expected(variant, full);
    for rule in broken.iter().filter(|rule| !expected.contains(rule)) {
        println!("{rule} must hold, but:\n{}", told(&found[rule]));
    }
    assert_eq!(broken, expected, "{}: broken rules", variant.name);
    if variant.breaks.is_empty() {
        // Otherwise the rules would hold because nothing happens.
        let World {
            freezes,
            crashes,
            prompt,
            ..
        } = variant.world;
        let silent = ticks >= WINDOW && (crashes.min(faults) > 0 || !prompt);
        let facts = [
            (TAKEN_OVER, silent),
            (OVERLAP, silent && freezes.min(faults) > 0),
        ];
        for (fact, expected) in facts {
            assert!(!expected || found.contains_key(fact), "never seen: {fact}");
        }
    }
}

fn expected(variant: &Variant, full: bool) -> Vec<&'static str> {
    let breaks =
        |rule: &&str| variant.breaks.contains(rule) || full && variant.later.contains(rule);
    RULES.into_iter().filter(breaks).collect()
}

/// In full, all cores look at everything up to the last tick. In continuous integration, where other
/// tests run at the same time, one core looks until it has seen everything break that should.
fn checker(variant: &Variant, extent: Extent, full: bool) -> impl Checker<Protocol> {
    let protocol = Protocol {
        removed: variant.removed,
        world: World {
            faults: extent.faults,
            ..variant.world
        },
        horizon: extent.ticks,
    };
    let builder = protocol.checker();
    let builder = if full {
        builder.threads(std::thread::available_parallelism().map_or(1, usize::from))
    } else if variant.breaks.is_empty() {
        builder
    } else {
        let breaks = variant.breaks.iter().copied().collect();
        builder.finish_when(HasDiscoveries::AllOf(breaks))
    };
    builder.spawn_bfs().join()
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
