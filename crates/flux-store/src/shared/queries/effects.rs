//! What a write has caused besides its own row, collected while it is applied.

use flux_core::clock::Timestamp;
use flux_core::ids::BranchId;

/// Told to the caller after the commit.
pub(crate) struct Effects {
    /// Time of the write, microseconds.
    pub(crate) now: i64,
    /// Something became ready for some engine.
    pub(crate) woke: bool,
    /// Branches cancelled while some engine owned them.
    pub(crate) cancelled: Vec<BranchId>,
}

impl Effects {
    pub(crate) fn at(now: Timestamp) -> Self {
        Self {
            now: now.as_micros(),
            woke: false,
            cancelled: Vec::new(),
        }
    }
}
