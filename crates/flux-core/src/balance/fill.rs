//! Who should take how many: water-filling, by running count or by available resources.
//!
//! Branches are handed out one by one, each to the engine for which its *level* is lowest. By count,
//! the level of a branch is the number of branches that its engine then runs; so counts even out. By
//! resources, it is that number, of branches whose cost is not yet in the score, divided by the score:
//! the first goes to the engine with the most resources, and many are spread in proportion to them
//! (the method of D'Hondt), whatever the scale. Instead of one by one, the level that the last branch
//! reaches is searched for, so that the effort does not depend on how many branches there are.

use super::Load;
use crate::ids::Incarnation;

/// An engine to which branches may be handed out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub who: Incarnation,
    running: u32,
    free: u32,
    /// Branches that the score does not know of yet.
    unseen: u32,
    /// Its score in parts of the best one; 0 also if resources do not matter.
    weight: u64,
}

/// The weight of the best score.
const BEST: u64 = 1 << 16;
/// Levels between one branch and the next on the engine with the best score.
const STEP: u128 = 1 << 32;
/// Higher than the level of any branch, by resources and by count.
const TOP: u128 = 1 << 83;
const TOP_COUNT: u128 = 1 << 33;

/// Engines in the order of their incarnations, of which those with room are to be filled: by
/// resources if all have a score, otherwise by count.
pub(super) fn candidates(engines: impl IntoIterator<Item = (Incarnation, Load)>) -> Vec<Candidate> {
    let mut engines: Vec<_> = engines.into_iter().collect();
    engines.sort_unstable_by_key(|(who, _)| *who);
    let scored = engines.iter().all(|(_, load)| load.score().is_some());
    engines.retain(|(_, load)| load.free() > 0);
    let scores = engines.iter().filter_map(|(_, load)| load.score());
    let best = scores.map(|score| score.available).fold(0.0, f64::max);
    let candidate = |(who, load): (Incarnation, Load)| Candidate {
        who,
        running: load.running,
        free: load.free(),
        // What has ended since has given its resources back.
        unseen: load.score().map_or(0, |s| s.claimed.min(load.running)),
        weight: load
            .score()
            .filter(|_| scored)
            .map_or(0, |s| weight(s.available, best)),
    };
    engines.into_iter().map(candidate).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the cast saturates, and the value is between 0 and 2^16"
)]
fn weight(available: f64, best: f64) -> u64 {
    if best > 0.0 {
        (available / best * BEST as f64) as u64
    } else {
        0
    }
}

/// The engines that should take `ready` branches: who is to be told of them.
#[must_use]
pub fn takers(
    engines: impl IntoIterator<Item = (Incarnation, Load)>,
    ready: u32,
) -> Vec<Incarnation> {
    let candidates = candidates(engines);
    let shares = fill(&candidates, ready);
    let with_share = candidates
        .iter()
        .zip(shares)
        .filter(|(_, share)| *share > 0);
    with_share.map(|(candidate, _)| candidate.who).collect()
}

/// How many of `ready` branches each of the candidates should take. Together they take all, or as
/// many as they have room for.
pub(super) fn fill(candidates: &[Candidate], ready: u32) -> Vec<u32> {
    let mut shares = vec![0; candidates.len()];
    let mut left = ready;
    if candidates.iter().any(|candidate| candidate.weight > 0) {
        left = hand_out(candidates, left, TOP, Candidate::by_resources, &mut shares);
    }
    // Resources do not matter, or who has any is full.
    if left > 0 {
        hand_out(
            candidates,
            left,
            TOP_COUNT,
            Candidate::by_count,
            &mut shares,
        );
    }
    shares
}

/// How many of the candidates come before `who` when the next branch is handed out.
pub(super) fn rank(candidates: &[Candidate], who: Incarnation) -> usize {
    let mut order: Vec<_> = candidates.iter().map(Candidate::next).collect();
    order.sort_unstable();
    let position = order.iter().position(|(.., candidate)| *candidate == who);
    position.unwrap_or(order.len())
}

/// Hands out up to `ready` branches on top of `shares`, and says how many nobody took. `takes` says how
/// many a candidate takes up to a level, which is at most `top`: more the higher it is, one at a time.
fn hand_out(
    candidates: &[Candidate],
    ready: u32,
    top: u128,
    takes: fn(&Candidate, u128) -> u32,
    shares: &mut [u32],
) -> u32 {
    let room: Vec<_> = candidates
        .iter()
        .zip(shares.iter())
        .map(|(candidate, share)| candidate.after(*share))
        .collect();
    let sum = |level| -> u64 { room.iter().map(|c| u64::from(takes(c, level))).sum() };
    let level = last(top, |level| sum(level) <= u64::from(ready));
    let mut left = ready;
    for (candidate, share) in room.iter().zip(shares.iter_mut()) {
        let taken = takes(candidate, level);
        *share += taken;
        left -= taken;
    }
    // What is left is fewer than the next level needs: the first in order have them.
    for (candidate, share) in room.iter().zip(shares.iter_mut()) {
        let one = takes(candidate, level + 1) - takes(candidate, level);
        let one = one.min(left);
        *share += one;
        left -= one;
    }
    left
}

/// The highest level up to `top` that `fits`, when all below it do, and 0 does.
fn last(top: u128, fits: impl Fn(u128) -> bool) -> u128 {
    let (mut low, mut high) = (0, top + 1);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

impl Candidate {
    fn after(mut self, share: u32) -> Self {
        self.running += share;
        self.free -= share;
        self
    }

    fn by_count(&self, level: u128) -> u32 {
        self.up_to(level.saturating_sub(u128::from(self.running)))
    }

    fn by_resources(&self, level: u128) -> u32 {
        let branches = level * u128::from(self.weight) / (STEP * u128::from(BEST));
        self.up_to(branches.saturating_sub(u128::from(self.unseen)))
    }

    fn up_to(&self, branches: u128) -> u32 {
        u32::try_from(branches).map_or(self.free, |branches| branches.min(self.free))
    }

    /// What its next branch is to be compared by: the level by resources, the running count.
    fn next(&self) -> (u128, u32, Incarnation) {
        let unseen = u128::from(self.unseen) + 1;
        let level = (unseen * STEP * u128::from(BEST)).checked_div(u128::from(self.weight));
        (level.unwrap_or(TOP), self.running, self.who)
    }
}
