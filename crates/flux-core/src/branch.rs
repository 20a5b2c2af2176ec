//! The states of a branch and of a run.
//!
//! | from \ event | claim | commit | park | wake | release | lose owner | poison | end | recover |
//! |---|---|---|---|---|---|---|---|---|---|
//! | ready    | running | | | | | | | finished (cancelled) | |
//! | running  | | running | waiting | | ready | ready | failed | finished, failed | |
//! | waiting  | running (when due) | | | ready | | | | finished (cancelled) | |
//! | paused   | | | | | | | | finished (cancelled) | |
//! | failed   | | | | | | | | finished (cancelled) | ready |
//! | finished | | | | | | | | | |

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// State of a branch, the unit of claim, failover and balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BranchState {
    /// Wants an engine, from its due time on.
    Ready,
    /// Owned by an incarnation.
    Running,
    /// On a trigger; owned by nobody, so no failover touches it.
    Waiting,
    /// Held back by an operator.
    Paused,
    /// Needs `recover`.
    Failed,
    /// Done.
    Finished,
}

/// What happens to a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BranchEvent {
    /// An engine takes it.
    Claim,
    /// Its owner commits and goes on.
    Commit,
    /// Its owner commits and waits on a trigger.
    Park,
    /// What it waited for happened.
    Wake,
    /// Its owner gives it back at its commit point.
    Release,
    /// Its owner is dead.
    LoseOwner,
    /// It lost its owner too often without progress.
    Poison,
    /// Its path is done, or cancelled.
    End,
    /// Its path raised an error that nobody caught.
    Fail,
    /// An operator sends a failed branch back to its commit point.
    Recover,
    /// An operator holds it back.
    Pause,
    /// An operator lets it go on.
    Resume,
}

/// The event is not legal in that state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a {state} branch cannot take the event {event:?}")]
pub struct Illegal {
    /// The state.
    pub state: BranchState,
    /// The event.
    pub event: BranchEvent,
}

impl BranchState {
    /// The state after the event: the table above.
    pub fn after(self, event: BranchEvent) -> Result<BranchState, Illegal> {
        use BranchEvent as E;
        use BranchState as S;
        match (self, event) {
            (S::Ready | S::Waiting, E::Claim) | (S::Running, E::Commit) => Ok(S::Running),
            (S::Running, E::Park) => Ok(S::Waiting),
            (S::Waiting, E::Wake)
            | (S::Running, E::Release | E::LoseOwner)
            | (S::Failed, E::Recover)
            | (S::Paused, E::Resume) => Ok(S::Ready),
            (S::Running, E::Poison | E::Fail) => Ok(S::Failed),
            (S::Ready | S::Waiting, E::Pause) => Ok(S::Paused),
            (S::Ready | S::Running | S::Waiting | S::Paused | S::Failed, E::End) => Ok(S::Finished),
            (state, event) => Err(Illegal { state, event }),
        }
    }

    /// Lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            BranchState::Ready => "ready",
            BranchState::Running => "running",
            BranchState::Waiting => "waiting",
            BranchState::Paused => "paused",
            BranchState::Failed => "failed",
            BranchState::Finished => "finished",
        }
    }
}

impl fmt::Display for BranchState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// State of a run: the seven of the definition language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// No branch has run yet.
    Pending,
    /// Some branch is ready or running.
    Running,
    /// All branches wait.
    Waiting,
    /// Paused.
    Suspended,
    /// Cancelled.
    Cancelled,
    /// Ended by an error that nobody caught.
    Faulted,
    /// Ended well.
    Completed,
}

impl RunState {
    /// All states, in the order of a run's life.
    pub const ALL: [RunState; 7] = [
        RunState::Pending,
        RunState::Running,
        RunState::Waiting,
        RunState::Suspended,
        RunState::Cancelled,
        RunState::Faulted,
        RunState::Completed,
    ];

    /// Whether nothing more will happen by itself.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            RunState::Cancelled | RunState::Faulted | RunState::Completed
        )
    }

    /// Lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            RunState::Pending => "pending",
            RunState::Running => "running",
            RunState::Waiting => "waiting",
            RunState::Suspended => "suspended",
            RunState::Cancelled => "cancelled",
            RunState::Faulted => "faulted",
            RunState::Completed => "completed",
        }
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for RunState {
    type Err = String;

    fn from_str(text: &str) -> Result<RunState, String> {
        RunState::ALL
            .into_iter()
            .find(|state| state.name() == text)
            .ok_or_else(|| {
                let names: Vec<_> = RunState::ALL.iter().map(|state| state.name()).collect();
                format!("`{text}` is no state of a run; one of {}", names.join(", "))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiting_branch_cannot_lose_an_owner_it_does_not_have() {
        let illegal = BranchState::Waiting.after(BranchEvent::LoseOwner);
        assert!(illegal.is_err());
    }

    #[test]
    fn finished_is_final() {
        use BranchEvent::*;
        for event in [
            Claim, Commit, Park, Wake, Release, LoseOwner, Poison, End, Fail, Recover, Pause,
            Resume,
        ] {
            assert!(BranchState::Finished.after(event).is_err(), "{event:?}");
        }
    }
}
