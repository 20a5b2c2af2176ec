//! Following a run: nothing is lost and nothing told twice, whichever engine goes on with it.

mod told;

use super::Api;
use super::watching::{Stream, Watched};
use crate::check::Check;
use crate::convert;
use crate::refusal::of_store;
use flux_core::ids::RunId;
use flux_core::ports::runs::{BranchRecord, HistoryRecord};
use flux_proto::v1::{Run, WatchRunRequest, WatchRunResponse};
use std::collections::VecDeque;
use std::time::Duration;
use told::{TOKEN, Told};
use tonic::Status;

/// How soon the store is asked again after something has changed, and at the latest.
const PACE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// Bytes of history after which an answer ends; the next one goes on.
const FULL: usize = 1 << 20;

struct Watch {
    api: Api,
    id: RunId,
    told: Told,
    /// The run as it was told last.
    run: Option<Run>,
    /// The branches when the history was read last.
    branches: Option<Vec<BranchRecord>>,
    /// What is known and not told yet.
    untold: VecDeque<HistoryRecord>,
    pace: Duration,
    over: bool,
}

impl Api {
    pub(super) async fn follow_run(
        &self,
        request: WatchRunRequest,
    ) -> Result<Stream<WatchRunResponse>, Status> {
        let mut check = Check::default();
        let id = check.run("name", &request.name);
        let said = check.token("resume_token", &request.resume_token, TOKEN);
        let told = Told::parse(&said.unwrap_or_default());
        if told.is_none() {
            check.bad_token("resume_token", &request.resume_token);
        }
        check.done()?;
        self.record(id).await?;
        self.watch(Watch {
            api: self.clone(),
            id,
            told: told.unwrap_or_default(),
            run: None,
            branches: None,
            untold: VecDeque::new(),
            pace: PACE.0,
            over: false,
        })
    }
}

impl Watched for Watch {
    type News = WatchRunResponse;

    async fn news(&mut self) -> Result<Option<WatchRunResponse>, Status> {
        loop {
            if self.over && self.untold.is_empty() {
                return Ok(None);
            }
            if self.untold.is_empty() {
                if self.run.is_some() {
                    self.api.ports.host.sleep(self.pace).await;
                }
                let changed = self.look().await?;
                if !changed {
                    self.pace = (self.pace * 3 / 2).min(PACE.1);
                    continue;
                }
                self.pace = PACE.0;
            }
            return Ok(Some(self.answer()));
        }
    }
}

impl Watch {
    /// Reads the store; whether there is something to tell.
    async fn look(&mut self) -> Result<bool, Status> {
        // The run first: when it has ended, its last commit is in what is read after it.
        let record = self.api.record(self.id).await?;
        let is_final = record.state.is_final();
        let run = Some(convert::run(record));
        let runs = &self.api.ports.runs;
        let branches = Some(runs.branches(self.id).await.map_err(of_store)?);
        if self.branches != branches || is_final {
            let history = runs.history(self.id).await.map_err(of_store)?;
            self.untold = self.told.missing(history).into();
            self.branches = branches;
        }
        self.over = is_final;
        let changed = self.run != run || !self.untold.is_empty();
        self.run = run;
        Ok(changed)
    }

    /// The run, and as much of the history as fits.
    fn answer(&mut self) -> WatchRunResponse {
        let (mut commits, mut bytes) = (Vec::new(), 0);
        while let Some(record) = self.untold.pop_front() {
            bytes += record.events.len() + 200;
            self.told.tell(&record);
            commits.push(convert::commit(self.id, record));
            if bytes > FULL {
                break;
            }
        }
        WatchRunResponse {
            run: self.run.clone(),
            commits,
            resume_token: self.told.token(),
        }
    }
}
