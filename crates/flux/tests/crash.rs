//! SIGKILL at random moments, real processes, and a witness outside the engine that says what
//! really ran. `FLUX_CRASH_ROUNDS` sets the number of kills, `FLUX_CRASH_SEED` repeats a run.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stderr, reason = "a random test prints its seed")]

use flux_testkit::history::Rules;
use flux_testkit::{Cluster, Flux, Mark, PATIENCE, Witness, shell_task, wait_until};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Steps of each branch of the definition.
const STEPS: usize = 6;

/// Small, seeded, good enough to choose moments (xorshift).
struct Dice(u64);

impl Dice {
    #[expect(clippy::disallowed_methods, reason = "the clock is the seed")]
    fn new() -> Dice {
        let seed = std::env::var("FLUX_CRASH_SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let clock = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_nanos() as u64
        };
        let seed = seed.unwrap_or_else(clock) | 1;
        eprintln!("FLUX_CRASH_SEED={seed}");
        Dice(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Kills, and enough runs that each finds work in progress.
fn measure() -> (u64, usize) {
    let kills = rounds(12);
    (kills, kills as usize * 5)
}

/// How many firings a kill interrupted: they left more than one trace.
fn tell_interrupted(witness: &Witness, kills: u64) {
    let interrupted = witness.duplicates().len();
    eprintln!("{kills} kills interrupted {interrupted} actions");
    assert!(interrupted > 0, "no kill hit an action in progress");
}

fn rounds(default: u64) -> u64 {
    std::env::var("FLUX_CRASH_ROUNDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(default)
}

fn steps(witness: &Witness, prefix: &str, broken: &[usize]) -> String {
    let mut text = String::new();
    for step in 0..STEPS {
        let mark = if broken.contains(&step) {
            "before"
        } else {
            "none"
        };
        let metadata = match broken {
            [] => String::new(),
            _ => format!(", metadata: {{ flux: {{ break: {mark} }} }}"),
        };
        let command = witness.around("sleep 0.05").replace('\'', "''");
        text.push_str(&format!(
            "- {prefix}{step}: {{ run: {{ shell: {{ command: '{command}' }} }}{metadata} }}\n"
        ));
    }
    text
}

fn indent(text: &str, by: usize) -> String {
    text.lines()
        .map(|line| format!("{}{line}\n", " ".repeat(by)))
        .collect()
}

/// An engine that is killed and started again, on a cluster of its own.
struct Torment {
    cluster: Cluster,
    engine: Flux,
}

impl Torment {
    fn start(breaks: &str, tasks: &str, runs: usize) -> Torment {
        let cluster = Cluster::new(env!("CARGO_BIN_EXE_flux"), "+1s");
        let engine = cluster
            .engine("tormented")
            .env("FLUX_POISON_LIMIT", "1000000");
        let engine = engine.spawn();
        cluster.submit_with(&format!("crash-{breaks}"), breaks, tasks, runs);
        Torment { cluster, engine }
    }

    fn completed(&self) -> usize {
        let list = ["list", "--state", "completed", "--limit", "100000"];
        self.cluster.json(&list)["runs"].as_array().unwrap().len()
    }

    /// Kills and restarts the engine at random moments, then lets the runs end. Every second kill
    /// comes while actions are seen to begin, the others at any moment: while the engine starts,
    /// while it waits for its window to pass.
    fn run(&mut self, dice: &mut Dice, witness: &Witness, kills: u64, runs: usize) {
        for kill in 0..kills {
            let busy = kill % 2 == 0;
            if busy && !self.begins_something(witness, runs) {
                break;
            }
            let within = if busy { 150 } else { 1_500 };
            let moment = std::time::Instant::now() + Duration::from_millis(dice.below(within));
            wait_until("the moment has come", PATIENCE, || {
                std::time::Instant::now() >= moment
            });
            self.engine.restart();
        }
        wait_until("all runs have completed", PATIENCE * 3, || {
            self.completed() == runs
        });
    }

    fn check(&self, witness: &Witness) {
        let evidence = self.cluster.evidence(Some(witness));
        evidence.check(&Rules::default()).assert();
    }

    /// Waits until another action begins; false when all runs have completed instead.
    fn begins_something(&self, witness: &Witness, runs: usize) -> bool {
        let before = witness.traces().len();
        let mut looks = 0_u32;
        let mut over = false;
        wait_until("an action begins", PATIENCE, || {
            looks += 1;
            over = looks.is_multiple_of(100) && self.completed() == runs;
            over || witness.traces().len() > before
        });
        !over
    }
}

/// What each branch did, in order of the witness: numbers of its steps.
fn by_branch(witness: &Witness) -> BTreeMap<String, Vec<(usize, Mark)>> {
    let mut branches: BTreeMap<String, Vec<(usize, Mark)>> = BTreeMap::new();
    for trace in witness.traces() {
        let branch = trace.key.split('/').next().unwrap().to_owned();
        let step = trace.node.trim_end_matches(|c: char| !c.is_ascii_digit());
        let step = step.chars().last().unwrap().to_digit(10).unwrap() as usize;
        branches.entry(branch).or_default().push((step, trace));
    }
    branches
}

#[test]
fn process_killed_at_random_no_finished_action_runs_again_and_none_is_skipped() {
    let mut dice = Dice::new();
    let witness = Witness::new();
    let (left, right) = (steps(&witness, "l", &[]), steps(&witness, "r", &[]));
    let body = format!(
        "  - both:\n      fork:\n        branches:\n          - left:\n              do:\n{}          - right:\n              do:\n{}",
        indent(&left, 16),
        indent(&right, 16)
    );
    let (kills, runs) = measure();
    let mut torment = Torment::start("every-action", &body, runs);
    torment.run(&mut dice, &witness, kills, runs);
    tell_interrupted(&witness, kills);
    let branches = by_branch(&witness);
    assert_eq!(branches.len(), runs * 2);
    for (branch, trail) in branches {
        let mut done = 0;
        for (step, trace) in &trail {
            // The same step again was in flight when the engine died; a lower one had finished.
            assert!(
                *step == done || *step + 1 == done,
                "branch {branch}: step {step} after {done} finished or begun: {trace:?}"
            );
            done = step + 1;
        }
        assert_eq!(done, STEPS, "branch {branch} left steps out");
    }
    torment.check(&witness);
}

#[test]
fn process_killed_at_random_marked_rolls_back_exactly_to_the_break() {
    let mut dice = Dice::new();
    let witness = Witness::new();
    let breaks = [2, 4];
    let body = indent(&steps(&witness, "s", &breaks), 2);
    let (kills, runs) = measure();
    let mut torment = Torment::start("marked", &body, runs);
    torment.run(&mut dice, &witness, kills, runs);
    tell_interrupted(&witness, kills);
    let branches = by_branch(&witness);
    assert_eq!(branches.len(), runs);
    for (branch, trail) in branches {
        let mut last: Option<usize> = None;
        for (step, trace) in &trail {
            let restart = last.map(|last| {
                breaks
                    .iter()
                    .rev()
                    .copied()
                    .find(|b| *b <= last)
                    .unwrap_or(0)
            });
            let goes_on = *step == last.map_or(0, |last| last + 1);
            // A break whose commit came before its action began is a restart point without a trace.
            let unseen = last.is_some_and(|last| breaks.contains(&(last + 1)) && *step == last + 1);
            assert!(
                goes_on || unseen || Some(*step) == restart,
                "branch {branch}: step {step} after {last:?}: {trace:?}"
            );
            last = Some(*step);
        }
        assert_eq!(last, Some(STEPS - 1), "branch {branch} left steps out");
    }
    torment.check(&witness);
}

#[test]
fn process_frozen_past_its_window_wakes_up_fenced() {
    let witness = Witness::new();
    let command = witness.around("sleep 0.3");
    let body: String = (0..STEPS)
        .map(|step| shell_task(&format!("s{step}"), &command))
        .collect();
    let torment = Torment::start("every-action", &body, 1);
    wait_until("the first step ran", PATIENCE, || {
        !witness.traces().is_empty()
    });
    torment.engine.stop();
    let second = torment.cluster.engine("second").spawn();
    let before = witness.traces().len();
    wait_until("the second engine took over", PATIENCE, || {
        witness.traces().len() > before + 1
    });
    torment.engine.cont();
    wait_until("the run has completed", PATIENCE, || {
        torment.completed() == 1
    });
    for (branch, trail) in by_branch(&witness) {
        let mut highest = 0;
        let mut done = 0;
        for (step, trace) in &trail {
            assert!(
                trace.epoch >= highest,
                "branch {branch}: a stale owner acted: {trace:?}"
            );
            assert!(
                *step == done || *step + 1 == done,
                "branch {branch}: {trace:?} after {done}"
            );
            highest = trace.epoch;
            done = step + 1;
        }
        assert_eq!(done, STEPS);
    }
    torment.check(&witness);
    drop(second);
}
