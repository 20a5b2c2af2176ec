//! A client of a Flux cluster, over gRPC.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use flux_client::{Client, Options, v1};
//!
//! let client = Client::new(&["http://127.0.0.1:7520"], Options::default())?;
//! let run = v1::NewRun {
//!     workflow: "namespaces/default/workflows/hello/versions/latest".to_owned(),
//!     input_json: r#"{"name": "Ada"}"#.to_owned(),
//!     ..v1::NewRun::default()
//! };
//! let submitted = client.submit_runs(vec![run]).await?;
//! let mut watch = client.watch_run(&submitted[0].name);
//! while let Some(news) = watch.next().await? {
//!     println!("{} commits more", news.commits.len());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Several addresses may be given: when an engine cannot be reached, or says that it is not able to
//! answer now, the next one is asked. That is safe, because asking again changes nothing: what a
//! submission may lack for that, a `request_id`, is added.

mod channels;
mod error;
mod watch;

pub use channels::Options;
pub use error::Error;
pub use flux_proto::v1;
pub use flux_proto::{Duration, Timestamp};
pub use watch::Watch;

use channels::Channels;
use std::sync::Arc;
use v1::flux_service_client::FluxServiceClient;

/// What calls go through.
type Service = FluxServiceClient<channels::Authorized>;

/// A client of a cluster. Clones share its connections.
#[derive(Clone)]
pub struct Client {
    channels: Arc<Channels>,
}

/// Writes a method for each call: its name, its request, and what of the answer is returned.
macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($request:ident) -> $answer:ident;)*) => {
        $($(#[$doc])*
        ///
        /// # Errors
        /// What the engine says, or that none could be reached in time.
        pub async fn $name(&self, request: v1::$request) -> Result<v1::$answer, Error> {
            self.channels
                .call(|mut service: Service| {
                    let request = request.clone();
                    async move { service.$name(request).await }
                })
                .await
        })*
    };
}

impl Client {
    /// A client of the engines at these addresses, such as `http://127.0.0.1:7520`. Nothing is
    /// connected before it is needed.
    ///
    /// # Errors
    /// If an address or a setting is wrong.
    pub fn new(addresses: &[impl AsRef<str>], options: Options) -> Result<Client, Error> {
        Ok(Client {
            channels: Arc::new(Channels::new(addresses, options)?),
        })
    }

    /// Starts runs, all or none, and answers when they are durable. Those without a `request_id` get
    /// one, so that no run is started twice when an engine dies before it has answered.
    ///
    /// # Errors
    /// What the engine says, or that none could be reached in time.
    pub async fn submit_runs(
        &self,
        mut runs: Vec<v1::NewRun>,
    ) -> Result<Vec<v1::SubmittedRun>, Error> {
        for run in &mut runs {
            if run.request_id.is_empty() {
                run.request_id = uuid::Uuid::now_v7().to_string();
            }
        }
        let request = v1::SubmitRunsRequest { runs };
        let answer = self
            .channels
            .call(|mut service: Service| {
                let request = request.clone();
                async move { service.submit_runs(request).await }
            })
            .await?;
        Ok(answer.runs)
    }

    /// Delivers an event; one without an `id` gets one, so that it is not delivered twice.
    ///
    /// # Errors
    /// What the engine says, or that none could be reached in time.
    pub async fn signal_run(
        &self,
        mut request: v1::SignalRunRequest,
    ) -> Result<v1::SignalRunResponse, Error> {
        if request.id.is_empty() {
            request.id = uuid::Uuid::now_v7().to_string();
        }
        self.channels
            .call(|mut service: Service| {
                let request = request.clone();
                async move { service.signal_run(request).await }
            })
            .await
    }

    /// Follows a run until it has ended, on whichever engine can be reached: nothing is told twice, and
    /// nothing is left out.
    #[must_use]
    pub fn watch_run(&self, name: &str) -> Watch {
        Watch::new(Arc::clone(&self.channels), name.to_owned())
    }

    calls! {
        /// Deploys a definition, or only checks it.
        deploy_workflow(DeployWorkflowRequest) -> DeployWorkflowResponse;
        /// One workflow version, with its definition.
        get_workflow(GetWorkflowRequest) -> GetWorkflowResponse;
        /// The deployed workflow versions.
        list_workflows(ListWorkflowsRequest) -> ListWorkflowsResponse;
        /// When workflows start by themselves.
        list_schedules(ListSchedulesRequest) -> ListSchedulesResponse;
        /// One run.
        get_run(GetRunRequest) -> GetRunResponse;
        /// Runs, newest first.
        list_runs(ListRunsRequest) -> ListRunsResponse;
        /// The branches of a run.
        list_branches(ListBranchesRequest) -> ListBranchesResponse;
        /// What the commits of a run stored.
        list_commits(ListCommitsRequest) -> ListCommitsResponse;
        /// Why a run does not go on.
        explain_run(ExplainRunRequest) -> ExplainRunResponse;
        /// Holds a run back.
        pause_run(PauseRunRequest) -> PauseRunResponse;
        /// Lets a paused run go on.
        resume_run(ResumeRunRequest) -> ResumeRunResponse;
        /// Ends a run.
        cancel_run(CancelRunRequest) -> CancelRunResponse;
        /// Sends a faulted run back to its commit points.
        recover_run(RecoverRunRequest) -> RecoverRunResponse;
        /// Makes due now what waits for a time.
        expedite_run(ExpediteRunRequest) -> ExpediteRunResponse;
        /// Removes a run that has ended.
        remove_run(RemoveRunRequest) -> RemoveRunResponse;
        /// The engines of the cluster.
        list_engines(ListEnginesRequest) -> ListEnginesResponse;
        /// Asks an engine to drain.
        drain_engine(DrainEngineRequest) -> DrainEngineResponse;
        /// Limits how many branches run at the same time.
        set_throttle(SetThrottleRequest) -> SetThrottleResponse;
        /// The throttles, with who holds their slots.
        list_throttles(ListThrottlesRequest) -> ListThrottlesResponse;
        /// The engines that were declared dead.
        list_failovers(ListFailoversRequest) -> ListFailoversResponse;
        /// What became of the branches of an engine that was declared dead.
        list_takeovers(ListTakeoversRequest) -> ListTakeoversResponse;
    }
}
