//! The pass that fires due schedules: observe, plan, execute, report.

use crate::shop::Shop;
use crate::submit::{RunOptions, run_with_ids};
use flux_core::clock::Timestamp;
use flux_core::ids::{BranchId, RunId};
use flux_core::ports::Error;
use flux_core::ports::definitions::{Definitions, Firing, ScheduleRecord};
use flux_core::schedule;
use flux_core::value::Value;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

pub(crate) struct Schedules {
    pub shop: Arc<Shop>,
    pub definitions: Arc<dyn Definitions>,
    pub end: CancellationToken,
}

impl Schedules {
    /// A pass each time that the lookout sees something due; it tells again if a pass fails.
    pub async fn run(self) {
        loop {
            tokio::select! {
                biased;
                () = self.end.cancelled() => return,
                () = self.shop.firing.notified() => {}
            }
            match self.pass().await {
                Ok(()) => self.shop.look.notify_one(),
                Err(error) => tracing::warn!("cannot fire schedules: {error}; trying again"),
            }
        }
    }

    async fn pass(&self) -> Result<(), Error> {
        let now = self.shop.host.now();
        for record in self.definitions.schedules().await? {
            if let Some(due) = record.due_at.filter(|due| *due <= now) {
                self.fire(&record, due, now).await?;
            }
        }
        Ok(())
    }

    async fn fire(
        &self,
        record: &ScheduleRecord,
        due: Timestamp,
        now: Timestamp,
    ) -> Result<(), Error> {
        let chart = match self.shop.charts.get(&record.chart).await {
            Ok(chart) => chart,
            Err(error) => {
                tracing::error!(workflow = %record.name, "cannot fire its schedule: {error}");
                return Ok(());
            }
        };
        let Some(rule) = &chart.schedule else {
            return Ok(());
        };
        let plan = schedule::plan(rule, due, record.last_run_ended, now);
        let runs: Vec<_> = (0..plan.runs)
            .map(|_| {
                let host = &self.shop.host;
                let ids = (RunId::new(host.fresh_id()), BranchId::new(host.fresh_id()));
                run_with_ids(&chart, &Value::default(), RunOptions::default(), now, ids)
            })
            .collect();
        let count = u32::try_from(runs.len()).unwrap_or(u32::MAX);
        let firing = Firing {
            name: record.name.clone(),
            due_at: due,
            next: plan.next,
            runs,
        };
        if self.definitions.fire(firing).await? {
            tracing::info!(workflow = %record.name, due = %due, runs = count, "schedule fired");
            self.shop.woke(count);
        }
        Ok(())
    }
}
