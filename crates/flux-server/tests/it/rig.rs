//! A server on a store of its own, with or without an engine that works.

use flux_core::balance::Load;
use flux_core::clock::Clock;
use flux_core::ids::Incarnation;
use flux_core::ports::Error;
use flux_core::ports::identity::{Cluster, Identity};
use flux_core::ports::members::{Members, NewMember};
use flux_core::ports::peers::Alone;
use flux_core::ports::runs::{self, Runs, Submitted};
use flux_engine::{Config, Engine, Stores};
use flux_failover::{SystemClock, SystemHost};
use flux_lang::Language;
use flux_proto::v1::flux_service_client::FluxServiceClient;
use flux_proto::v1::*;
use flux_server::{Api, Handle, Listen, Local, Ports, Routes, Server};
use flux_store::{Options, SqliteStore, Store};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

pub const PATIENCE: Duration = Duration::from_secs(60);

/// What the server said to the engine beside it.
pub struct Beside {
    pub incarnation: Incarnation,
    pub runs: Arc<SqliteStore>,
    pub nudged: AtomicU32,
    pub drained: AtomicBool,
    pub load: Mutex<Option<(Load, Duration)>>,
}

#[async_trait::async_trait]
impl Local for Beside {
    fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    async fn submit(&self, runs: Vec<runs::NewRun>) -> Result<Vec<Submitted>, Error> {
        let submitted = self.runs.submit(runs).await?;
        self.nudge(submitted.iter().map(|s| u32::from(s.new)).sum());
        Ok(submitted)
    }

    fn nudge(&self, ready: u32) {
        self.nudged.fetch_add(ready, Ordering::SeqCst);
    }

    fn drain(&self) {
        self.drained.store(true, Ordering::SeqCst);
    }

    fn load_of(&self, _engine: Incarnation) -> Option<(Load, Duration)> {
        *self.load.lock().unwrap()
    }
}

/// A store that a test can take away from the probes.
pub struct Absent {
    store: Arc<SqliteStore>,
    pub away: AtomicBool,
}

#[async_trait::async_trait]
impl Identity for Absent {
    async fn cluster(&self) -> Result<Cluster, Error> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(Error::Unavailable("away".to_owned())),
            false => self.store.cluster().await,
        }
    }
}

pub struct Rig {
    directory: Arc<TempDir>,
    pub store: Arc<SqliteStore>,
    pub members: Arc<dyn Members>,
    pub beside: Arc<Beside>,
    pub identity: Arc<Absent>,
}

/// A server that listens.
pub struct Serving {
    pub address: SocketAddr,
    pub handle: Handle,
    pub end: CancellationToken,
    pub task: JoinHandle<()>,
}

pub fn local() -> Listen {
    Listen {
        address: "127.0.0.1:0".parse().unwrap(),
        tls: None,
        token: None,
        insecure: false,
    }
}

impl Rig {
    pub fn new() -> Rig {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flux.db");
        let store = Arc::new(SqliteStore::open(&path, Options::default()).unwrap());
        Rig {
            directory: Arc::new(directory),
            members: store.members(),
            beside: Arc::new(Beside {
                incarnation: Incarnation::new(Uuid::now_v7()),
                runs: Arc::clone(&store),
                nudged: AtomicU32::new(0),
                drained: AtomicBool::new(false),
                load: Mutex::new(None),
            }),
            identity: Arc::new(Absent {
                store: store.clone(),
                away: AtomicBool::new(false),
            }),
            store,
        }
    }

    fn api(&self) -> Api {
        let ports = Ports {
            runs: self.store.clone(),
            operations: self.store.clone(),
            throttles: self.store.clone(),
            definitions: self.store.clone(),
            members: self.members.clone(),
            identity: self.identity.clone(),
            compiler: Arc::new(Language),
            host: Arc::new(SystemHost),
        };
        Api::new(ports, self.beside.clone())
    }

    pub async fn serve(&self) -> Serving {
        self.serve_as(local()).await
    }

    pub async fn serve_as(&self, listen: Listen) -> Serving {
        let bound = Server::bind(listen).await.unwrap();
        let address = bound.local_addr();
        let (api, end) = (self.api(), CancellationToken::new());
        let handle = api.handle();
        let closed = end.clone().cancelled_owned();
        let directory = Arc::clone(&self.directory);
        let task = tokio::spawn(async move {
            let _as_long_as_it_serves = directory;
            bound.serve(api, Routes::default(), closed).await.unwrap();
        });
        Serving {
            address,
            handle,
            end,
            task,
        }
    }

