//! Sees everything that happens in a life, in its true order, and says what must not have.
//!
//! It is told of each call when the store carries it out, and of each action when it begins and
//! ends. From that it keeps its own account of who owns what, which the store's must match. The
//! promises are those of `S1` to `S12`, `L1`, `L3` and `L4` in the study of reliability.

mod actions;
mod branches;
mod end;
mod members;
mod names;

pub use actions::{Ended, Performed};

use crate::world::Instant;
use flux_core::ids::{BranchId, Epoch, Incarnation, RunId, SignalId};
use names::Names;
use std::collections::{BTreeMap, BTreeSet};

/// Tolerance for times that are rounded to nanoseconds on the way.
const ROUNDING: u64 = 1_000;

#[derive(Default)]
pub struct Witness {
    pub violations: Vec<String>,
    pub names: Names,
    /// What it has seen so far, by kind: a life in which nothing happens proves nothing.
    pub counts: BTreeMap<&'static str, u64>,
    now: Instant,
    branches: BTreeMap<BranchId, branches::Account>,
    /// Runs, and whether they have ended.
    runs: BTreeMap<RunId, bool>,
    consumed: BTreeSet<SignalId>,
    firings: BTreeSet<(String, i64)>,
    members: BTreeMap<Incarnation, members::Account>,
    running: BTreeMap<BranchId, actions::Running>,
    /// Which step of which branch a key stands for, and the last epoch it was used in.
    keys: BTreeMap<String, (BranchId, String, u64)>,
    performed: Vec<Performed>,
    /// When a branch was last committed in an epoch.
    commits: BTreeMap<(BranchId, Epoch), Instant>,
    poison_limit: u32,
}

impl Witness {
    /// What follows happens now.
    pub fn at(&mut self, now: Instant) -> &mut Witness {
        self.now = now;
        self
    }

    pub fn count(&mut self, kind: &'static str) {
        *self.counts.entry(kind).or_default() += 1;
    }

    pub fn violated(&mut self, promise: &str, how: impl AsRef<str>) {
        let secs = self.now as f64 / 1e9;
        let text = format!("{promise} at {secs:.6} s: {}", how.as_ref());
        self.violations.push(text);
    }

    fn must(&mut self, holds: bool, promise: &str, otherwise: impl FnOnce(&Names) -> String) {
        if !holds {
            let text = otherwise(&self.names);
            self.violated(promise, text);
        }
    }

    pub fn fired(&mut self, name: &str, due: i64) {
        let first = self.firings.insert((name.to_owned(), due));
        self.must(first, "S9", |_| format!("{name} fired twice for {due}"));
    }
}

impl Witness {
    pub fn new(poison_limit: u32) -> Witness {
        Witness {
            poison_limit,
            ..Witness::default()
        }
    }
}
