//! Looking at runs.

use super::{Api, page};
use crate::check::{Check, token};
use crate::convert;
use crate::names;
use crate::refusal::{exhausted, not_found, of_store};
use flux_core::branch::BranchState;
use flux_core::explain::{self, Scene};
use flux_core::ids::RunId;
use flux_core::ports::runs::{RunFilter, RunRecord};
use flux_proto::v1::{
    self, ExplainRunRequest, ExplainRunResponse, GetRunRequest, GetRunResponse,
    ListBranchesRequest, ListBranchesResponse, ListCommitsRequest, ListCommitsResponse,
    ListRunsRequest, ListRunsResponse, Reason,
};
use prost::Message;
use tonic::Status;
use uuid::Uuid;

/// Longest history that is answered at once.
const LONGEST_HISTORY: usize = 15 << 20;

impl Api {
    /// The run with this name.
    pub(super) async fn record(&self, id: RunId) -> Result<RunRecord, Status> {
        let found = self.ports.runs.run(id).await.map_err(of_store)?;
        found.ok_or_else(|| not_found("run", &names::run(id)))
    }

    pub(super) async fn run(&self, request: GetRunRequest) -> Result<GetRunResponse, Status> {
        let mut check = Check::default();
        let id = check.run("name", &request.name);
        check.done()?;
        let run = convert::run(self.record(id).await?);
        Ok(GetRunResponse { run: Some(run) })
    }

    pub(super) async fn runs(&self, request: ListRunsRequest) -> Result<ListRunsResponse, Status> {
        let mut check = Check::default();
        let length = check.page_size(request.page_size, 50);
        let before = check.token("page_token", &request.page_token, page::RUNS);
        let before = before.and_then(|bytes| {
            let id = Uuid::from_slice(&bytes).ok().map(RunId::new);
            if id.is_none() {
                check.bad_token("page_token", &request.page_token);
            }
            id
        });
        let mut filter = filter(&mut check, request.filter.unwrap_or_default());
        check.done()?;
        filter.before = before;
        filter.limit = length + 1;
        let found = self.ports.runs.list(filter).await.map_err(of_store)?;
        let ids: Vec<RunId> = found.iter().map(|run| run.id).collect();
        let (runs, more) = page::page(found.into_iter().map(convert::run), length);
        let last = ids.get(runs.len().wrapping_sub(1)).filter(|_| more);
        let next_page_token = last.map(|id| token(page::RUNS, id.uuid().as_bytes()));
        Ok(ListRunsResponse {
            runs,
            next_page_token: next_page_token.unwrap_or_default(),
        })
    }

    pub(super) async fn branches(
        &self,
        request: ListBranchesRequest,
    ) -> Result<ListBranchesResponse, Status> {
        let mut check = Check::default();
        let id = check.run("parent", &request.parent);
        check.done()?;
        self.record(id).await?;
        let branches = self.ports.runs.branches(id).await.map_err(of_store)?;
        Ok(ListBranchesResponse {
            branches: branches.into_iter().map(convert::branch).collect(),
        })
    }

    pub(super) async fn commits(
        &self,
        request: ListCommitsRequest,
    ) -> Result<ListCommitsResponse, Status> {
        let mut check = Check::default();
        let id = check.run("parent", &request.parent);
        check.done()?;
        self.record(id).await?;
        let history = self.ports.runs.history(id).await.map_err(of_store)?;
        let commits = history
            .into_iter()
            .map(|record| convert::commit(id, record));
        let answer = ListCommitsResponse {
            commits: commits.collect(),
        };
        if answer.encoded_len() > LONGEST_HISTORY {
            let text = "the history is too long for one answer; WatchRun tells it in parts";
            return Err(exhausted("HISTORY_TOO_LONG", text));
        }
        Ok(answer)
    }

    pub(super) async fn explain(
        &self,
        request: ExplainRunRequest,
    ) -> Result<ExplainRunResponse, Status> {
        let mut check = Check::default();
        let id = check.run("name", &request.name);
        check.done()?;
        let run = self.record(id).await?;
        let reasons = match &run.outcome {
            Some(outcome) => vec![Reason {
                node: String::new(),
                text: explain::ended(&run, outcome),
            }],
            None => self.reasons(&run).await?,
        };
        Ok(ExplainRunResponse { reasons })
    }

    async fn reasons(&self, run: &RunRecord) -> Result<Vec<Reason>, Status> {
        let branches = self.ports.runs.branches(run.id).await.map_err(of_store)?;
        // After the branches: whoever owns one of them was a member before.
        let members = self.ports.members.members().await.map_err(of_store)?;
        let throttles = self.ports.throttles.throttles().await.map_err(of_store)?;
        let scene = Scene {
            run,
            members: &members,
            throttles: &throttles,
            now: self.ports.host.now(),
        };
        let open = branches
            .iter()
            .filter(|branch| branch.state != BranchState::Finished);
        let reasons = open.map(|branch| Reason {
            node: branch.node.clone(),
            text: scene.reason(branch).text,
        });
        Ok(reasons.collect())
    }
}

fn filter(check: &mut Check, filter: v1::RunFilter) -> RunFilter {
    let mut states = Vec::new();
    for state in filter.states {
        match convert::of_state(state) {
            Some(state) => states.push(state),
            None => {
                let must = "a state of a run";
                check.fault(
                    "filter.states",
                    &state.to_string(),
                    must,
                    "RUN_STATE_RUNNING",
                );
            }
        }
    }
    let mut label = |field: &str, text: String, example: &str| {
        if text.is_empty() {
            return None;
        }
        if !names::is_label(&text) {
            check.fault(field, &text, "up to 63 letters, digits and `-`", example);
        }
        Some(text)
    };
    let namespace = label("filter.namespace", filter.namespace, "sales");
    let name = label("filter.workflow", filter.workflow, "order-approval");
    RunFilter {
        states,
        namespace,
        name,
        since: filter.since.map(|since| check.time("filter.since", since)),
        ..RunFilter::default()
    }
}
