//! Several engines on one store, and the clients beside them: real processes.

use crate::flux::{Flux, FluxBuilder};
use crate::wait::wait_until;
use flux_testkit_postgres::{Database, Server};
use serde_json::Value;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Longest wait for anything; nothing waits for it when all is well.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The variable that names the database of an engine or client.
const DATABASE: &str = "FLUX_DATABASE_URL";

/// A directory with a store of its own, and how to start engines and clients on it.
#[derive(Debug)]
pub struct Cluster {
    binary: OsString,
    window: String,
    directory: Arc<TempDir>,
    /// Where the store is, unless it is a file in the directory.
    url: Option<String>,
    /// Dropped with the cluster.
    database: Option<Database>,
}

impl Cluster {
    /// Engines of this binary (`env!("CARGO_BIN_EXE_flux")`) with this failover time window.
    pub fn new(binary: impl Into<OsString>, window: &str) -> Cluster {
        Cluster {
            binary: binary.into(),
            window: window.to_owned(),
            directory: Arc::new(tempfile::tempdir().expect("a temporary directory")),
            url: None,
            database: None,
        }
    }

    /// The same on the PostgreSQL database with this URL.
    #[must_use]
    pub fn on(mut self, url: &str) -> Cluster {
        self.url = Some(url.to_owned());
        self
    }

    /// The same on a database of its own, which the shared PostgreSQL server has as long as the
    /// cluster lives.
    #[must_use]
    #[track_caller]
    pub fn on_shared_server(mut self) -> Cluster {
        let database = Server::shared().create_database();
        self.url = Some(database.url().to_owned());
        self.database = Some(database);
        self
    }

    /// Where all of its processes run.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The binary in the directory, on the store.
    fn binary(&self) -> FluxBuilder {
        let builder = FluxBuilder::within(&self.binary, Arc::clone(&self.directory));
        match &self.url {
            Some(url) => builder.env(DATABASE, url),
            None => builder,
        }
    }

    /// An engine to be started, with this label.
    pub fn engine(&self, name: &str) -> FluxBuilder {
        self.binary()
            .env("FLUX_FAILOVER_TIME_WINDOW", &self.window)
            .env("FLUX_POLL_INTERVAL", "+1s")
            .args(["start", "--name", name])
    }

    /// An engine to be started that reaches the database by another way, such as a proxy.
    pub fn engine_by(&self, url: &str, name: &str) -> FluxBuilder {
        self.engine(name).env(DATABASE, url)
    }

    /// An engine that has joined.
    #[track_caller]
    pub fn start(&self, name: &str) -> Flux {
        let engine = self.engine(name).spawn();
        engine.wait_for_line("ready", PATIENCE);
        engine
    }

    /// A client that may fail.
    pub fn client(&self, args: &[&str]) -> Flux {
        self.binary().args(args).spawn()
    }

    /// What a client printed, which must succeed.
    #[track_caller]
    pub fn flux(&self, args: &[&str]) -> String {
        let mut client = self.client(args);
        let status = client.wait(PATIENCE);
        assert!(status.success(), "flux {args:?}: {:?}", client.stderr());
        client.stdout().join("\n")
    }

    /// The same as JSON.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let text = self.flux(&[args, &["-o", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("flux {args:?}: {error}: {text}"))
    }

    /// Starts runs of a definition with these tasks; their ids.
    #[track_caller]
    pub fn submit(&self, name: &str, tasks: &str, count: usize) -> Vec<String> {
        self.submit_with(name, "every-action", tasks, count)
    }

    /// The same with breaks of this kind.
    #[track_caller]
    pub fn submit_with(&self, name: &str, breaks: &str, tasks: &str, count: usize) -> Vec<String> {
        let text = format!(
            "document: {{ dsl: '1.0.3', namespace: test, name: {name}, version: '1.0.0', \
             metadata: {{ flux: {{ breaks: {breaks} }} }} }}\ndo:\n{tasks}"
        );
        let file = format!("{name}.yaml");
        std::fs::write(self.directory().join(&file), text).expect("the directory is writable");
        let ids = self.flux(&["submit", &file, "--count", &count.to_string()]);
        ids.lines().map(str::to_owned).collect()
    }

    /// A run with its branches.
    #[track_caller]
    pub fn show(&self, run: &str) -> Value {
        self.json(&["show", run])
    }

    /// Waits until the run is in this state.
    #[track_caller]
    pub fn wait_for_state(&self, run: &str, state: &str) {
        wait_until(&format!("run {run} is {state}"), PATIENCE * 2, || {
            self.show(run)["state"] == state
        });
    }

    /// The engines that were declared dead.
    #[track_caller]
    pub fn failovers(&self) -> Vec<Value> {
        let all = self.json(&["cluster", "failovers"]);
        all["failovers"].as_array().cloned().unwrap_or_default()
    }

    /// The members.
    #[track_caller]
    pub fn members(&self) -> Vec<Value> {
        let all = self.json(&["cluster", "status"]);
        all["engines"].as_array().cloned().unwrap_or_default()
    }
}

/// A YAML task that runs a shell command.
pub fn shell_task(name: &str, command: &str) -> String {
    let command = command.replace('\'', "''");
    format!("  - {name}: {{ run: {{ shell: {{ command: '{command}' }} }} }}\n")
}

/// Whether a process runs; a killed orphan may stay a zombie where nobody adopts it.
pub fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat.contains(") Z"))
}
