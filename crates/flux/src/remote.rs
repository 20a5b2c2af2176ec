//! A cluster seen through its engines: the ports that commands use, over gRPC.
//!
//! What only an engine does (claiming, beating) is refused: no command of a client does it.

use async_trait::async_trait;
use flux_client::{Client, v1};
use flux_core::branch::{BranchState, RunState};
use flux_core::chart::{ChartId, Fault, WorkflowName};
use flux_core::clock::Timestamp;
use flux_core::ids::{BranchId, CommitNo, Epoch, Incarnation, RunId};
use flux_core::ports::Error;
use flux_core::ports::branches::{
    Branches, ClaimRequest, Claims, Commit, Committed, Fence, Outlook, Release,
};
use flux_core::ports::definitions::{
    DefinitionRecord, Definitions, Firing, NewDefinition, ScheduleRecord,
};
use flux_core::ports::identity::{Cluster, Identity};
use flux_core::ports::members::{Joined, Member, Members, NewMember, Takeover};
use flux_core::ports::operations::{Change, Operated, Operations, Recovery};
use flux_core::ports::runs::{
    BranchRecord, Event, FailoverRecord, HistoryRecord, NewRun, RunFilter, RunRecord, Runs,
    Signalled, Submitted, TakeoverRecord, Taker,
};
use flux_core::ports::throttles::{ThrottleRecord, Throttles};
use flux_core::throttle::Throttle;
use flux_store::{Stats, Store};
use std::sync::Arc;
use uuid::Uuid;

mod members;
mod read;

use members::RemoteMembers;

/// A cluster behind these engines. A chart is named by the workflow version that it is of.
pub struct Remote {
    client: Client,
}

impl Remote {
    pub fn new(client: Client) -> Remote {
        Remote { client }
    }
}

/// Why a call failed, for the ports.
fn failed(error: flux_client::Error) -> Error {
    match error {
        flux_client::Error::Unreachable { .. } => Error::Unavailable(error.to_string()),
        refused => Error::Refused(refused.to_string()),
    }
}

