//! Five real engines on one real PostgreSQL server, a stream of runs, and faults of the whole
//! catalogue, drawn from a seed: at the end all are healed, everything ends, and the history is judged.
//!
//! ```text
//!   plan (the faults of a seed) --> torment --> inflict --> engines, server
//!   work (the definitions)      --> clients                    |
//!                                       \--> verdict <---------/
//! ```
//!
//! `FLUX_CHAOS_SEED` repeats the draws of a run (its moments are those of the machine), and
//! `FLUX_CHAOS_SECONDS` sets for how long faults come:
//! `FLUX_CHAOS_SECONDS=1800 cargo test --workspace --test chaos -- --nocapture`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a random test prints its seed")]

mod clients;
mod dice;
mod engines;
mod inflict;
mod plan;
mod torment;
mod verdict;
mod work;
mod world;

use clients::Clients;
use dice::Dice;
use flux_testkit::postgres::{faketime_installed, installed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use torment::Torment;
use world::World;

#[test]
fn process_chaos_loses_nothing_and_does_nothing_twice() {
    if !installed() {
        eprintln!("SKIPPED: PostgreSQL is not installed (apt-get install postgresql)");
        return;
    }
    let (seed, seconds) = settings();
    eprintln!("FLUX_CHAOS_SEED={seed} FLUX_CHAOS_SECONDS={seconds}");
    let mut dice = Dice::new(seed);
    let calendars = dice.chance(0.3) && faketime_installed();
    let world = World::new(calendars);
    let mut torment = Torment::new(&world);
    let shapes = work::shapes(&mut dice, &world.witness);
    let plan = plan::Plan::new(dice.fork(), calendars);
    let clients = Clients::new(&world, &shapes, torment.engines.way(plan::ENGINES));
    let (faults, runs) = std::thread::scope(|scope| {
        let stream = clients.stream(scope, dice);
        let faults = torment.suffer(plan, Duration::from_secs(seconds));
        (faults, stream.end())
    });
    verdict::judge(&world, &mut torment.engines, &shapes, &runs);
    eprintln!("FLUX_CHAOS_SEED={seed}: {faults} faults");
}

#[expect(clippy::disallowed_methods, reason = "the clock is the seed")]
fn settings() -> (u64, u64) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let clock = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        since.as_nanos() as u64 % 1_000_000_000
    };
    (
        number("FLUX_CHAOS_SEED").unwrap_or_else(clock),
        number("FLUX_CHAOS_SECONDS").unwrap_or(60),
    )
}
