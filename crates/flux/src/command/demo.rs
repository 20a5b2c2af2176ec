//! `flux demo`

use crate::exit::Failure;
use crate::output;
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Three engines on one file; one is killed, and the others take over
///
/// Starts three engine processes on a temporary store, submits work, kills one engine
/// with SIGKILL, shows the takeover, and checks the results. Ends by itself.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Runs to submit
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=50))]
    runs: u32,
}

const DEFINITION: &str = include_str!("demo.yaml");

/// Longest time for everything.
const PATIENCE: Duration = Duration::from_secs(55);

pub fn run(args: &Args) -> Result<(), Failure> {
    let stage = Stage::new()?;
    let mut engines = Vec::new();
    for name in ["ada", "brian", "grace"] {
        engines.push(stage.engine(name)?);
    }
    stage.say("three engines on one file: ada, brian, grace (failover time window 3 s)");
    stage.flux(&["submit", "demo.yaml", "--count", &args.runs.to_string()])?;
    stage.say(&format!(
        "submitted {} runs, each with two branches of three steps",
        args.runs
    ));
    let victim = stage.busy_engine()?;
    let index = ["ada", "brian", "grace"]
        .iter()
        .position(|name| *name == victim)
        .unwrap_or(0);
    stage.say(&format!(
        "{victim} runs branches: SIGKILL to process {}",
        engines[index].0.id()
    ));
    engines[index].kill();
    let evidence = stage.takeover(&victim)?;
    stage.say(&evidence);
    stage.completed(args.runs as usize)?;
    stage.verify(args.runs as usize)?;
    drop(engines);
    Ok(())
}

/// An engine process; killed when dropped.
struct EngineProcess(Child);

impl EngineProcess {
    fn kill(&mut self) {
        // An error says that it is gone already.
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Drop for EngineProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The temporary store and everything on it.
struct Stage {
    folder: TempDir,
    begin: Instant,
}

impl Stage {
    fn new() -> Result<Stage, Failure> {
        let failed = |error| Failure::new(1, format!("cannot make a temporary folder: {error}"));
        let folder = tempfile::tempdir().map_err(failed)?;
        std::fs::write(folder.path().join("demo.yaml"), DEFINITION).map_err(failed)?;
        Ok(Stage {
            folder,
            begin: Instant::now(),
        })
    }

    fn say(&self, text: &str) {
        output::data(&format!(
            "{:6.1}s  {text}",
            self.begin.elapsed().as_secs_f64()
        ));
    }

    fn command(&self, args: &[&str]) -> Result<Command, Failure> {
        let binary = std::env::current_exe()
            .map_err(|error| Failure::new(1, format!("cannot find this program: {error}")))?;
        let mut command = Command::new(binary);
        command.args(args).current_dir(self.folder.path());
        command.env("FLUX_DATA_DIR", self.folder.path());
        command.env("FLUX_FAILOVER_TIME_WINDOW", "+3s");
        command.env("FLUX_POLL_INTERVAL", "+1s");
        command.env("FLUX_PORT", "0");
        command.env("FLUX_CONCURRENCY_LEVEL", "4");
        command.stdin(Stdio::null()).stderr(Stdio::null());
        Ok(command)
    }

    fn engine(&self, name: &str) -> Result<EngineProcess, Failure> {
        let mut command = self.command(&["start", "--name", name])?;
        let child = command.stdout(Stdio::null()).spawn();
        let child =
            child.map_err(|error| Failure::new(1, format!("cannot start an engine: {error}")))?;
        let engine = EngineProcess(child);
        self.until(&format!("{name} has joined"), || {
            let status = self.json(&["cluster", "status", "-o", "json"])?;
            let engines = status["engines"].as_array().cloned().unwrap_or_default();
            Ok(engines
                .iter()
                .any(|engine| engine["name"] == name)
                .then_some(()))
        })?;
        Ok(engine)
    }

    fn flux(&self, args: &[&str]) -> Result<String, Failure> {
        let output = self.command(args)?.output();
        let output =
            output.map_err(|error| Failure::new(1, format!("cannot start a client: {error}")))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn json(&self, args: &[&str]) -> Result<Value, Failure> {
        Ok(serde_json::from_str(&self.flux(args)?).unwrap_or_default())
    }

    fn until<T>(
        &self,
        what: &str,
        mut look: impl FnMut() -> Result<Option<T>, Failure>,
    ) -> Result<T, Failure> {
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            if self.begin.elapsed() > PATIENCE {
                return Err(Failure::new(1, format!("waited in vain until {what}")));
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    fn busy_engine(&self) -> Result<String, Failure> {
        self.until("an engine runs something", || {
            let status = self.json(&["cluster", "status", "-o", "json"])?;
            let engines = status["engines"].as_array().cloned().unwrap_or_default();
            let busiest = engines
                .iter()
                .max_by_key(|engine| engine["running"].as_u64());
            Ok(busiest
                .filter(|engine| engine["running"].as_u64() > Some(0))
                .and_then(|engine| engine["name"].as_str().map(str::to_owned)))
        })
    }

    fn takeover(&self, victim: &str) -> Result<String, Failure> {
        self.until("the others took over", || {
            let status = self.json(&["cluster", "failovers", "-o", "json"])?;
            let all = status["failovers"].as_array().cloned().unwrap_or_default();
            let found = all.iter().find(|failover| {
                failover["engine"] == victim && failover["branches"].as_u64() > Some(0)
            });
            Ok(found.map(|failover| {
                format!(
                    "{victim} was declared dead ({}); {} branches go on from their commit points",
                    failover["evidence"].as_str().unwrap_or_default(),
                    failover["branches"]
                )
            }))
        })
    }

    fn completed(&self, runs: usize) -> Result<(), Failure> {
        self.until("all runs have completed", || {
            let list = self.json(&["list", "--state", "completed", "-o", "json"])?;
            let done = list["runs"].as_array().map_or(0, Vec::len);
            Ok((done == runs).then_some(()))
        })
    }

    /// The witness file says what really ran.
    fn verify(&self, runs: usize) -> Result<(), Failure> {
        let witness = read(&self.folder.path().join("witness"));
        let mut keys: Vec<&str> = witness.lines().collect();
        let firings = keys.len();
        keys.sort_unstable();
        keys.dedup();
        let expected = runs * 6;
        if keys.len() != expected {
            let message = format!("{} different steps ran instead of {expected}", keys.len());
            return Err(Failure::new(1, message));
        }
        self.say(&format!(
            "all {runs} runs completed: {expected} steps, each finished once; {} that were in \
             flight when the engine died ran again with the same idempotency key",
            firings - expected
        ));
        Ok(())
    }
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}
