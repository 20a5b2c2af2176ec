//! Actions: the work that a run does outside the engine's memory. This file only dispatches; each
//! action has a file of its own.
//!
//! An action runs at least once between two commit points. So that the outside can tell a repeated
//! attempt and a replaced owner, each action hands on an idempotency key and a fencing token: HTTP
//! as the headers `Idempotency-Key` and `Flux-Fencing-Token`, processes as the variables
//! `FLUX_IDEMPOTENCY_KEY` and `FLUX_FENCING_TOKEN` (all of them: `child/mod.rs`).

mod capture;
mod child;
mod http;
mod leases;
mod process;
mod script;
mod shell;
#[cfg(test)]
mod tests;
mod with;

use async_trait::async_trait;
use flux_core::chart::{ActionKind, Fault, FaultKind};
use flux_core::clock::Timestamp;
use flux_core::host::Host;
use flux_core::ids::{BranchId, Epoch, RunId};
use flux_core::value::{self, Value};
use flux_failover::TrustHandle;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use with::With;

use leases::Leases;

/// One action to perform.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which action.
    pub kind: ActionKind,
    /// Its evaluated parameters, of the shape that [`ActionKind`] documents.
    pub with: Value,
    /// The run it belongs to.
    pub run: RunId,
    /// The branch it belongs to.
    pub branch: BranchId,
    /// JSON pointer of the task in its definition.
    pub node: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Idempotency key: the same for every attempt of the same step.
    pub key: String,
    /// Fencing token: higher for each later owner of the branch.
    pub epoch: Epoch,
    /// When the task times out. Told to the action; the caller enforces it by cancelling.
    pub deadline: Option<Timestamp>,
    /// W3C trace context to hand on.
    pub traceparent: Option<String>,
}

/// Settings of the actions.
#[derive(Clone, Debug)]
pub struct Config {
    /// `(host, port, address)`: connect to `address` for `host`, instead of asking the DNS. Ports
    /// 80 and 443 may be moved to any port; other ports stay as they are.
    pub http_resolve: Vec<(String, u16, SocketAddr)>,
    /// PEM file of certificate authorities to trust besides those of the system.
    pub http_ca_file: Option<PathBuf>,
    /// Bytes kept of each output of a process unless the task sets `maxOutput`.
    pub max_output: usize,
    /// Most bytes of an HTTP answer.
    pub max_body: usize,
    /// Longest duration of one HTTP exchange, connecting and reading the body included.
    pub http_timeout: Duration,
    /// Between SIGTERM and SIGKILL.
    pub kill_grace: Duration,
    /// Where processes run unless the task sets `workingDirectory`; the engine's own when absent.
    pub working_directory: Option<PathBuf>,
    /// A program that calls [`crate::runner::main`] when its first argument is
    /// [`crate::runner::ARGUMENT`]: each process is then started by one, which kills it when the
    /// engine dies or its right to act ends. Without it, processes outlive an engine that is killed.
    pub runner: Option<PathBuf>,
}

/// Why an action gave no output.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// It failed, which its definition may catch.
    Fault(Fault),
    /// It was stopped because this engine's right to act had passed; nothing is known of it.
    Expired,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        Failure::Fault(fault)
    }
}

impl Default for Config {
    fn default() -> Config {
        Config {
            http_resolve: Vec::new(),
            http_ca_file: None,
            max_output: 1 << 20,
            max_body: 8 << 20,
            http_timeout: Duration::from_secs(60),
            kill_grace: Duration::from_secs(10),
            working_directory: None,
            runner: None,
        }
    }
}

/// Does the work that an engine's runs ask for.
#[async_trait]
pub trait Perform: Send + Sync {
    /// Performs one action and returns its output.
    ///
    /// When `cancel` fires, what was started is ended before this returns. Dropping the future
    /// ends it at once.
    async fn perform(&self, request: Request, cancel: CancellationToken) -> Result<Value, Failure>;

    /// From now on what runs may live for as long as this trust says, until `end`.
    ///
    /// # Errors
    /// When the system refuses a thread.
    fn trust(&self, trust: TrustHandle, end: CancellationToken, host: &dyn Host) -> io::Result<()>;
}

/// The real actions. One for the whole engine: it keeps connections and access tokens.
pub struct Actions {
    config: Config,
    http: http::Http,
    leases: Leases,
}

impl Actions {
    /// Prepares for the actions; the error names the setting that is wrong.
    pub fn new(config: Config) -> Result<Actions, String> {
        let http = http::Http::new(&config)?;
        if let Some(directory) = &config.working_directory
            && !directory.is_dir()
        {
            return Err(format!(
                "working_directory: {} is not a directory; create it or name another",
                directory.display()
            ));
        }
        Ok(Actions {
            config,
            http,
            leases: Leases::default(),
        })
    }

    async fn run(
        &self,
        command: child::Command,
        with: &With<'_>,
        request: &Request,
        cancel: &CancellationToken,
    ) -> Result<serde_json::Value, Failure> {
        let options = child::Options::read(with, &self.config)?;
        let runner = self.config.runner.as_deref();
        let how = runner.map(|runner| (runner, &self.leases));
        child::run(command, options, request, cancel, how).await
    }
}

#[async_trait]
impl Perform for Actions {
    /// When it was cancelled, the fault says so. Dropping the future kills a process group.
    async fn perform(&self, request: Request, cancel: CancellationToken) -> Result<Value, Failure> {
        if cancel.is_cancelled() {
            return Err(cancelled(request.kind).into());
        }
        let parameters = value::to_serde(&request.with);
        let with = With::of(request.kind.name(), &parameters)?;
        let output = match request.kind {
            ActionKind::Http => Ok(self.http.perform(&with, &request, &cancel).await?),
            ActionKind::Shell => {
                self.run(shell::command(&with)?, &with, &request, &cancel)
                    .await
            }
            ActionKind::Process => {
                self.run(process::command(&with)?, &with, &request, &cancel)
                    .await
            }
            ActionKind::Script => {
                let script = script::command(&with)?;
                self.run(script.command, &with, &request, &cancel).await
            }
        }?;
        Ok(value::from_serde(output))
    }

    /// Told from a thread of its own, so that a busy runtime costs no process its life.
    fn trust(&self, trust: TrustHandle, end: CancellationToken, host: &dyn Host) -> io::Result<()> {
        let follow = self.leases.clone().follow(trust, end);
        host.spawn_apart("flux-leases", Box::pin(follow))
    }
}

fn cancelled(kind: ActionKind) -> Fault {
    Fault::new(
        FaultKind::Runtime,
        format!("the {} action was cancelled", kind.name()),
    )
}
