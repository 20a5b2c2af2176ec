//! The history of a test with real engines, and a program that checks what must hold in every one.
//!
//! [`crate::Cluster`] gathers the evidence, of four kinds that know nothing of each other:
//!
//! ```text
//!  Record   what the database says in the end          (flux .. -o json)
//!  Mark     what the actions did outside               (crate::Witness)
//!  Deed     what the test did to the processes         (Recorder)
//!  Entry    what the engines say that they did         (their logs, target flux::evidence)
//!     `------> Evidence::check(&Rules) -> Report        one function for each property
//! ```
//!
//! The properties are those of the design study: S1 to S12 must hold under any fault, L1 to L7 once
//! the faults are over. A property for which a test has no evidence is reported as not checked, with
//! the reason; a check never takes missing evidence for good behaviour. Times are readings of the
//! boot clock, which all processes of one machine share. No search is needed: the numbers of the
//! commit points give the order, so the work grows with the length of the history.

mod check;
mod harness;
mod lives;
mod record;
mod report;
#[cfg(test)]
mod tests;
mod trail;

pub use harness::{Deed, Did, Recorder};
pub use record::{BranchEntry, CommitEntry, FailoverEntry, Record, RunEntry, TakeoverEntry};
pub use report::{Finding, Report, Verdict, Violation};
pub use trail::{Entry, Held, What};

pub(crate) use trail::LOGS;

use crate::witness::Mark;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// A reading of the boot clock, or a difference of two, in nanoseconds.
pub type Nanos = u64;

/// The boot clock now.
pub fn now() -> Nanos {
    let time = clock_gettime(ClockId::Boottime);
    let positive = |part: i64| u64::try_from(part).unwrap_or_default();
    positive(time.tv_sec) * 1_000_000_000 + positive(time.tv_nsec)
}

/// Everything that is known of a test.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What the database says.
    pub record: Record,
    /// When it began to be read: what the trail says of later moments need not be in the record.
    pub read_at: Nanos,
    /// Marks of the actions, in their true order.
    pub marks: Vec<Mark>,
    /// What the test did.
    pub deeds: Vec<Deed>,
    /// What the engines say.
    pub trail: Vec<Entry>,
}

/// What a test allows for.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Added to every upper bound of time: machines that run tests are loaded.
    pub slack: Duration,
    /// How often engines look for work.
    pub poll: Duration,
    /// After the last fault every run ends within this time.
    pub finish_within: Duration,
    /// Runs that this test leaves unfinished on purpose.
    pub unfinished: Vec<String>,
    /// Calendar clocks differ, by which engines judge what is due.
    pub wrong_clocks: bool,
    /// The database failed over to a copy that lacked its last commits: what the engines and actions
    /// tell of these is not in its history, and may have happened again in another way.
    pub lost_tail: bool,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            slack: Duration::from_secs(15),
            poll: Duration::from_secs(1),
            finish_within: Duration::from_secs(180),
            unfinished: Vec::new(),
            wrong_clocks: false,
            lost_tail: false,
        }
    }
}

impl Rules {
    /// The usual ones, for a test that leaves these runs unfinished.
    pub fn unfinished(runs: &[String]) -> Rules {
        Rules {
            unfinished: runs.to_vec(),
            ..Rules::default()
        }
    }
}

impl Evidence {
    /// Checks every property.
    pub fn check(&self, rules: &Rules) -> Report {
        check::all(&check::Case::new(self, rules))
    }

    /// Whether the trail tells who had claimed what the record says was committed.
    pub(crate) fn is_whole(&self) -> bool {
        let case_rules = Rules::default();
        let case = check::Case::new(self, &case_rules);
        let mut commits = self.record.runs.iter().flat_map(|run| &run.commits);
        commits.all(|commit| case.owner(&commit.branch, commit.epoch).is_some())
    }
}
