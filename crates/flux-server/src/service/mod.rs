//! `flux.v1.FluxService`: this file only dispatches, and ends what takes too long.

mod cluster;
mod deadline;
mod operations;
mod page;
mod runs;
mod submit;
mod watch_cluster;
mod watch_run;
mod watching;
mod workflows;

use crate::health::Health;
use crate::local::{Local, Ports};
use deadline::within_deadline;
use flux_core::host::Host;
use flux_core::ports::operations::Change;
use flux_engine::Charts;
use flux_proto::v1::flux_service_server::FluxService;
use flux_proto::v1::*;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use tonic_health::server::HealthReporter;
use watching::{Stream, WATCHERS};

/// Answers clients. Clones share everything.
#[derive(Clone)]
pub struct Api {
    ports: Ports,
    local: Arc<dyn Local>,
    charts: Arc<Charts>,
    drains: Arc<watch::Sender<bool>>,
    /// Ends all streams.
    end: CancellationToken,
    watchers: Arc<Semaphore>,
}

/// Tells the server what its engine does.
#[derive(Clone, Debug)]
pub struct Handle(Arc<watch::Sender<bool>>);

impl Handle {
    /// The engine drains: probes hear from now on that nothing new should be sent here.
    pub fn draining(&self) {
        self.0.send_replace(true);
    }
}

impl Api {
    /// On these ports, beside this engine.
    #[must_use]
    pub fn new(ports: Ports, local: Arc<dyn Local>) -> Api {
        let (definitions, compiler) = (Arc::clone(&ports.definitions), Arc::clone(&ports.compiler));
        Api {
            charts: Arc::new(Charts::new(definitions, compiler)),
            drains: Arc::new(watch::Sender::new(false)),
            end: CancellationToken::new(),
            watchers: Arc::new(Semaphore::new(WATCHERS)),
            ports,
            local,
        }
    }

