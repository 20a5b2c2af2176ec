//! Ends the time of faults, and waits for everything to come to a good end.

use crate::life::Life;
use crate::world::Instant;
use flux_core::ownership::Timing;
use flux_core::ports::runs::Runs;
use futures_util::FutureExt;
use std::sync::Arc;
use std::time::Duration;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(250);
/// Long enough for every workflow there is, once nothing goes wrong any more.
const WORK: Duration = Duration::from_secs(60);
/// What calls and timers may add to a detection.
const CALLS: Duration = Duration::from_millis(100);

pub async fn watch(life: Arc<Life>) {
    let plan = &life.sim.plan;
    life.sim.sleep(plan.heal_at).await;
    life.sim.tell("world", |_| {
        "*** nothing goes wrong from here on".to_owned()
    });
    (0..life.engines()).for_each(|engine| life.boot(engine));
    let window = plan.engines.iter().map(|engine| engine.window).max();
    let window = window.unwrap_or_default();
    let patience = plan.heal_at + window * 4 + WORK + plan.widest_skew();
    while !all_ended(&life) {
        life.sim.sleep(LOOK).await;
        if life.sim.now() > patience {
            let open = what_is_open(&life);
            return life.sim.witness().violated("L4", open);
        }
    }
    if plan.detection {
        detection(&life, window).await;
    }
    life.judge();
    life.end();
}

fn all_ended(life: &Life) -> bool {
    let accepted = life.accepted();
    let expected = life.sim.plan.runs.len() + usize::from(life.sim.plan.killer);
    accepted.len() == expected
        && accepted.iter().all(|(run, _)| {
            let record = life.sim.store.run(*run).now_or_never();
            matches!(record, Some(Ok(Some(record))) if record.state.is_final())
        })
}

/// Kills an engine that is well, and looks how soon the others declare it dead: L1.
async fn detection(life: &Arc<Life>, window: Duration) {
    life.sim.sleep(window * 3).await;
    let engines = life.engines() as u64;
    let victim = life.sim.rng().below(engines) as usize;
    let Some(process) = life.process(victim) else {
        return;
    };
    let believed = life.sim.witness().believed(process);
    let Some((who, _, judged_by)) = believed.first().copied() else {
        return life
            .sim
            .witness()
            .violated("L4", "an engine that is well is no member");
    };
    life.crash(victim, Duration::from_secs(3600));
    // A heartbeat may still be on its way.
    life.sim.sleep(Duration::from_millis(10)).await;
    let applied = life.sim.witness().believed(process);
    let Some((_, applied, _)) = applied.first().copied() else {
        return;
    };
    let others = (0..life.engines()).filter(|engine| *engine != victim);
    let latest = others.map(|engine| {
        let clocks = life.clocks(engine);
        let observe = Timing::of(life.sim.plan.engines[engine].window).observe;
        clocks.true_time(judged_by + observe * 2) + CALLS
    });
    let latest = latest.min().unwrap_or_default();
    life.sim.sleep(latest).await;
    let mut witness = life.sim.witness();
    let dead: Option<Instant> = witness.dead_since(who);
    let silence = dead.map(|dead| Duration::from_nanos(dead - applied));
    if silence.is_none_or(|silence| silence > latest) {
        let text = format!("a dead engine was seen to be so after {silence:?}, not {latest:?}");
        witness.violated("L1", text);
    }
    witness.count("detections");
}

/// What has not ended, and why one may think so.
fn what_is_open(life: &Life) -> String {
    let mut lines = vec!["not everything has ended:".to_owned()];
    for (run, _) in life.accepted() {
        let branches = life.sim.store.branches(run).now_or_never();
        let record = life.sim.store.run(run).now_or_never();
        let ended = matches!(record, Some(Ok(Some(record))) if record.state.is_final());
        if ended {
            continue;
        }
        let witness = life.sim.witness();
        for branch in branches.and_then(Result::ok).unwrap_or_default() {
            let owner = branch.owner.map(|owner| witness.names.incarnation(owner));
            lines.push(format!(
                "  {} is {} at {}, epoch {}, commit {}, owner {owner:?}, due {:?}",
                witness.names.branch(branch.id),
                branch.state,
                branch.node,
                branch.epoch,
                branch.commit_no,
                branch.due_at.map(|due| due.to_string()),
            ));
        }
    }
    lines.join("\n")
}
