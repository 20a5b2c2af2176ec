//! Runs the checker on a variant and compares what breaks with what should.

use std::time::Instant;

use stateright::{Checker, Model, Path};

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
    let (Extent { ticks, faults }, threads) = extent(variant);
    let protocol = Protocol {
        removed: variant.removed,
        world: World {
            faults,
            ..variant.world
        },
        horizon: ticks,
    };
    let freezes = faults > 0 && ticks >= WINDOW && variant.world.freezes > 0;
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
        "\nmodel| {} | {ticks} | {faults} | {} | {:.1} s | {}",
        variant.name,
        checker.unique_state_count(),
        began.elapsed().as_secs_f64(),
        verdicts.join(" | ")
    );
    for rule in broken.iter().filter(|rule| !variant.breaks.contains(rule)) {
        println!("{rule} must hold, but:\n{}", told(&found[rule]));
    }
    assert_eq!(broken, variant.breaks, "{}: broken rules", variant.name);
    // Otherwise the rules would hold because nothing happens.
    let silence = !variant.world.prompt || variant.world.crashes > 0;
    for (fact, expected) in [(TAKEN_OVER, ticks >= WINDOW && silence), (OVERLAP, freezes)] {
        assert!(!expected || found.contains_key(fact), "never seen: {fact}");
    }
}

/// How far and with how many threads: one in continuous integration, where other tests run at the
/// same time.
fn extent(variant: &Variant) -> (Extent, usize) {
    if std::env::var(VARIABLE).is_ok_and(|value| value == "full") {
        let all = std::thread::available_parallelism();
        return (variant.full, all.map_or(1, usize::from));
    }
    (variant.quick, 1)
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
