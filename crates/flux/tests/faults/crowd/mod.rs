//! As many engines as a cluster takes, each a process: they join at once, share the work, declare
//! nobody dead, and the one too many is told so.
//!
//! `FLUX_CROWD_SECONDS` is for how long they idle and then work, `FLUX_CROWD_WINDOW` their failover
//! time window: `FLUX_CROWD_SECONDS=600 FLUX_CROWD_WINDOW=+3m cargo test --workspace --test faults
//! process_1b31_crowd -- --nocapture`.

mod figures;

use crate::cluster;
use figures::Figures;
use flux_testkit::history::{Evidence, Rules, What};
use flux_testkit::postgres::{Server, installed};
use flux_testkit::{Cluster, Flux, Witness, shell_task, wait_until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The default of `MAX_CLUSTER_SIZE`.
const ENGINES: usize = 35;

/// Connections of the server: each engine has a handful.
const CONNECTIONS: &str = "500";

/// Runs of one wave of work: two for each engine.
const WAVE: usize = 2 * ENGINES;

const HEAD: &str = "document: { dsl: '1.0.3', namespace: test, name: wave, version: '1.0.0' }\n";

/// One wave comes so often, at most.
const PACE: Duration = Duration::from_secs(30);

/// An engine that finds no place looks at the others for more than a third of a window; and forty
/// processes start slowly on a small machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// A crowd of engines with a cluster of their own.
struct Crowd {
    cluster: Cluster,
    witness: Witness,
    engines: Vec<Flux>,
    /// The runs of each wave of work.
    waves: Vec<Vec<String>>,
}

fn seconds() -> u64 {
    let text = std::env::var("FLUX_CROWD_SECONDS").ok();
    text.map_or(20, |text| text.parse().unwrap())
}

fn window() -> String {
    std::env::var("FLUX_CROWD_WINDOW").unwrap_or("+15s".to_owned())
}

#[test]
fn process_1b31_crowd_on_postgres_as_many_as_there_may_be_and_no_more() {
    if !installed() {
        eprintln!("SKIPPED: PostgreSQL is not installed (apt-get install postgresql)");
        return;
    }
    let server = || Server::builder().setting("max_connections", CONNECTIONS);
    // It counts statements where it can.
    let counting = server().setting("shared_preload_libraries", "pg_stat_statements");
    let server = counting.try_start().unwrap_or_else(|_| server().start());
    let database = server.create_database();
    let mut crowd = Crowd::gather(cluster(&window()).on(database.url()));
    let figures = Figures::begin(&crowd.engines, Some(&database));
    pass(Duration::from_secs(seconds() / 2));
    eprintln!("idle: {}", figures.end());
    crowd.works_for(Duration::from_secs(seconds() / 2));
    crowd.takes_no_more();
    crowd.judge(ENGINES / 2);
}

/// The same on the embedded store, shortly: that so many share one file is not what it is for.
#[test]
fn process_1b31_crowd_on_sqlite_shares_one_file() {
    let mut crowd = Crowd::gather(cluster(&window()));
    let figures = Figures::begin(&crowd.engines, None);
    pass(Duration::from_secs(5));
    eprintln!("idle: {}", figures.end());
    crowd.works_for(Duration::ZERO);
    crowd.judge(ENGINES / 4);
}

impl Crowd {
    /// All start at once; returns when all have joined.
    #[track_caller]
    fn gather(cluster: Cluster) -> Crowd {
        let start = Instant::now();
        let engine = |n| cluster.engine(&format!("e{n}")).spawn();
        let engines: Vec<Flux> = (1..=ENGINES).map(engine).collect();
        for engine in &engines {
            engine.wait_for_line("ready", PATIENCE);
        }
        eprintln!(
            "{ENGINES} engines have joined after {:.1?}",
            start.elapsed()
        );
        let crowd = Crowd {
            cluster,
            witness: Witness::new(),
            engines,
            waves: Vec::new(),
        };
        crowd.all_are_alive(ENGINES);
        crowd
    }

    #[track_caller]
    fn all_are_alive(&self, count: usize) {
        let members = self.cluster.members();
        assert_eq!(members.len(), count, "{members:?}");
        assert!(members.iter().all(|m| m["state"] == "alive"), "{members:?}");
        assert_eq!(self.cluster.failovers(), [] as [Value; 0]);
    }

    /// One wave of work after the other; at least one. Clients start them through an engine, which
    /// calls the others.
    #[track_caller]
    fn works_for(&mut self, time: Duration) {
        let start = Instant::now();
        loop {
            let wave = Instant::now();
            self.wave();
            if start.elapsed() + PACE >= time {
                return;
            }
            pass(PACE.saturating_sub(wave.elapsed()));
        }
    }

    #[track_caller]
    fn wave(&mut self) {
        let start = Instant::now();
        let step = |n: usize| shell_task(&format!("s{n}"), &self.witness.around("sleep 0.5"));
        let definition = format!("{HEAD}do:\n{}{}", step(1), step(2));
        std::fs::write(self.cluster.directory().join("wave.yaml"), definition).unwrap();
        let address = address(&self.engines[self.waves.len() % ENGINES]);
        let count = WAVE.to_string();
        let submit = [
            "--engine",
            &address,
            "submit",
            "wave.yaml",
            "--count",
            &count,
        ];
        let runs: Vec<_> = self
            .cluster
            .flux(&submit)
            .lines()
            .map(str::to_owned)
            .collect();
        runs.iter().for_each(|run| self.cluster.acknowledged(run));
        wait_until("the wave has ended", PATIENCE, || self.open() == 0);
        eprintln!("{WAVE} runs ended after {:.1?}", start.elapsed());
        self.waves.push(runs);
    }

    /// Runs that have not ended.
    fn open(&self) -> usize {
        let mut args = vec!["list", "--limit", "1000"];
        for state in ["pending", "running", "waiting"] {
            args.extend(["--state", state]);
        }
        self.cluster.json(&args)["runs"].as_array().unwrap().len()
    }

    /// The one too many is refused, of two for the last place one gets it, and a higher limit helps.
    #[track_caller]
    fn takes_no_more(&mut self) {
        let start = Instant::now();
        let mut refused = self.cluster.engine("too-many").spawn();
        is_refused(&mut refused);
        eprintln!("the one too many was refused after {:.1?}", start.elapsed());
        self.all_are_alive(ENGINES);

        let mut leaves = self.engines.pop().unwrap();
        leaves.terminate();
        assert!(leaves.wait(PATIENCE).success(), "{:?}", leaves.stderr());
        let mut racing = ["left", "right"].map(|name| self.cluster.engine(name).spawn());
        let ready = |engine: &Flux| engine.stdout().iter().any(|line| line.contains("ready"));
        wait_until("one has the place and one is refused", PATIENCE, || {
            racing.iter().any(ready) && racing.iter_mut().any(|engine| !engine.runs())
        });
        let (mut winners, mut losers): (Vec<_>, Vec<_>) = racing.into_iter().partition(ready);
        assert_eq!((winners.len(), losers.len()), (1, 1), "{losers:?}");
        is_refused(&mut losers[0]);
        assert!(winners[0].runs());
        self.engines.append(&mut winners);
        self.all_are_alive(ENGINES);

        let raised = self.cluster.engine("raised");
        let raised = raised.env("FLUX_MAX_CLUSTER_SIZE", "36").spawn();
        raised.wait_for_line("ready", PATIENCE);
        self.engines.push(raised);
        self.all_are_alive(ENGINES + 1);
    }

    /// Nobody was declared dead, nobody stepped down, and at least so many took part in each wave.
    #[track_caller]
    fn judge(&mut self, took_part: usize) {
        assert!(self.engines.iter_mut().all(Flux::runs));
        assert_eq!(
            self.cluster.failovers(),
            [] as [Value; 0],
            "a false failover"
        );
        for engine in &self.engines {
            let stepped_down = engine
                .stderr()
                .iter()
                .any(|line| line.contains("steps down"));
            assert!(!stepped_down, "{:?}", engine.stderr());
        }
        let evidence = self.cluster.evidence(Some(&self.witness));
        for wave in &self.waves {
            let claims = claims(&evidence, wave);
            let (least, most) = (claims.values().min(), claims.values().max());
            eprintln!(
                "{} engines took {least:?} to {most:?} of a wave",
                claims.len()
            );
            assert!(claims.len() >= took_part, "{claims:?}");
        }
        let report = evidence.check(&Rules::default());
        eprintln!("{report}");
        report.assert();
    }
}

/// How many of these runs' branches each engine claimed.
fn claims<'e>(evidence: &'e Evidence, runs: &[String]) -> BTreeMap<&'e str, usize> {
    let mut claims = BTreeMap::new();
    for entry in &evidence.trail {
        if let What::Claimed { branch, .. } = &entry.what
            && runs.contains(&branch.run)
        {
            *claims.entry(entry.engine.as_str()).or_default() += 1;
        }
    }
    claims
}

/// Where clients reach an engine, from the line that it prints when it is ready.
fn address(engine: &Flux) -> String {
    let line = engine.wait_for_line("ready", PATIENCE);
    let (_, rest) = line.split_once(", address ").unwrap();
    rest.split_once(", store ").unwrap().0.to_owned()
}

/// It has ended with a status that says to try again later, and with a word about what to do.
#[track_caller]
fn is_refused(engine: &mut Flux) {
    assert_eq!(
        engine.wait(PATIENCE).code(),
        Some(75),
        "{:?}",
        engine.stderr()
    );
    let text = engine.stderr().join("\n");
    assert!(text.contains("has 35 engines"), "{text}");
    assert!(text.contains("MAX_CLUSTER_SIZE"), "{text}");
}

/// Lets time pass in which nothing is to happen.
#[track_caller]
fn pass(time: Duration) {
    let start = Instant::now();
    let longest = time + PATIENCE;
    wait_until("time has passed", longest, || start.elapsed() >= time);
}
