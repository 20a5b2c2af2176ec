//! How much is in a store.

use flux_core::branch::{BranchState, RunState};
use flux_core::ports::members::MemberState;

/// Rows by state; states without rows are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Runs.
    pub runs: Vec<(RunState, u64)>,
    /// Branches.
    pub branches: Vec<(BranchState, u64)>,
    /// Engines.
    pub members: Vec<(MemberState, u64)>,
}
