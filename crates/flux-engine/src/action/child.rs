//! Runs one process for shell, script and process alike.
//!
//! The child leads a process group of its own. Its environment is the engine's without `FLUX_*`
//! and `DATABASE_URL`, then the task's `environment`, then: `FLUX_IDEMPOTENCY_KEY`,
//! `FLUX_FENCING_TOKEN`, `FLUX_RUN_ID`, `FLUX_BRANCH_ID`, `FLUX_NODE`, `FLUX_ATTEMPT`,
//! `FLUX_DEADLINE` (RFC 3339) and `TRACEPARENT`, the last two where there is one.
//!
//! A process that ends by itself may leave others of its group behind: they are left alone, as a
//! shell would. When the action is cancelled, the whole group is ended.

use super::capture::Captured;
use super::with::{Text, Texts, With};
use super::{Config, Request, cancelled};
use flux_core::chart::{Fault, FaultKind};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use std::future::Future;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long the outputs may stay open after the child has ended: somebody else holds them, such as
/// a daemon it started.
const LINGER: Duration = Duration::from_millis(250);

/// Most that a task may ask to keep of an output.
const MOST_OUTPUT: usize = 64 << 20;

/// What to start.
#[derive(Debug)]
pub(super) struct Command {
    /// As faults call it.
    pub name: String,
    /// Looked up on the PATH unless it contains a slash.
    pub program: String,
    /// After the program's name.
    pub arguments: Vec<String>,
    /// What a fault says when the program does not exist.
    pub missing: String,
}

/// Arguments as a list of texts, or as a map: each entry becomes `name=value`, in the order
/// written; `name` alone when its value is null.
#[derive(Debug, Default)]
pub(super) struct Arguments(pub Vec<String>);

impl<'de> Deserialize<'de> for Arguments {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Arguments, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if let Value::Object(map) = value {
            let word = |(name, value): (String, Value)| match Text::of(&value) {
                Some(text) => format!("{name}={}", text.0),
                None => name,
            };
            return Ok(Arguments(map.into_iter().map(word).collect()));
        }
        let list = Vec::<Text>::deserialize(value).map_err(serde::de::Error::custom)?;
        Ok(Arguments(list.into_iter().map(|text| text.0).collect()))
    }
}

/// What the task's output is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Return {
    /// Text of the standard output.
    #[default]
    Stdout,
    /// Text of the standard error.
    Stderr,
    /// The exit code; 128 + n after signal n.
    Code,
    /// `{code, stdout, stderr}`, and `truncated: true` when one of the texts is not whole.
    All,
    /// Null.
    None,
}

/// What the three kinds have in common.
#[derive(Debug)]
pub(super) struct Options {
    environment: Vec<(String, String)>,
    stdin: Option<Vec<u8>>,
    returns: Return,
    directory: Option<PathBuf>,
    max_output: usize,
    exit_codes: Vec<i32>,
    kill_grace: Duration,
}

impl Options {
    /// From the task's parameters, and the engine's settings where the task says nothing.
    pub fn read(with: &With, config: &Config) -> Result<Options, Fault> {
        let environment: Texts = with.optional("environment", "{ LANG: C }")?;
        let max_output = with.optional::<Option<usize>>("maxOutput", "1048576")?;
        if max_output.is_some_and(|bytes| bytes > MOST_OUTPUT) {
            return Err(with.fault(&format!("`maxOutput` must be at most {MOST_OUTPUT} bytes")));
        }
        let exit_codes = with.optional::<Option<Vec<i32>>>("exitCodes", "[0, 1]")?;
        let directory = with.optional::<Option<PathBuf>>("workingDirectory", "/var/data")?;
        Ok(Options {
            environment: environment.0,
            stdin: with
                .raw("stdin")
                .and_then(Text::of)
                .map(|text| text.0.into_bytes()),
            returns: with.optional("return", "stdout")?,
            // A relative directory is one below the engine's.
            directory: match (&config.working_directory, directory) {
                (Some(base), Some(below)) => Some(base.join(below)),
                (base, below) => below.or_else(|| base.clone()),
            },
            max_output: max_output.unwrap_or(config.max_output),
            exit_codes: exit_codes.unwrap_or_else(|| vec![0]),
            kill_grace: config.kill_grace,
        })
    }
}

/// Runs it to its end and makes the task's output of it.
pub(super) async fn run(
    command: Command,
    options: Options,
    request: &Request,
    cancel: &CancellationToken,
) -> Result<Value, Fault> {
    let mut child = start(&command, &options, request)
        .map_err(|error| Fault::new(FaultKind::Runtime, explain(&error, &command, &options)))?;
    let mut stdout = Captured::new(options.max_output);
    let mut stderr = Captured::new(options.max_output);
    let ended = {
        let pipes = pipes(
            &mut child,
            options.stdin.as_deref(),
            &mut stdout,
            &mut stderr,
        );
        let mut running = Running {
            group: Group::of(&child),
            child,
            pipes: Box::pin(pipes),
            open: true,
        };
        tokio::select! {
            status = running.finish() => Some(status),
            () = cancel.cancelled() => {
                running.end(options.kill_grace).await;
                None
            }
        }
    };
    match ended {
        None => Err(cancelled(request.kind)),
        Some(Ok(status)) => output(&command, &options, status, &stdout, &stderr),
        Some(Err(error)) => Err(Fault::new(
            FaultKind::Runtime,
            format!("{} could not be waited for: {error}", command.name),
        )),
    }
}

