//! What a store tells about its work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much the writer has done, and what the store has asked of its database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transactions.
    pub ticks: u64,
    /// Requests in them.
    pub requests: u64,
    /// Most requests in one transaction.
    pub largest: u64,
    /// Statements, those of readers and of the members port included; what is sent as one text counts as one.
    pub statements: u64,
}

impl Stats {
    /// What was done since `before`; the largest transaction is still that of all time.
    #[must_use]
    pub fn since(self, before: Stats) -> Stats {
        Stats {
            ticks: self.ticks - before.ticks,
            requests: self.requests - before.requests,
            largest: self.largest,
            statements: self.statements - before.statements,
        }
    }
}

/// Counts the statements of all connections of a store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statements(Arc<AtomicU64>);

impl Statements {
    pub(crate) fn one_more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn so_far(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
