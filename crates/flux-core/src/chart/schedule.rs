//! When runs start by themselves.

use std::time::Duration;

/// A definition's schedule.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// What makes it due.
    pub rule: ScheduleRule,
    /// IANA name of the zone that cron times are in; UTC when absent.
    pub timezone: Option<String>,
    /// What to do about times that passed while no engine ran.
    pub misfire: Misfire,
    /// What to do when the previous run has not ended.
    pub overlap: Overlap,
}

/// What makes a schedule due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScheduleRule {
    /// Every so often, counted from the time it was deployed.
    Every(Duration),
    /// A cron expression of five fields, checked.
    Cron(String),
    /// This long after the previous run ended (at once for the first).
    After(Duration),
}

/// What to do about missed times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Misfire {
    /// Run once for all of them.
    #[default]
    RunOnce,
    /// Run for each, at most 100.
    RunAll,
    /// Forget them.
    Skip,
}

/// What to do when the previous run is still there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// Start another.
    #[default]
    Allow,
    /// Leave this time out.
    Skip,
}
