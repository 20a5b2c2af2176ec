//! Definitions and schedules.

use super::{Api, page};
use crate::check::{Check, token};
use crate::convert::time;
use crate::names;
use crate::refusal::{bad_request, not_found, of_store, refusal, shortened};
use flux_core::chart::{Chart, WorkflowName};
use flux_core::ports::definitions::DefinitionRecord;
use flux_engine::deploy;
use flux_proto::v1::{
    DeployWorkflowRequest, DeployWorkflowResponse, GetWorkflowRequest, GetWorkflowResponse,
    ListSchedulesResponse, ListWorkflowsRequest, ListWorkflowsResponse, Problem, Schedule,
    Workflow,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tonic::{Code, Status};
use tonic_types::FieldViolation;

/// Longest definition.
const LONGEST_SOURCE: usize = 1 << 20;
/// Longest report of a definition's faults: it travels in headers.
const LONGEST_REPORT: usize = 4_000;

impl Api {
    pub(super) async fn deploy(
        &self,
        request: DeployWorkflowRequest,
    ) -> Result<DeployWorkflowResponse, Status> {
        let source = request.source;
        let mut check = Check::default();
        if source.len() > LONGEST_SOURCE || source.trim().is_empty() {
            let given = format!("{} bytes", source.len());
            let must = "a definition of 1 byte to 1 MiB";
            check.fault("source", &given, must, "document: { dsl: '1.0.3', .. }");
        }
        check.done()?;
        let (chart, warnings, source) = self.compile(source).await?;
        let mut create_time = None;
        if !request.validate_only {
            let definitions = &*self.ports.definitions;
            let (schedule, now) = (request.activate_schedule, self.ports.host.now());
            let deployed = deploy(definitions, &chart, &source, schedule, now);
            deployed.await.map_err(of_store)?;
            let all = definitions.definitions().await.map_err(of_store)?;
            let record = all.into_iter().find(|record| record.chart == chart.id);
            create_time = record.map(|record| time(record.at));
        }
        let warnings = warnings.into_iter().map(|text| Problem { text });
        Ok(DeployWorkflowResponse {
            workflow: Some(Workflow {
                name: names::workflow(&chart.name),
                source: String::new(),
                create_time,
            }),
            warnings: warnings.collect(),
        })
    }

    /// The chart and warnings of a source, which is given back.
    async fn compile(&self, source: String) -> Result<(Arc<Chart>, Vec<String>, String), Status> {
        let compiler = Arc::clone(&self.ports.compiler);
        // Long texts take their time, which other clients must not wait for.
        let work = move || match compiler.compile(&source) {
            Ok(chart) => Ok((chart, compiler.warnings(&source), source)),
            Err(report) => Err(report),
        };
        let compiled = tokio::task::spawn_blocking(work).await.map_err(|error| {
            tracing::error!("the compiler failed: {error}");
            refusal(Code::Internal, "INTERNAL", &[], "the compiler failed")
        })?;
        compiled.map_err(|report| {
            let about = HashMap::from([("field".to_owned(), "source".to_owned())]);
            let violation = FieldViolation::new("source", shortened(&report, LONGEST_REPORT));
            let text = format!("the definition is not valid\n{report}");
            bad_request("WORKFLOW_INVALID", &text, about, vec![violation])
        })
    }

    pub(super) async fn workflow(
        &self,
        request: GetWorkflowRequest,
    ) -> Result<GetWorkflowResponse, Status> {
        let mut check = Check::default();
        let name = check.workflow("name", &request.name);
        check.done()?;
        let missing = || not_found("workflow", &request.name);
        let definitions = &*self.ports.definitions;
        let chart = definitions.find(&name).await.map_err(of_store)?;
        let chart = chart.ok_or_else(missing)?;
        let source = definitions.source(&chart).await.map_err(of_store)?;
        let all = definitions.definitions().await.map_err(of_store)?;
        let record = all.into_iter().find(|record| record.chart == chart);
        let mut workflow = shown(record.ok_or_else(missing)?);
        workflow.source = source.ok_or_else(missing)?;
        Ok(GetWorkflowResponse {
            workflow: Some(workflow),
        })
    }

    pub(super) async fn workflows(
        &self,
        request: ListWorkflowsRequest,
    ) -> Result<ListWorkflowsResponse, Status> {
        let mut check = Check::default();
        let length = check.page_size(request.page_size, 100);
        let after = check.token("page_token", &request.page_token, page::WORKFLOWS);
        let after = after.and_then(|bytes| {
            let name = String::from_utf8(bytes).ok();
            let name = name.and_then(|name| names::parse_workflow(&name));
            if name.is_none() {
                check.bad_token("page_token", &request.page_token);
            }
            name
        });
        check.done()?;
        let all = self
            .ports
            .definitions
            .definitions()
            .await
            .map_err(of_store)?;
        let later = latest(all).into_iter().filter(|(name, _)| match &after {
            Some(after) => name > after,
            None => true,
        });
        let (workflows, more) = page::page(later.map(|(_, record)| shown(record)), length);
        let last = workflows.last().filter(|_| more);
        let next_page_token = last.map(|last| token(page::WORKFLOWS, last.name.as_bytes()));
        Ok(ListWorkflowsResponse {
            workflows,
            next_page_token: next_page_token.unwrap_or_default(),
        })
    }

    pub(super) async fn schedules(&self) -> Result<ListSchedulesResponse, Status> {
        let all = self.ports.definitions.schedules().await.map_err(of_store)?;
        let schedules = all.into_iter().map(|record| Schedule {
            workflow: names::workflow(&record.name),
            due_time: record.due_at.map(time),
            last_run: record.last_run.map(names::run).unwrap_or_default(),
        });
        Ok(ListSchedulesResponse {
            schedules: schedules.collect(),
        })
    }
}

/// Of each name, the definition that was deployed last: the one that is started.
fn latest(all: Vec<DefinitionRecord>) -> BTreeMap<WorkflowName, DefinitionRecord> {
    let mut latest: BTreeMap<WorkflowName, DefinitionRecord> = BTreeMap::new();
    for record in all {
        let older = latest.get(&record.name);
        if older.is_none_or(|older| older.at <= record.at) {
            latest.insert(record.name.clone(), record);
        }
    }
    latest
}

fn shown(record: DefinitionRecord) -> Workflow {
    Workflow {
        name: names::workflow(&record.name),
        source: String::new(),
        create_time: Some(time(record.at)),
    }
}
