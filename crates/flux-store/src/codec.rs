//! Between the types of the rules and the columns of the tables. What cannot be read is
//! [`Error::Corrupt`], which names table, row and column.

use flux_core::branch::{BranchState, RunState};
use flux_core::chart::Fault;
use flux_core::clock::Timestamp;
use flux_core::ports::Error;
use flux_core::ports::members::MemberState;
use flux_core::ports::runs::Outcome;
use serde_json as json;
use uuid::Uuid;

/// A place in the database, for messages.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) table: &'static str,
    pub(crate) row: &'a dyn std::fmt::Display,
}

impl At<'_> {
    pub(crate) fn corrupt(&self, column: &str, what: impl std::fmt::Display) -> Error {
        Error::Corrupt(format!(
            "table {}, row {}, column {column}: {what}",
            self.table, self.row
        ))
    }

    pub(crate) fn id(&self, column: &str, id: &impl AsRef<[u8]>) -> Result<Uuid, Error> {
        Uuid::from_slice(id.as_ref()).map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn maybe_id(
        &self,
        column: &str,
        id: Option<&impl AsRef<[u8]>>,
    ) -> Result<Option<Uuid>, Error> {
        id.map(|id| self.id(column, id)).transpose()
    }

    pub(crate) fn count(&self, column: &str, number: i64) -> Result<u64, Error> {
        u64::try_from(number).map_err(|_| self.corrupt(column, format!("{number} is negative")))
    }

    pub(crate) fn small(&self, column: &str, number: i64) -> Result<u32, Error> {
        u32::try_from(number).map_err(|_| self.corrupt(column, format!("{number} is out of range")))
    }

    pub(crate) fn branch_state(&self, number: i32) -> Result<BranchState, Error> {
        BRANCH_STATES
            .into_iter()
            .find(|state| branch_state(*state) == number)
            .ok_or_else(|| self.corrupt("state", format!("{number} is no state of a branch")))
    }

    pub(crate) fn run_state(&self, number: i32) -> Result<RunState, Error> {
        RunState::ALL
            .into_iter()
            .find(|state| run_state(*state) == number)
            .ok_or_else(|| self.corrupt("state", format!("{number} is no state of a run")))
    }

    pub(crate) fn member_state(&self, number: i32) -> Result<MemberState, Error> {
        match number {
            0 => Ok(MemberState::Alive),
            1 => Ok(MemberState::Draining),
            2 => Ok(MemberState::Dead),
            _ => Err(self.corrupt("state", format!("{number} is no state of a member"))),
        }
    }

    pub(crate) fn outcome(&self, text: &str) -> Result<Outcome, Error> {
        json::from_str(text).map_err(|error| self.corrupt("outcome", error))
    }

    pub(crate) fn fault(&self, text: &str) -> Result<Fault, Error> {
        json::from_str(text).map_err(|error| self.corrupt("fault", error))
    }
}

const BRANCH_STATES: [BranchState; 6] = [
    BranchState::Ready,
    BranchState::Running,
    BranchState::Waiting,
    BranchState::Paused,
    BranchState::Failed,
    BranchState::Finished,
];

/// The number that stands for the state in the tables `branch` and `ended_branch`.
pub(crate) fn branch_state(state: BranchState) -> i32 {
    match state {
        BranchState::Ready => 0,
        BranchState::Running => 1,
        BranchState::Waiting => 2,
        BranchState::Paused => 3,
        BranchState::Failed => 4,
        BranchState::Finished => 5,
    }
}

/// The number that stands for the state in queries; the table `run` says 0 for all that are open.
pub(crate) fn run_state(state: RunState) -> i32 {
    match state {
        RunState::Pending => 0,
        RunState::Running => 1,
        RunState::Waiting => 2,
        RunState::Suspended => 3,
        RunState::Cancelled => 4,
        RunState::Faulted => 5,
        RunState::Completed => 6,
    }
}

/// The final state of a run that ended like this.
pub(crate) fn final_state(outcome: &Outcome) -> RunState {
    match outcome {
        Outcome::Completed { .. } => RunState::Completed,
        Outcome::Faulted { .. } => RunState::Faulted,
        Outcome::Cancelled => RunState::Cancelled,
    }
}

/// JSON of something that always has one.
pub(crate) fn to_json(value: &impl serde::Serialize) -> Result<String, Error> {
    json::to_string(value).map_err(|error| Error::Internal(error.to_string()))
}

pub(crate) fn time(at: i64) -> Timestamp {
    Timestamp::from_micros(at)
}

/// A counter as the database keeps it; one that large is never reached.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The pool as the tables keep it: `''` is the common one.
pub(crate) fn pool(name: Option<&str>) -> &str {
    name.unwrap_or_default()
}

pub(crate) fn pool_name(stored: String) -> Option<String> {
    Some(stored).filter(|name| !name.is_empty())
}