    /// A server and a client of it.
    pub async fn client(&self) -> FluxServiceClient<Channel> {
        self.serve().await.client().await
    }

    /// An engine that works on the store.
    pub async fn engine(&self) -> Engine {
        let store = Arc::clone(&self.store);
        let stores = Stores {
            members: Arc::new(move || -> Arc<dyn Members> { store.members() }),
            branches: self.store.clone(),
            runs: self.store.clone(),
            definitions: self.store.clone(),
            peers: Arc::new(Alone),
        };
        let config = Config {
            monitor: None,
            name: "worker".to_owned(),
            window: Duration::from_secs(30),
            concurrency: 10,
            address: None,
            pool: None,
            poll: Duration::from_millis(50),
            drain_timeout: Duration::from_secs(10),
            poison_limit: 5,
            max_cluster_size: 35,
            listened: false,
            actions: flux_engine::action::Config::default(),
            version: "test",
        };
        let engine = Engine::start(config, stores, Arc::new(Language), Arc::new(SystemHost));
        engine.await.unwrap()
    }

    /// A member that does nothing.
    pub async fn member(&self, name: &str) -> Incarnation {
        let incarnation = Incarnation::new(Uuid::now_v7());
        self.join(incarnation, name).await;
        incarnation
    }

    /// A member that does nothing, of this incarnation.
    pub async fn join(&self, incarnation: Incarnation, name: &str) {
        let member = NewMember {
            incarnation,
            name: name.to_owned(),
            window: Duration::from_secs(180),
            host: "here".to_owned(),
            pid: 7,
            version: "test".to_owned(),
            pool: None,
            concurrency: 3,
            address: None,
        };
        let joined = self.members.join(member, 35, SystemClock.now()).await;
        joined.unwrap();
    }
}

impl Serving {
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap()
    }

    pub async fn channel(&self) -> Channel {
        self.endpoint().connect().await.unwrap()
    }

    pub async fn client(&self) -> FluxServiceClient<Channel> {
        FluxServiceClient::new(self.channel().await)
    }
}

/// A definition `test/NAME:1.0.0` with these tasks.
pub fn source(name: &str, tasks: &str) -> String {
    format!(
        "document: {{ dsl: '1.0.3', namespace: test, name: {name}, version: '1.0.0' }}\ndo:\n{tasks}"
    )
}

/// Ends at once.
pub const ECHO: &str = "  - echo: { set: { got: '${ . }' } }\n";
/// Waits for one event.
pub const WAITS: &str = "  - wait: { listen: { to: { one: { with: { type: com.example.go } } } } }\n  \
     - then: { set: { done: true } }\n";

pub async fn deploy(client: &mut FluxServiceClient<Channel>, name: &str, tasks: &str) -> String {
    let request = DeployWorkflowRequest {
        source: source(name, tasks),
        validate_only: false,
        activate_schedule: false,
    };
    let deployed = client.deploy_workflow(request).await.unwrap().into_inner();
    deployed.workflow.unwrap().name
}

/// Starts a run; its name.
pub async fn submit(
    client: &mut FluxServiceClient<Channel>,
    workflow: &str,
    input: &str,
) -> String {
    let run = NewRun {
        workflow: workflow.to_owned(),
        input_json: input.to_owned(),
        ..NewRun::default()
    };
    let request = SubmitRunsRequest { runs: vec![run] };
    let submitted = client.submit_runs(request).await.unwrap().into_inner();
    submitted.runs[0].name.clone()
}

pub async fn get(client: &mut FluxServiceClient<Channel>, name: &str) -> Run {
    let name = name.to_owned();
    let got = client.get_run(GetRunRequest { name }).await.unwrap();
    got.into_inner().run.unwrap()
}

/// Waits until a run is in this state.
pub async fn until(client: &mut FluxServiceClient<Channel>, name: &str, state: RunState) -> Run {
    let start = std::time::Instant::now();
    loop {
        let run = get(client, name).await;
        if run.state() == state {
            return run;
        }
        assert!(start.elapsed() < PATIENCE, "{name} is {:?}", run.state());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
