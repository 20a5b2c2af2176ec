//! Real engines: processes of this very program, on the store of the benchmark.

use super::proc;
use crate::config::{Config, variable};
use crate::exit::Failure;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// How long an engine may take to join.
const PATIENCE: Duration = Duration::from_secs(60);

/// An engine in a process of its own, which is killed when this is dropped.
pub struct Process {
    child: Child,
    /// Its name.
    pub name: String,
    /// Its number on this machine.
    pub pid: u32,
    /// Which start of the engine this is, as text.
    pub incarnation: String,
    /// Kept open: an engine that cannot print ends.
    _stdout: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts an engine with the settings of `config` and these, and waits until it has joined. What it
    /// says goes to a file in `folder`.
    pub async fn start(
        config: &Config,
        folder: &Path,
        name: &str,
        settings: &[(&str, &str)],
    ) -> Result<Process, Failure> {
        let log = folder.join(format!("{name}.log"));
        let failed = |error: std::io::Error| {
            Failure::new(
                1,
                format!("cannot start engine {name} as a process: {error}"),
            )
        };
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        for (key, setting) in &config.given {
            command.env(variable(key), &setting.value);
        }
        for (key, value) in [("name", name), ("port", "0"), ("engine", "")] {
            command.env(variable(key), value);
        }
        for (key, value) in settings {
            command.env(variable(key), value);
        }
        let mut child = command
            .arg("start")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).map_err(failed)?)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let stdout = child.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(stdout).lines();
        let ready = tokio::time::timeout(PATIENCE, ready(&mut lines)).await;
        let incarnation = ready.ok().flatten().ok_or_else(|| silent(name, &log))?;
        Ok(Process {
            pid: child.id().unwrap_or_default(),
            child,
            name: name.to_owned(),
            incarnation,
            _stdout: lines,
        })
    }

    /// Kills it, as a power failure would, and returns when it is gone.
    pub async fn kill(&mut self) -> Result<(), Failure> {
        let killed = self.child.kill().await;
        killed.map_err(|error| Failure::new(1, format!("cannot kill {}: {error}", self.name)))
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Processor time so far.
    pub fn cpu(&self) -> Duration {
        proc::stat(self.pid)
            .map(|stat| stat.cpu)
            .unwrap_or_default()
    }

    /// Bytes of memory: all of it, and its share of what it shares with others.
    pub fn memory(&self) -> (u64, u64) {
        let resident = proc::memory(&self.pid.to_string())
            .unwrap_or_default()
            .resident;
        (
            resident,
            proc::proportional_memory(self.pid).unwrap_or(resident),
        )
    }
}

/// Its incarnation, once it is ready; `None` when it has ended before.
async fn ready(lines: &mut Lines<BufReader<ChildStdout>>) -> Option<String> {
    loop {
        let line = lines.next_line().await.ok()??;
        if let Some(rest) = line.strip_prefix("ready: ") {
            let (_, rest) = rest.split_once("incarnation ")?;
            return Some(rest.split(',').next()?.to_owned());
        }
    }
}

/// With the last that it said.
fn silent(name: &str, log: &PathBuf) -> Failure {
    let said = std::fs::read_to_string(log).unwrap_or_default();
    let last = said.trim().lines().last().unwrap_or("it said nothing");
    let seconds = PATIENCE.as_secs();
    Failure::new(
        1,
        format!("engine {name} did not join within {seconds} s: {last}"),
    )
}
