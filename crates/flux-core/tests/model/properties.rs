//! What must hold in every state, named as in the document that the protocol comes from.

use std::collections::BTreeMap;

use stateright::Property;

use crate::database::Who;
use crate::state::State;
use crate::variant::{Protocol, WINDOW};

/// Each commit came from the owner of that moment; one owner per epoch; epochs never fall.
pub const S1: &str = "S1 one committer";
/// No commit number is stored twice.
pub const S2: &str = "S2 no repeat";
/// No commit number is left out.
pub const S2B: &str = "S2b no gap";
/// A conviction comes after a whole window without an applied heartbeat.
pub const S4: &str = "S4 no early conviction";
/// Unless somebody was frozen between its clock and the act, two actions never overlap.
pub const S5: &str = "S5 no overlap";
/// Whoever is dead claims nothing.
pub const S12: &str = "S12 the dead claim nothing";
/// In a prompt world, a crashed engine is convicted in time.
pub const L1: &str = "L1 convicted in time";
/// In a prompt world, nobody owns the branch without working on it.
pub const L2: &str = "L2 not stranded";
/// Not a rule but a proof that the model gets that far: a branch changes hands.
pub const TAKEN_OVER: &str = "a branch is taken over";
/// Likewise: a freeze at the wrong moment makes two actions overlap.
pub const OVERLAP: &str = "a freeze lets actions overlap";

/// Those that must hold, in the order in which reports show them.
pub const RULES: [&str; 8] = [S1, S2, S2B, S4, S5, S12, L1, L2];

/// From the crash of an engine to its conviction: its last heartbeat may be applied in the tick of
/// the crash and be seen in the next.
const BOUND: u8 = WINDOW + 2;

pub fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always(S1, |_, state: &State| {
            !state.facts.stranger_committed && one_owner_per_epoch(state)
        }),
        Property::always(S2, |_, state: &State| {
            let numbers = numbers(state);
            numbers.windows(2).all(|pair| pair[0] != pair[1])
        }),
        Property::always(S2B, |_, state: &State| {
            let mut numbers = numbers(state);
            numbers.dedup();
            numbers.into_iter().eq(1..=highest(state))
        }),
        Property::always(S4, |_, state: &State| !state.facts.convicted_early),
        Property::always(S5, |_, state: &State| {
            let acting = state.engines.iter().filter(|it| it.acts_in_good_order());
            acting.count() <= 1
        }),
        Property::always(S12, |_, state: &State| !state.facts.dead_claimed),
        Property::always(L1, |_, state: &State| {
            let overdue =
                |(who, at): &(Who, u8)| state.now >= at + BOUND && state.database.alive(*who);
            !state.facts.crashed.iter().any(overdue)
        }),
        Property::always(L2, |_, state: &State| state.facts.stranded < 2),
        Property::sometimes(TAKEN_OVER, |_, state: &State| {
            let owner = state.database.branch.owner;
            state.database.branch.epoch >= 3 && owner.is_some_and(|who| who.engine > 0)
        }),
        Property::sometimes(OVERLAP, |_, state: &State| {
            state.engines.iter().filter(|it| it.acts()).count() > 1
        }),
    ]
}

fn numbers(state: &State) -> Vec<u8> {
    let entries = state.database.history.iter();
    let mut numbers: Vec<u8> = entries.map(|entry| entry.number).collect();
    numbers.sort_unstable();
    numbers
}

fn highest(state: &State) -> u8 {
    let entries = state.database.history.iter();
    entries.map(|entry| entry.number).max().unwrap_or(0)
}

fn one_owner_per_epoch(state: &State) -> bool {
    let history = &state.database.history;
    let rising = history
        .windows(2)
        .all(|pair| pair[0].epoch <= pair[1].epoch);
    let mut owners: BTreeMap<u8, Who> = BTreeMap::new();
    rising
        && history
            .iter()
            .all(|entry| *owners.entry(entry.epoch).or_insert(entry.who) == entry.who)
}
