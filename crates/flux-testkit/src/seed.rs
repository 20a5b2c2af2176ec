//! Seeds of random tests: printed, and given again to repeat what was drawn.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// The number in this variable, or another one each time; printed either way.
#[expect(clippy::print_stderr, reason = "a random test prints its seed")]
pub fn seed(variable: &str) -> u64 {
    let given = std::env::var(variable).ok();
    let given = given.map(|text| text.parse().expect("a seed is a number"));
    let seed = given.unwrap_or_else(|| RandomState::new().hash_one(variable) % 1_000_000_000);
    eprintln!("{variable}={seed}");
    seed
}

/// The n-th number that is drawn from a seed (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>).
pub fn drawn(seed: u64, n: u64) -> u64 {
    let steps = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut z = seed.wrapping_add(steps);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
