//! A real engine on a real store in a temporary directory.

use flux_core::branch::RunState;
use flux_core::clock::Clock;
use flux_core::host::Host;
use flux_core::ids::RunId;
use flux_core::ports::members::Members;
use flux_core::ports::peers::Alone;
use flux_core::ports::runs::{Event, Outcome, RunRecord, Runs, Signalled};
use flux_core::value;
use flux_engine::{Config, Engine, RunOptions, Stores, action, deploy, new_run};
use flux_failover::{SystemClock, SystemHost};
use flux_store::{Options, SqliteStore, Store};
use flux_testkit::wait_until_async;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Longest wait for anything in these tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A store and the engines on it.
pub struct House {
    pub directory: TempDir,
    pub store: Arc<SqliteStore>,
    pub actions: action::Config,
}

impl House {
    pub fn new() -> House {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flux.db");
        let store = Arc::new(SqliteStore::open(&path, Options::default()).unwrap());
        House {
            directory,
            store,
            actions: action::Config::default(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn config(&self, name: &str) -> Config {
        Config {
            name: name.to_owned(),
            window: Duration::from_secs(3),
            concurrency: 10,
            address: None,
            pool: None,
            poll: Duration::from_millis(50),
            drain_timeout: Duration::from_secs(10),
            poison_limit: 5,
            max_cluster_size: 35,
            listened: true,
            monitor: None,
            actions: self.actions.clone(),
            version: "test",
        }
    }

    pub async fn engine(&self, name: &str) -> Engine {
        self.engine_with(self.config(name)).await
    }

    pub async fn engine_with(&self, config: Config) -> Engine {
        self.engine_on(config, self.stores()).await
    }

    pub fn stores(&self) -> Stores {
        House::stores_of(&self.store)
    }

    /// The ports of one store.
    pub fn stores_of(store: &Arc<SqliteStore>) -> Stores {
        let opener = Arc::clone(store);
        let members = move || -> Arc<dyn Members> { opener.members() };
        Stores {
            members: Arc::new(members),
            branches: store.clone(),
            runs: store.clone(),
            definitions: store.clone(),
            peers: Arc::new(Alone),
        }
    }

    /// The same database as another process would open it.
    pub fn another_store(&self) -> Arc<SqliteStore> {
        let path = self.path("flux.db");
        Arc::new(SqliteStore::open(&path, Options::default()).unwrap())
    }

    pub async fn engine_on(&self, config: Config, stores: Stores) -> Engine {
        self.engine_by(config, stores, Arc::new(SystemHost)).await
    }

    pub async fn engine_by(&self, config: Config, stores: Stores, host: Arc<dyn Host>) -> Engine {
        let compiler = Arc::new(flux_lang::Language);
        Engine::start(config, stores, compiler, host).await.unwrap()
    }

    /// Deploys a definition and activates its schedule.
    pub async fn deploy(&self, source: &str) -> Arc<flux_core::chart::Chart> {
        let compiled = flux_lang::compile(source, "test.yaml");
        let chart = compiled.unwrap_or_else(|report| panic!("{report}")).chart;
        deploy(&*self.store, &chart, source, true, SystemClock.now())
            .await
            .unwrap();
        chart
    }

    pub async fn submit(&self, source: &str, input: &str) -> RunId {
        let chart = self.deploy(source).await;
        let input = value::parse(input).unwrap();
        let run = new_run(&chart, &input, RunOptions::default(), SystemClock.now());
        self.store.submit(vec![run]).await.unwrap()[0].run
    }

    pub async fn signal(&self, run: RunId, kind: &str, id: &str, data: &str) -> Signalled {
        let json = format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"test","type":"{kind}","data":{data}}}"#
        );
        let event = Event {
            id: id.into(),
            source: "test".into(),
            kind: kind.into(),
            json,
        };
        self.store
            .signal(run, event, SystemClock.now())
            .await
            .unwrap()
    }

    pub async fn ended(&self, run: RunId) -> RunRecord {
        self.until(run, "it has ended", RunState::is_final).await
    }

    pub async fn until(&self, run: RunId, what: &str, is: impl Fn(RunState) -> bool) -> RunRecord {
        let what = format!("{what} (run {run})");
        wait_until_async(&what, PATIENCE, async || {
            is(self.store.run(run).await.unwrap().unwrap().state)
        })
        .await;
        self.store.run(run).await.unwrap().unwrap()
    }

    /// Runs a definition to its end on an engine of its own.
    pub async fn run(&self, source: &str, input: &str) -> RunRecord {
        let run = self.submit(source, input).await;
        let engine = self.engine("solo").await;
        let record = self.ended(run).await;
        engine.drain().await;
        record
    }

    /// Names of the tasks that ended, in order.
    pub async fn tasks(&self, run: RunId) -> Vec<String> {
        let history = self.store.history(run).await.unwrap();
        let events = history.iter().flat_map(|record| {
            let events: Vec<serde_json::Value> = serde_json::from_str(&record.events).unwrap();
            events
        });
        events
            .filter(|event| event["type"] == "completed")
            .map(|event| event["task"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// Output of a completed run.
pub fn output(record: &RunRecord) -> serde_json::Value {
    match &record.outcome {
        Some(Outcome::Completed { output }) => serde_json::from_str(output).unwrap(),
        other => panic!("the run should have completed: {other:?}"),
    }
}

/// Error of a faulted run.
pub fn fault(record: &RunRecord) -> flux_core::chart::Fault {
    match &record.outcome {
        Some(Outcome::Faulted { fault }) => fault.clone(),
        other => panic!("the run should have faulted: {other:?}"),
    }
}

/// A definition around these tasks, which are indented by two spaces.
pub fn workflow(name: &str, body: &str) -> String {
    format!(
        "document:\n  dsl: '1.0.3'\n  namespace: test\n  name: {name}\n  version: '1.0.0'\n{body}"
    )
}
