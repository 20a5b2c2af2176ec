//! Several engines on one store, and the clients beside them: real processes.

use crate::flux::{Flux, FluxBuilder};
use crate::history::{Did, Evidence, FailoverEntry, LOGS, Nanos, Record, Recorder, RunEntry, now};
use crate::wait::{pause, wait_until};
use crate::witness::Witness;
use flux_testkit_postgres::{Database, Server};
use serde_json::Value;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for anything; nothing waits for it when all is well.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How long lines of an engine's log may be on their way to the test.
const ON_ITS_WAY: Duration = Duration::from_secs(5);

/// The variable that names the database of an engine or client.
const DATABASE: &str = "FLUX_DATABASE_URL";

/// A directory with a store of its own, and how to start engines and clients on it.
#[derive(Debug)]
pub struct Cluster {
    binary: OsString,
    window: String,
    directory: Arc<TempDir>,
    recorder: Recorder,
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
            recorder: Recorder::new(),
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

    /// Lets clients that come from now on ask the database with this URL: it has moved.
    pub fn move_to(&mut self, url: &str) {
        self.url = Some(url.to_owned());
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

    /// A process on the store whose engine, if it has one, leaves a trail.
    fn process(&self) -> FluxBuilder {
        let directory = Arc::clone(&self.directory);
        let builder = FluxBuilder::within(&self.binary, directory, self.recorder.clone())
            .env("FLUX_LOG_FORMAT", "json");
        match &self.url {
            Some(url) => builder.env(DATABASE, url),
            None => builder,
        }
    }

    /// An engine to be started, with this label.
    pub fn engine(&self, name: &str) -> FluxBuilder {
        self.process()
            .env("RUST_LOG", format!("info,{LOGS}"))
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
        let client = self.process().env("RUST_LOG", format!("error,{LOGS}"));
        client.args(args).spawn()
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
        let ids: Vec<String> = ids.lines().map(str::to_owned).collect();
        ids.iter().for_each(|run| self.acknowledged(run));
        ids
    }

    /// Takes down that a client was told of this run's start.
    pub fn acknowledged(&self, run: &str) {
        self.recorder.did(Did::Submitted(run.to_owned()));
    }

    /// Takes down that the database was hindered from that time on until now, for all processes.
    pub fn disturbed(&self, since: Nanos) {
        self.recorder.did(Did::Disturbed(None, since));
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

    /// All that is known of this test so far, to be checked at its end; `witness` is the one to
    /// which its actions appended, if they did.
    #[track_caller]
    pub fn evidence(&self, witness: Option<&Witness>) -> Evidence {
        let read_at = now();
        let record = self.record();
        let mut evidence = Evidence {
            record,
            read_at,
            marks: witness.map(Witness::marks).unwrap_or_default(),
            ..Evidence::default()
        };
        // What is on its way through a pipe is waited for; whether it comes is for the checks.
        let start = Instant::now();
        loop {
            (evidence.deeds, evidence.trail) = self.recorder.read();
            if evidence.is_whole() || start.elapsed() > ON_ITS_WAY {
                return evidence;
            }
            pause();
        }
    }

    fn record(&self) -> Record {
        let all = self.json(&["list", "--limit", "100000"]);
        let ids = all["runs"].as_array().into_iter().flatten();
        let ids = ids.filter_map(|run| run["id"].as_str());
        let runs = ids.map(|id| RunEntry::parse(&self.show(id), &self.json(&["history", id])));
        let runs = runs.collect();
        let members = self.members();
        let incarnation = |member: &Value| member["incarnation"].as_str().map(str::to_owned);
        Record {
            runs,
            members: members.iter().filter_map(incarnation).collect(),
            failovers: self.failovers().iter().map(FailoverEntry::parse).collect(),
        }
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
