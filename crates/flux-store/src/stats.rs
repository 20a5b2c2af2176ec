//! What a store tells about its work.

/// How much the writer has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Transactions.
    pub ticks: u64,
    /// Requests in them.
    pub requests: u64,
    /// Most requests in one transaction.
    pub largest: u64,
}
