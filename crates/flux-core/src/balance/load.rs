//! What engines tell each other of their load.

use crate::clock::BootTime;
use crate::ids::Incarnation;

/// The load of one engine, as it says itself. Nothing in it is trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Branches that it runs.
    pub running: u32,
    /// Branches that it is willing to run at a time; 0 if it claims none now (it drains, or waits
    /// for its first heartbeat).
    pub concurrency: u32,
    /// What its resource monitor measured last, if it has one that works.
    pub score: Option<Score>,
}

/// A resource score: a number on a scale that only whoever configured the monitor knows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Available resources, more is better. What is below zero counts as zero, and what is not
    /// finite as no score at all.
    pub available: f64,
    /// Branches claimed since it was measured: their cost is not in it yet.
    pub claimed: u32,
}

/// A load, who has it, and when it was heard of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// The reporting engine.
    pub from: Incarnation,
    /// Its load when it sent the report.
    pub load: Load,
    /// When the report was received, by the receiver's clock.
    pub at: BootTime,
}

impl Load {
    /// Branches that it has room for.
    #[must_use]
    pub const fn free(&self) -> u32 {
        self.concurrency.saturating_sub(self.running)
    }

    /// The load after `count` more branches were claimed.
    #[must_use]
    pub(super) fn plus(mut self, count: u32) -> Self {
        self.running = self.running.saturating_add(count);
        if let Some(score) = &mut self.score {
            score.claimed = score.claimed.saturating_add(count);
        }
        self
    }

    /// The score, if it is one.
    pub(super) fn score(&self) -> Option<Score> {
        self.score.filter(|score| score.available.is_finite())
    }
}
