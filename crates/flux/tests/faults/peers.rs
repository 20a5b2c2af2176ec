//! Engines that cannot talk to each other, and all reach the database: only the balance is lost.

use crate::{PATIENCE, check, cluster};
use flux_proto::v1::ListEnginesRequest;
use flux_proto::v1::flux_service_client::FluxServiceClient;
use flux_testkit::postgres::{Database, Server, available};
use flux_testkit::proxy::{Direction, Proxy};
use flux_testkit::{Cluster, Flux, Witness, shell_task, wait_until, wait_until_async};
use serde_json::Value;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use tonic::transport::Endpoint;

const ENGINES: usize = 5;
const WINDOW: Duration = Duration::from_secs(4);

/// Runs of one measurement, and the steps of each.
const RUNS: usize = 20;
const STEPS: usize = 10;

/// Engines that find each other's addresses in the database, where each has that of a proxy.
struct World {
    witness: Witness,
    cluster: Cluster,
    engines: Vec<Flux>,
    /// The way to each of them.
    ways: Vec<Proxy>,
    _database: Database,
}

/// Blocked for two windows and longer: both ways, and one way each.
#[tokio::test(flavor = "multi_thread")]
async fn process_1c35_1c36_engines_that_cannot_talk_lose_balance_and_nothing_else() {
    if !available() {
        return;
    }
    let world = World::start();
    world.until_each_hears(ENGINES).await;
    let carried: usize = world.ways.iter().map(|way| way.counts().accepted).sum();
    assert!(
        carried >= ENGINES * (ENGINES - 1) / 2,
        "each pair talks by a proxy: {carried}"
    );
    world.work("the network is there");
    let blocked: [(&str, &[Direction]); 3] = [
        ("nobody hears anybody", &Direction::BOTH),
        ("who is called hears nothing", &[Direction::ToServer]),
        ("who calls hears nothing", &[Direction::ToClient]),
    ];
    for (name, directions) in blocked {
        let start = Instant::now();
        for way in &world.ways {
            way.pass();
            way.black_hole(directions);
        }
        world.work(name);
        wait_until("two windows have passed", PATIENCE, || {
            start.elapsed() > WINDOW * 2
        });
        world.all_are_alive();
        if directions == Direction::BOTH {
            // Its own load is all that each still knows.
            world.until_each_hears(1).await;
            for engine in &world.engines {
                engine.wait_for_line("cannot talk to another engine", PATIENCE);
            }
        }
    }
    world.ways.iter().for_each(Proxy::pass);
    world.until_each_hears(ENGINES).await;
    world.work("the network is there again");
    world.all_are_alive();
    check(&world.cluster, Some(&world.witness));
}

impl World {
    #[track_caller]
    fn start() -> World {
        let database = Server::shared().create_database();
        let window = format!("+{}s", WINDOW.as_secs());
        let cluster = cluster(&window).on(database.url());
        cluster.flux(&["db", "migrate"]);
        let ports: Vec<u16> = free_ports();
        let to = |port: &u16| Proxy::to(&format!("127.0.0.1:{port}"));
        let ways: Vec<Proxy> = ports.iter().map(to).collect();
        let led =
            |(port, way): (&u16, &Proxy)| format!("when '{port}' then '{}'", way.address().port());
        let led: Vec<String> = ports.iter().zip(&ways).map(led).collect();
        database.psql(&format!(
            "create function flux.lead() returns trigger language plpgsql as $$ begin \
             new.address := 'http://127.0.0.1:' || \
             case substring(new.address from '[0-9]+$') {} end; return new; end $$; \
             create trigger lead before insert on flux.member for each row execute function flux.lead()",
            led.join(" ")
        ));
        let engine = |(n, port): (usize, &u16)| {
            let engine = cluster.engine(&format!("e{n}"));
            engine.env("FLUX_PORT", port.to_string()).spawn()
        };
        let engines: Vec<Flux> = ports.iter().enumerate().map(engine).collect();
        for engine in &engines {
            engine.wait_for_line("ready", PATIENCE);
        }
        World {
            witness: Witness::new(),
            cluster,
            engines,
            ways,
            _database: database,
        }
    }

    /// Waits until each engine knows the load of so many, its own among them.
    async fn until_each_hears(&self, count: usize) {
        for engine in &self.engines {
            let line = engine.wait_for_line("ready", PATIENCE);
            let (_, rest) = line.split_once(", address ").unwrap();
            let address = rest.split_once(", store ").unwrap().0.to_owned();
            let channel = Endpoint::from_shared(address).unwrap().connect_lazy();
            let client = FluxServiceClient::new(channel);
            let what = format!("each hears of {count}");
            wait_until_async(&what, PATIENCE, async || {
                let request = ListEnginesRequest {};
                let answer = client.clone().list_engines(request).await.unwrap();
                let engines = answer.into_inner().engines;
                let heard = engines.iter().filter(|engine| engine.load.is_some());
                heard.count() == count
            })
            .await;
        }
    }

    /// Runs that all complete, and how fast.
    #[track_caller]
    fn work(&self, name: &str) {
        let start = Instant::now();
        let step = |n| shell_task(&format!("s{n}"), &self.witness.around("true"));
        let tasks: String = (0..STEPS).map(step).collect();
        self.cluster.submit("work", &tasks, RUNS);
        let open = ["list", "--state", "pending", "--state", "running"];
        wait_until("all runs have ended", PATIENCE * 2, || {
            self.cluster.json(&open)["runs"] == Value::Array(Vec::new())
        });
        let actions = (RUNS * STEPS) as f64 / start.elapsed().as_secs_f64();
        eprintln!("{name}: {actions:.0} actions/s");
        let completed = ["list", "--limit", "1000", "--state", "completed"];
        let completed = self.cluster.json(&completed);
        assert_eq!(completed["runs"].as_array().unwrap().len() % RUNS, 0);
    }

    #[track_caller]
    fn all_are_alive(&self) {
        let members = self.cluster.members();
        assert_eq!(members.len(), ENGINES);
        assert!(members.iter().all(|m| m["state"] == "alive"), "{members:?}");
        assert_eq!(self.cluster.failovers(), [] as [Value; 0]);
    }
}

/// Ports that nobody used a moment ago.
fn free_ports() -> Vec<u16> {
    let listen = |_| TcpListener::bind("127.0.0.1:0").unwrap();
    let listeners: Vec<TcpListener> = (0..ENGINES).map(listen).collect();
    let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
    listeners.iter().map(port).collect()
}
