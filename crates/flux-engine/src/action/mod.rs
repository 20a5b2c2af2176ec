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
mod process;
mod script;
mod shell;
#[cfg(test)]
mod tests;
mod with;

use flux_core::chart::{ActionKind, Fault, FaultKind};
use flux_core::clock::Timestamp;
use flux_core::ids::{BranchId, Epoch, RunId};
use flux_core::value::{self, Value};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use with::With;

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
        }
    }
}

/// Performs actions. One for the whole engine: it keeps connections and access tokens.
pub struct Actions {
    config: Config,
    http: http::Http,
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
        Ok(Actions { config, http })
    }

    /// Performs one action and returns its output.
    ///
    /// When `cancel` fires, what was started is ended before this returns; the fault then says
    /// that the action was cancelled. Dropping the future kills a process group at once.
    pub async fn perform(
        &self,
        request: Request,
        cancel: CancellationToken,
    ) -> Result<Value, Fault> {
        if cancel.is_cancelled() {
            return Err(cancelled(request.kind));
        }
        let parameters = value::to_serde(&request.with);
        let with = With::of(request.kind.name(), &parameters)?;
        let output = match request.kind {
            ActionKind::Http => self.http.perform(&with, &request, &cancel).await,
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

    async fn run(
        &self,
        command: child::Command,
        with: &With<'_>,
        request: &Request,
        cancel: &CancellationToken,
    ) -> Result<serde_json::Value, Fault> {
        let options = child::Options::read(with, &self.config)?;
        child::run(command, options, request, cancel).await
    }
}

fn cancelled(kind: ActionKind) -> Fault {
    Fault::new(
        FaultKind::Runtime,
        format!("the {} action was cancelled", kind.name()),
    )
}