/// Nothing, where the engine says that there is no such thing.
fn found<T>(answer: Result<T, flux_client::Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn only_in_the_database<T>(what: &str) -> Result<T, Error> {
    Err(Error::Refused(format!(
        "{what} needs the database itself: leave out --engine and FLUX_ENGINE"
    )))
}

fn run_name(run: RunId) -> String {
    format!("runs/{run}")
}

fn workflow_name(name: &WorkflowName) -> String {
    format!(
        "namespaces/{}/workflows/{}/versions/{}",
        name.namespace, name.name, name.version
    )
}

#[async_trait]
impl Runs for Remote {
    async fn submit_and_take(
        &self,
        runs: Vec<NewRun>,
        taker: Option<Taker>,
    ) -> Result<Vec<Submitted>, Error> {
        if taker.is_some() {
            return only_in_the_database("taking a new run");
        }
        let asked = runs.into_iter().map(|run| v1::NewRun {
            workflow: workflow_name(&run.name),
            input_json: run.input,
            request_id: run.request_id.unwrap_or_default(),
            traceparent: run.traceparent.unwrap_or_default(),
            priority: Some(run.priority),
        });
        let submitted = self.client.submit_runs(asked.collect()).await;
        let submitted = submitted.map_err(failed)?.into_iter().map(|run| {
            Ok(Submitted {
                run: read::run_id(&run.name)?,
                new: !run.already_submitted,
                taken: false,
            })
        });
        submitted.collect()
    }

    async fn signal(&self, run: RunId, event: Event, _now: Timestamp) -> Result<Signalled, Error> {
        let whole: serde_json::Value = serde_json::from_str(&event.json).unwrap_or_default();
        let request = v1::SignalRunRequest {
            name: run_name(run),
            r#type: event.kind,
            data_json: whole["data"].to_string(),
            source: event.source,
            id: event.id,
        };
        match self.client.signal_run(request).await {
            Ok(answer) if answer.already_delivered => Ok(Signalled::Duplicate),
            Ok(_) => Ok(Signalled::Accepted),
            Err(error) if error.is_not_found() => Ok(Signalled::NotFound),
            Err(error) => match self.run(run).await? {
                Some(record) if record.state.is_final() => Ok(Signalled::Ended(record.state)),
                _ => Err(failed(error)),
            },
        }
    }

    async fn run(&self, id: RunId) -> Result<Option<RunRecord>, Error> {
        let name = run_name(id);
        let answer = self.client.get_run(v1::GetRunRequest { name }).await;
        let run = found(answer)?.and_then(|answer| answer.run);
        run.map(read::run).transpose()
    }

    async fn list(&self, filter: RunFilter) -> Result<Vec<RunRecord>, Error> {
        let mut runs = Vec::new();
        let mut page_token = String::new();
        while (runs.len() as u32) < filter.limit {
            let left = filter.limit - runs.len() as u32;
            let request = v1::ListRunsRequest {
                page_size: i32::try_from(left.min(1_000)).unwrap_or(1_000),
                page_token,
                filter: Some(read::filter(&filter)),
            };
            let page = self.client.list_runs(request).await.map_err(failed)?;
            for run in page.runs {
                runs.push(read::run(run)?);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        Ok(runs)
    }

    async fn branches(&self, run: RunId) -> Result<Vec<BranchRecord>, Error> {
        let parent = run_name(run);
        let answer = self
            .client
            .list_branches(v1::ListBranchesRequest { parent });
        let answer = answer.await.map_err(failed)?;
        let branches = answer.branches.into_iter();
        branches.map(|branch| read::branch(run, branch)).collect()
    }

    async fn history(&self, run: RunId) -> Result<Vec<HistoryRecord>, Error> {
        let parent = run_name(run);
        let answer = self.client.list_commits(v1::ListCommitsRequest { parent });
        let answer = answer.await.map_err(failed)?;
        answer.commits.into_iter().map(read::commit).collect()
    }

    async fn failovers(&self, limit: u32) -> Result<Vec<FailoverRecord>, Error> {
        let page_size = i32::try_from(limit.min(1_000)).unwrap_or(1_000);
        let answer = self
            .client
            .list_failovers(v1::ListFailoversRequest { page_size });
        let answer = answer.await.map_err(failed)?;
        answer.failovers.into_iter().map(read::failover).collect()
    }

    async fn takeovers(&self, from: Incarnation, limit: u32) -> Result<Vec<TakeoverRecord>, Error> {
        let request = v1::ListTakeoversRequest {
            parent: format!("engines/{from}"),
            page_size: i32::try_from(limit.min(1_000)).unwrap_or(1_000),
        };
        let answer = self.client.list_takeovers(request).await.map_err(failed)?;
        answer.takeovers.into_iter().map(read::takeover).collect()
    }
}

#[async_trait]
impl Operations for Remote {
    async fn change(&self, run: RunId, change: Change, _now: Timestamp) -> Result<Operated, Error> {
        let (client, name) = (&self.client, run_name(run));
        let answer = match change {
            Change::Pause => client
                .pause_run(v1::PauseRunRequest { name })
                .await
                .map(drop),
            Change::Resume => client
                .resume_run(v1::ResumeRunRequest { name })
                .await
                .map(drop),
            Change::Cancel => client
                .cancel_run(v1::CancelRunRequest { name })
                .await
                .map(drop),
            Change::Expedite => {
                let request = v1::ExpediteRunRequest { name };
                client.expedite_run(request).await.map(drop)
            }
            Change::Remove => client
                .remove_run(v1::RemoveRunRequest { name })
                .await
                .map(drop),
        };
        self.operated(run, answer).await
    }

    async fn recover(&self, recovery: Recovery) -> Result<Operated, Error> {
        let name = run_name(recovery.run);
        let answer = self.client.recover_run(v1::RecoverRunRequest { name });
        let answer = answer.await.map(drop);
        self.operated(recovery.run, answer).await
    }

    async fn prune(&self, _before: Timestamp, _limit: u32) -> Result<u64, Error> {
        only_in_the_database("removing many runs")
    }
}

impl Remote {
    async fn operated(
        &self,
        run: RunId,
        answer: Result<(), flux_client::Error>,
    ) -> Result<Operated, Error> {
        match answer {
            Ok(()) => Ok(Operated::Done),
            Err(error) if error.is_not_found() => Ok(Operated::NotFound),
            Err(error) if error.is_precondition() => match self.run(run).await? {
                Some(record) if record.parent.is_some() => Ok(Operated::Child),
                Some(record) => Ok(Operated::Illegal(record.state)),
                None => Ok(Operated::NotFound),
            },
            Err(error) => Err(failed(error)),
        }
    }
}

#[async_trait]
impl Definitions for Remote {
    async fn deploy(&self, definition: NewDefinition) -> Result<(), Error> {
        let request = v1::DeployWorkflowRequest {
            source: definition.source,
            validate_only: false,
            activate_schedule: definition.schedule.is_some(),
        };
        let answer = self.client.deploy_workflow(request).await;
        answer.map(drop).map_err(failed)
    }

    async fn source(&self, chart: &ChartId) -> Result<Option<String>, Error> {
        let name = chart.0.clone();
        let answer = self.client.get_workflow(v1::GetWorkflowRequest { name });
        let workflow = found(answer.await)?.and_then(|answer| answer.workflow);
        Ok(workflow.map(|workflow| workflow.source))
    }

    async fn find(&self, name: &WorkflowName) -> Result<Option<ChartId>, Error> {
        let name = workflow_name(name);
        let answer = self.client.get_workflow(v1::GetWorkflowRequest { name });
        let workflow = found(answer.await)?.and_then(|answer| answer.workflow);
        Ok(workflow.map(|workflow| ChartId(workflow.name)))
    }

    async fn definitions(&self) -> Result<Vec<DefinitionRecord>, Error> {
        let mut all = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListWorkflowsRequest {
                page_size: 1_000,
                page_token,
            };
            let page = self.client.list_workflows(request).await.map_err(failed)?;
            for workflow in page.workflows {
                all.push(read::definition(workflow)?);
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(all);
            }
        }
    }

    async fn schedules(&self) -> Result<Vec<ScheduleRecord>, Error> {
        let answer = self.client.list_schedules(v1::ListSchedulesRequest {});
        let answer = answer.await.map_err(failed)?;
        answer.schedules.into_iter().map(read::schedule).collect()
    }

    async fn fire(&self, _firing: Firing) -> Result<bool, Error> {
        only_in_the_database("firing schedules")
    }
}

#[async_trait]
impl Throttles for Remote {
    async fn throttle(&self, throttle: Throttle) -> Result<(), Error> {
        let request = v1::SetThrottleRequest {
            name: read::throttle_name(&throttle.scope),
            cluster_limit: throttle.limits.cluster,
            engine_limit: throttle.limits.engine,
        };
        let answer = self.client.set_throttle(request).await;
        answer.map(drop).map_err(failed)
    }

    async fn throttles(&self) -> Result<Vec<ThrottleRecord>, Error> {
        let answer = self.client.list_throttles(v1::ListThrottlesRequest {});
        let answer = answer.await.map_err(failed)?;
        answer.throttles.into_iter().map(read::throttle).collect()
    }
}

#[async_trait]
impl Branches for Remote {
    async fn outlook(&self, _pool: Option<String>, _now: Timestamp) -> Result<Outlook, Error> {
        only_in_the_database("looking for work")
    }

    async fn claim(&self, _request: ClaimRequest) -> Result<Claims, Error> {
        only_in_the_database("claiming")
    }

    async fn commit(&self, _commit: Commit) -> Result<Committed, Error> {
        only_in_the_database("committing")
    }

    async fn release(&self, _release: Release) -> Result<bool, Error> {
        only_in_the_database("releasing")
    }

    async fn owned(&self, _owner: Incarnation) -> Result<Vec<(BranchId, Fence)>, Error> {
        only_in_the_database("owning")
    }
}

#[async_trait]
impl Identity for Remote {
    async fn cluster(&self) -> Result<Cluster, Error> {
        only_in_the_database("the key of the cluster")
    }
}

impl Store for Remote {
    fn members(&self) -> Arc<dyn Members> {
        Arc::new(RemoteMembers(self.client.clone()))
    }

    fn stats(&self) -> Stats {
        Stats::default()
    }
}