fn start(command: &Command, options: &Options, request: &Request) -> io::Result<Child> {
    let mut process = tokio::process::Command::new(&command.program);
    process.args(&command.arguments);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("FLUX_") || text == "DATABASE_URL" || text == "TRACEPARENT" {
            process.env_remove(name);
        }
    }
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
        _ => format!("{name} could not be started: {error}"),
    }
}

/// Feeds and drains the three pipes at once, until all are closed.
fn pipes<'a>(
    child: &mut Child,
    stdin: Option<&'a [u8]>,
    stdout: &'a mut Captured,
    stderr: &'a mut Captured,
) -> impl Future<Output = ()> + Send + use<'a> {
    let feed = feed(child.stdin.take(), stdin.unwrap_or_default());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    async move {
        tokio::join!(feed, stdout.drain(out), stderr.drain(err));
    }
}

async fn feed(pipe: Option<ChildStdin>, bytes: &[u8]) {
    if let Some(mut pipe) = pipe {
        // A process need not read all (or any) of its input.
        let _ = pipe.write_all(bytes).await;
    }
}

/// A started child with its pipes. The group comes first: it is dropped, and killed, before the
/// child, whose drop lets the system forget it.
struct Running<'a> {
    group: Group,
    child: Child,
    pipes: Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
    open: bool,
}

impl Running<'_> {
    /// Until the child has ended by itself and its outputs are read.
    async fn finish(&mut self) -> io::Result<ExitStatus> {
        let status = self.exit().await;
        self.group.forget();
        // Time runs out when another process holds a pipe; what it has to say is not awaited.
        let _ = timeout(LINGER, self.close()).await;
        status
    }

    /// Until nothing of the group is left.
    async fn end(&mut self, grace: Duration) {
        self.group.signal(Signal::TERM);
        let gone = async {
            let _ = self.exit().await;
            self.close().await;
        };
        let _ = timeout(grace, gone).await;
        // Members may be left even when the leader and the pipes are gone. The group's id cannot
        // have passed to strangers: as long as a member is left it is taken, and if none is, the
        // system hands out all other ids before it comes back to one just freed.
        self.group.signal(Signal::KILL);
        let _ = self.child.wait().await;
        self.group.forget();
        // The pipes close when the last member is dead, unless one had left the group.
        let _ = timeout(LINGER, self.close()).await;
    }

    async fn exit(&mut self) -> io::Result<ExitStatus> {
        loop {
            tokio::select! {
                status = self.child.wait() => return status,
                () = &mut self.pipes, if self.open => self.open = false,
            }
        }
    }

    async fn close(&mut self) {
        if self.open {
            (&mut self.pipes).await;
            self.open = false;
        }
    }
}

/// The process group of a child; killed on drop unless it was forgotten.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Group {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Group(id.and_then(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // The error says that nobody is left.
            let _ = kill_process_group(group, signal);
        }
    }

    fn forget(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

fn output(
    command: &Command,
    options: &Options,
    status: ExitStatus,
    stdout: &Captured,
    stderr: &Captured,
) -> Result<Value, Fault> {
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    let judged = matches!(options.returns, Return::Code | Return::All);
    let expected = status.signal().is_none() && options.exit_codes.contains(&code);
    if !judged && !expected {
        let how = match status.signal() {
            Some(signal) => format!("was ended by {}", signal_name(signal)),
            None => format!("ended with exit code {code}"),
        };
        let mut detail = format!("{} {how}", command.name);
        let reason = stderr.last_lines();
        if !reason.is_empty() {
            detail.push_str(": ");
            detail.push_str(&reason);
        }
        return Err(Fault::new(FaultKind::Runtime, detail));
    }
    Ok(match options.returns {
        Return::Stdout => json!(stdout.marked()),
        Return::Stderr => json!(stderr.marked()),
        Return::Code => json!(code),
        Return::None => Value::Null,
        Return::All => {
            let mut all = json!({"code": code, "stdout": stdout.text(), "stderr": stderr.text()});
            if stdout.truncated() || stderr.truncated() {
                all["truncated"] = Value::Bool(true);
            }
            all
        }
    })
}

fn signal_name(number: i32) -> String {
    let known = [
        (Signal::HUP, "SIGHUP"),
        (Signal::INT, "SIGINT"),
        (Signal::QUIT, "SIGQUIT"),
        (Signal::ILL, "SIGILL"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::BUS, "SIGBUS"),
        (Signal::FPE, "SIGFPE"),
        (
            Signal::KILL,
            "SIGKILL (killed from outside, or out of memory)",
        ),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::PIPE, "SIGPIPE"),
        (Signal::TERM, "SIGTERM"),
        (Signal::XCPU, "SIGXCPU (processor time limit)"),
        (Signal::XFSZ, "SIGXFSZ (file size limit)"),
    ];
    let name = known.iter().find(|(signal, _)| signal.as_raw() == number);
    name.map_or_else(
        || format!("signal {number}"),
        |(_, name)| (*name).to_owned(),
    )
}