    /// What the engine tells the server by.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.drains))
    }

    pub(crate) fn health(&self, reporter: HealthReporter) -> Health {
        Health {
            reporter,
            identity: Arc::clone(&self.ports.identity),
            members: Arc::clone(&self.ports.members),
            local: Arc::clone(&self.local),
            host: self.host(),
            drains: self.drains.subscribe(),
        }
    }

    pub(crate) fn end(&self) -> CancellationToken {
        self.end.clone()
    }

    pub(crate) fn host(&self) -> Arc<dyn Host> {
        Arc::clone(&self.ports.host)
    }

    async fn answer<Q, A, F>(
        &self,
        request: Request<Q>,
        work: impl FnOnce(Q) -> F,
    ) -> Result<Response<A>, Status>
    where
        F: Future<Output = Result<A, Status>>,
    {
        let (metadata, _, message) = request.into_parts();
        let answer = within_deadline(&*self.ports.host, &metadata, work(message));
        Ok(Response::new(answer.await?))
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl FluxService for Api {
    type WatchRunStream = Stream<WatchRunResponse>;
    type WatchClusterStream = Stream<WatchClusterResponse>;

    async fn deploy_workflow(
        &self,
        r: Request<DeployWorkflowRequest>,
    ) -> Answer<DeployWorkflowResponse> {
        self.answer(r, |message| self.deploy(message)).await
    }

    async fn get_workflow(&self, r: Request<GetWorkflowRequest>) -> Answer<GetWorkflowResponse> {
        self.answer(r, |message| self.workflow(message)).await
    }

    async fn list_workflows(
        &self,
        r: Request<ListWorkflowsRequest>,
    ) -> Answer<ListWorkflowsResponse> {
        self.answer(r, |message| self.workflows(message)).await
    }

    async fn list_schedules(
        &self,
        r: Request<ListSchedulesRequest>,
    ) -> Answer<ListSchedulesResponse> {
        self.answer(r, |_| self.schedules()).await
    }

    async fn submit_runs(&self, r: Request<SubmitRunsRequest>) -> Answer<SubmitRunsResponse> {
        let trace = r.metadata().get("traceparent");
        let trace = trace
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        self.answer(r, |message| self.submit(message, trace)).await
    }

    async fn get_run(&self, r: Request<GetRunRequest>) -> Answer<GetRunResponse> {
        self.answer(r, |message| self.run(message)).await
    }

    async fn list_runs(&self, r: Request<ListRunsRequest>) -> Answer<ListRunsResponse> {
        self.answer(r, |message| self.runs(message)).await
    }

    async fn watch_run(&self, r: Request<WatchRunRequest>) -> Answer<Stream<WatchRunResponse>> {
        self.answer(r, |message| self.follow_run(message)).await
    }

    async fn list_branches(&self, r: Request<ListBranchesRequest>) -> Answer<ListBranchesResponse> {
        self.answer(r, |message| self.branches(message)).await
    }

    async fn list_commits(&self, r: Request<ListCommitsRequest>) -> Answer<ListCommitsResponse> {
        self.answer(r, |message| self.commits(message)).await
    }

    async fn explain_run(&self, r: Request<ExplainRunRequest>) -> Answer<ExplainRunResponse> {
        self.answer(r, |message| self.explain(message)).await
    }

    async fn pause_run(&self, r: Request<PauseRunRequest>) -> Answer<PauseRunResponse> {
        let work = |message: PauseRunRequest| async move {
            let run = self.change(&message.name, Change::Pause).await?;
            Ok(PauseRunResponse { run: Some(run) })
        };
        self.answer(r, work).await
    }

    async fn resume_run(&self, r: Request<ResumeRunRequest>) -> Answer<ResumeRunResponse> {
        let work = |message: ResumeRunRequest| async move {
            let run = self.change(&message.name, Change::Resume).await?;
            Ok(ResumeRunResponse { run: Some(run) })
        };
        self.answer(r, work).await
    }

    async fn cancel_run(&self, r: Request<CancelRunRequest>) -> Answer<CancelRunResponse> {
        let work = |message: CancelRunRequest| async move {
            let run = self.change(&message.name, Change::Cancel).await?;
            Ok(CancelRunResponse { run: Some(run) })
        };
        self.answer(r, work).await
    }

    async fn recover_run(&self, r: Request<RecoverRunRequest>) -> Answer<RecoverRunResponse> {
        let work = |message: RecoverRunRequest| async move {
            let run = self.recover(&message.name).await?;
            Ok(RecoverRunResponse { run: Some(run) })
        };
        self.answer(r, work).await
    }

    async fn expedite_run(&self, r: Request<ExpediteRunRequest>) -> Answer<ExpediteRunResponse> {
        let work = |message: ExpediteRunRequest| async move {
            let run = self.change(&message.name, Change::Expedite).await?;
            Ok(ExpediteRunResponse { run: Some(run) })
        };
        self.answer(r, work).await
    }

    async fn remove_run(&self, r: Request<RemoveRunRequest>) -> Answer<RemoveRunResponse> {
        self.answer(r, |message| self.remove(message)).await
    }

    async fn signal_run(&self, r: Request<SignalRunRequest>) -> Answer<SignalRunResponse> {
        self.answer(r, |message| self.signal(message)).await
    }

    async fn list_engines(&self, r: Request<ListEnginesRequest>) -> Answer<ListEnginesResponse> {
        let work = |_| async move {
            let engines = self.engines().await?;
            Ok(ListEnginesResponse { engines })
        };
        self.answer(r, work).await
    }

    async fn watch_cluster(
        &self,
        r: Request<WatchClusterRequest>,
    ) -> Answer<Stream<WatchClusterResponse>> {
        self.answer(r, |_| self.follow_cluster()).await
    }

    async fn drain_engine(&self, r: Request<DrainEngineRequest>) -> Answer<DrainEngineResponse> {
        self.answer(r, |message| self.drain(message)).await
    }

    async fn set_throttle(&self, r: Request<SetThrottleRequest>) -> Answer<SetThrottleResponse> {
        self.answer(r, |message| self.set_limits(message)).await
    }

    async fn list_throttles(
        &self,
        r: Request<ListThrottlesRequest>,
    ) -> Answer<ListThrottlesResponse> {
        self.answer(r, |_| self.throttles()).await
    }

    async fn list_takeovers(
        &self,
        r: Request<ListTakeoversRequest>,
    ) -> Answer<ListTakeoversResponse> {
        self.answer(r, |message| self.takeovers(message)).await
    }

    async fn list_failovers(
        &self,
        r: Request<ListFailoversRequest>,
    ) -> Answer<ListFailoversResponse> {
        self.answer(r, |message| self.failovers(message)).await
    }
}
