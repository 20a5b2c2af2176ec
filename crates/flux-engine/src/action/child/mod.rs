//! Runs one process for shell, script and process alike.
//!
//! The child leads a process group of its own. Its environment is the engine's without `FLUX_*`
//! and `DATABASE_URL`, then the task's `environment`, then: `FLUX_IDEMPOTENCY_KEY`,
//! `FLUX_FENCING_TOKEN`, `FLUX_RUN_ID`, `FLUX_BRANCH_ID`, `FLUX_NODE`, `FLUX_ATTEMPT`,
//! `FLUX_DEADLINE` (RFC 3339) and `TRACEPARENT`, the last two where there is one.
//!
//! A process that ends by itself may leave others of its group behind: they are left alone, as a
//! shell would. When the action is cancelled, the whole group is ended. With a runner between the
//! engine and the child (`crate::runner`), that also happens when the engine dies or freezes, and
//! reaches processes that left the group.

mod options;
mod outcome;
mod running;
mod supervisor;

pub(super) use options::{Arguments, Command, Options};

use super::capture::Captured;
use super::{Failure, Leases, Request, cancelled};
use flux_core::chart::{Fault, FaultKind};
use running::Running;
use serde_json::Value;
use std::io;
use std::path::Path;
use std::process::Stdio;
use supervisor::{Ended, Supervisor};
use tokio::process::Child;
use tokio_util::sync::CancellationToken;

/// Runs it to its end and makes the task's output of it; with a runner in between, if there is one.
pub(super) async fn run(
    command: Command,
    options: Options,
    request: &Request,
    cancel: &CancellationToken,
    runner: Option<(&Path, &Leases)>,
) -> Result<Value, Failure> {
    let failed = |error: &io::Error| {
        let detail = explain(error, &command, &options);
        Failure::from(Fault::new(FaultKind::Runtime, detail))
    };
    let (child, supervisor) = match runner {
        Some((program, leases)) => {
            let started = Supervisor::start(program, &command, &options, request, leases);
            let (child, supervisor) = started.map_err(|error| unsupervised(&error))?;
            (child, Some(supervisor))
        }
        None => {
            let child = start(&command, &options, request).map_err(|error| failed(&error))?;
            (child, None)
        }
    };
    let mut stdout = Captured::new(options.max_output);
    let mut stderr = Captured::new(options.max_output);
    let stdin = options.stdin.as_deref();
    let ended = {
        let mut running = Running::new(child, supervisor, stdin, &mut stdout, &mut stderr);
        tokio::select! {
            ended = running.finish() => Some(ended),
            () = cancel.cancelled() => {
                running.end(options.kill_grace).await;
                None
            }
        }
    };
    match ended {
        None => Err(cancelled(request.kind).into()),
        Some(Ok(Ended::Expired)) => Err(Failure::Expired),
        Some(Ok(Ended::Status(status))) => Ok(outcome::output(
            &command, &options, status, &stdout, &stderr,
        )?),
        Some(Err(error)) => Err(failed(&error)),
    }
}

fn unsupervised(error: &io::Error) -> Fault {
    let detail = format!("the process's supervisor could not be started: {error}");
    Fault::new(FaultKind::Runtime, detail)
}

fn start(command: &Command, options: &Options, request: &Request) -> io::Result<Child> {
    let mut process = tokio::process::Command::new(&command.program);
    process.args(&command.arguments);
    clean(&mut process);
    process.envs(
        options
            .environment
            .iter()
            .map(|(name, value)| (name, value)),
    );
    process.envs(identity(request));
    if let Some(directory) = &options.directory {
        process.current_dir(directory);
    }
    process.stdin(if options.stdin.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    });
    process.stdout(Stdio::piped()).stderr(Stdio::piped());
    process.process_group(0).kill_on_drop(true).spawn()
}

/// The engine's settings and secrets are not the process's.
fn clean(process: &mut tokio::process::Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("FLUX_") || text == "DATABASE_URL" || text == "TRACEPARENT" {
            process.env_remove(name);
        }
    }
}

/// How the process can tell which step it is.
fn identity(request: &Request) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("FLUX_IDEMPOTENCY_KEY", request.key.clone()),
        ("FLUX_FENCING_TOKEN", request.epoch.to_string()),
        ("FLUX_RUN_ID", request.run.to_string()),
        ("FLUX_BRANCH_ID", request.branch.to_string()),
        ("FLUX_NODE", request.node.clone()),
        ("FLUX_ATTEMPT", request.attempt.to_string()),
    ];
    variables.extend(
        request
            .deadline
            .map(|deadline| ("FLUX_DEADLINE", deadline.to_string())),
    );
    variables.extend(
        request
            .traceparent
            .clone()
            .map(|parent| ("TRACEPARENT", parent)),
    );
    variables
}

/// Why it did not start, where, and what to do. The directory is looked at only now: the system
/// reports a missing one exactly like a missing program.
fn explain(error: &io::Error, command: &Command, options: &Options) -> String {
    const E2BIG: i32 = 7;
    const ENOEXEC: i32 = 8;
    let name = &command.name;
    if let Some(directory) = options.directory.as_ref().filter(|path| !path.is_dir()) {
        return format!(
            "{name} cannot run in {}, which is not a directory on this engine's machine; create \
             it or change `workingDirectory`",
            directory.display()
        );
    }
    match (error.kind(), error.raw_os_error()) {
        (io::ErrorKind::NotFound, _) => command.missing.clone(),
        (io::ErrorKind::PermissionDenied, _) => format!(
            "the engine's user may not run {name} (or enter its `workingDirectory`); make it \
             executable with `chmod +x` or allow the user"
        ),
        (io::ErrorKind::InvalidInput, _) => {
            format!("{name} cannot start: its arguments or environment contain a NUL character")
        }
        (_, Some(E2BIG)) => format!(
            "{name} cannot start: its arguments and environment are too long for the system; hand \
             large data over in `stdin`"
        ),
        (_, Some(ENOEXEC)) => format!(
            "{name} is no program of this machine; a script needs a first line such as #!/bin/sh"
        ),
        _ => format!("{name} could not be run: {error}"),
    }
}
