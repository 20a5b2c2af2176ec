//! Engines that get hardly any time of the processor.

use crate::{PATIENCE, Store, check, on_both_stores, wait_for_traces};
use flux_testkit::{Flux, Witness, shell_task, wait_until};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

on_both_stores!(process_1a06_engines_without_processor_time_lose_and_double_nothing);

/// Processes that do nothing but to take time.
const SPINNING: usize = 12;

/// More than two windows.
const LENGTH: Duration = Duration::from_secs(10);

/// Busy loops on one processor, of a real-time class where that is allowed: all others then share a
/// twentieth of it. They end when dropped, or by themselves when they have used up their own time.
struct Spinning(Vec<Child>);

impl Spinning {
    fn start() -> Spinning {
        let real_time = Command::new("chrt").args(["-r", "1", "true"]).output();
        let real_time = real_time.is_ok_and(|output| output.status.success());
        eprintln!("busy loops of a real-time class: {real_time}");
        let class: &[&str] = if real_time { &["chrt", "-r", "1"] } else { &[] };
        let spin = || {
            let mut command = Command::new("taskset");
            command.args(["-c", &processor()]).args(class);
            command.args(["prlimit", "--cpu=3", "sh", "-c", "while :; do :; done"]);
            command.spawn().unwrap()
        };
        Spinning((0..SPINNING).map(|_| spin()).collect())
    }
}

impl Drop for Spinning {
    fn drop(&mut self) {
        // All first: each needs its turn to die.
        for child in &mut self.0 {
            let _ = child.kill();
        }
        for child in &mut self.0 {
            let _ = child.wait();
        }
    }
}

/// The first one that this process may use.
fn processor() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let mut lines = status.lines();
    let allowed = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let digits = |text: &&str| text.chars().all(|c| c.is_ascii_digit());
    let first = allowed.and_then(|list| list.trim().split([',', '-']).next());
    first
        .filter(digits)
        .expect("a list of processors")
        .to_owned()
}

/// Binds an engine with all of its threads to the processor of the busy loops, and what it will run.
fn bind(engine: &Flux) {
    let pid = engine.id().to_string();
    let mut bind = Command::new("taskset");
    let status = bind
        .args(["-acp", &processor(), &pid])
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success());
}

fn process_1a06_engines_without_processor_time_lose_and_double_nothing(store: Store) {
    let (cluster, witness) = (store.cluster("+4s"), Witness::new());
    let engines = ["a", "b", "c"].map(|name| cluster.start(name));
    let step = |n| shell_task(&format!("s{n}"), &witness.around(&witness.at_work(5)));
    let tasks: String = (0..6).map(step).collect();
    let runs = cluster.submit("starved", &tasks, 12);
    wait_for_traces(&witness, "s0", runs.len());
    engines.iter().for_each(bind);
    let (start, spinning) = (Instant::now(), Spinning::start());
    wait_until("more than two windows have passed", PATIENCE, || {
        start.elapsed() > LENGTH
    });
    let meanwhile = witness.traces().len() - runs.len();
    drop(spinning);
    for run in &runs {
        cluster.wait_for_state(run, "completed");
    }
    eprintln!(
        "{meanwhile} actions began meanwhile, {} engines were declared dead, {} actions ran again",
        cluster.failovers().len(),
        witness.duplicates().len()
    );
    check(&cluster, Some(&witness));
}
