//! Definitions and their schedules in the store.

use super::Error;
use super::runs::NewRun;
use crate::chart::{ChartId, WorkflowName};
use crate::clock::Timestamp;
use crate::ids::RunId;
use crate::throttle::Limits;
use async_trait::async_trait;
use std::time::Duration;

/// A definition to store.
#[derive(Clone, Debug)]
pub struct NewDefinition {
    /// Content hash.
    pub chart: ChartId,
    /// Name.
    pub name: WorkflowName,
    /// Source text.
    pub source: String,
    /// When it was deployed.
    pub at: Timestamp,
    /// First due time of its schedule, when the schedule shall be active: it replaces the schedule
    /// of any other version of the same namespace and name.
    pub schedule: Option<NewSchedule>,
    /// Limits for the branches of all versions: they replace the workflow's throttle when this
    /// definition is deployed for the first time.
    pub limits: Option<Limits>,
    /// The pools of what requires labels in it: where engines with labels look for work.
    pub pools: Vec<String>,
}

/// A schedule to store.
#[derive(Clone, Debug)]
pub struct NewSchedule {
    /// First due time.
    pub due_at: Timestamp,
    /// For `after`: due again this long after the started run ended.
    pub after: Option<Duration>,
}

/// A stored definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionRecord {
    /// Content hash.
    pub chart: ChartId,
    /// Name.
    pub name: WorkflowName,
    /// When it was deployed.
    pub at: Timestamp,
}

/// A stored schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleRecord {
    /// Definition that it starts.
    pub chart: ChartId,
    /// Its name; one schedule for each namespace and name.
    pub name: WorkflowName,
    /// Next due time; `None` while an `after` schedule waits for its run.
    pub due_at: Option<Timestamp>,
    /// The run it started last.
    pub last_run: Option<RunId>,
    /// Whether that run has ended (true when there was none).
    pub last_run_ended: bool,
}

/// A firing of a schedule.
#[derive(Clone, Debug)]
pub struct Firing {
    /// The schedule, by name.
    pub name: WorkflowName,
    /// Fires only if it is still due at exactly this time: so each due time fires once.
    pub due_at: Timestamp,
    /// Next due time.
    pub next: Option<Timestamp>,
    /// Runs to start; none when the time is left out.
    pub runs: Vec<NewRun>,
}

/// The catalogue of definitions.
#[async_trait]
pub trait Definitions: Send + Sync {
    /// Stores a definition; the same content again changes nothing but its schedule.
    async fn deploy(&self, definition: NewDefinition) -> Result<(), Error>;

    /// Source text of a definition.
    async fn source(&self, chart: &ChartId) -> Result<Option<String>, Error>;

    /// The definition of this name deployed last; `latest` finds the one deployed last of any
    /// version.
    async fn find(&self, name: &WorkflowName) -> Result<Option<ChartId>, Error>;

    /// All definitions, by name.
    async fn definitions(&self) -> Result<Vec<DefinitionRecord>, Error>;

    /// All schedules, the next due first.
    async fn schedules(&self) -> Result<Vec<ScheduleRecord>, Error>;

    /// Fires a schedule; false when somebody else did.
    async fn fire(&self, firing: Firing) -> Result<bool, Error>;
}
