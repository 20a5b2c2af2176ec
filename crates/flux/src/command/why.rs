//! `flux why`

use super::find_run;
use crate::config::Config;
use crate::exit::Failure;
use crate::output;
use crate::wiring;
use flux_core::branch::BranchState;
use flux_core::clock::{Clock, Timestamp};
use flux_core::ports::members::{Member, MemberState};
use flux_core::ports::runs::{BranchRecord, Outcome, RunRecord, Runs};
use flux_failover::SystemClock;

/// Says why a run does not go on: what each of its branches waits for
#[derive(clap::Args)]
pub struct Args {
    /// The run; the beginning of its id is enough
    run: String,
}

pub async fn run(args: &Args, config: &Config) -> Result<(), Failure> {
    let store = wiring::store(config)?;
    let run = find_run(&store, &args.run).await?;
    if let Some(outcome) = &run.outcome {
        output::data(&ended(&run, outcome));
        return Ok(());
    }
    let members = store.members().members().await?;
    for branch in store.branches(run.id).await? {
        if branch.state != BranchState::Finished {
            let reason = reason(&run, &branch, &members, SystemClock.now());
            output::data(&format!("{}: {reason}", branch.node));
        }
    }
    Ok(())
}

fn ended(run: &RunRecord, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Completed { .. } => "it has completed; `flux show` prints its output".to_owned(),
        Outcome::Faulted { fault } => format!("it faulted: {fault}; see `flux history {}`", run.id),
        Outcome::Cancelled => "it was cancelled".to_owned(),
    }
}

fn reason(run: &RunRecord, branch: &BranchRecord, members: &[Member], now: Timestamp) -> String {
    match branch.state {
        BranchState::Running => running(branch, members, now),
        BranchState::Ready => ready(run, branch, members, now),
        BranchState::Waiting => waiting(run, branch),
        BranchState::Paused => "paused".to_owned(),
        BranchState::Failed => match &branch.fault {
            Some(fault) => format!("failed: {fault}"),
            None => "failed".to_owned(),
        },
        BranchState::Finished => "finished".to_owned(),
    }
}

fn running(branch: &BranchRecord, members: &[Member], now: Timestamp) -> String {
    let owner = members
        .iter()
        .find(|member| Some(member.incarnation) == branch.owner);
    let Some(owner) = owner else {
        return "its engine is gone; it is taken over within one window".to_owned();
    };
    let silent = now.since(owner.heartbeat_at).as_secs_f64();
    let window = owner.window.as_secs_f64();
    if owner.state == MemberState::Dead {
        return format!("its engine {} is dead; it is being taken over", owner.name);
    }
    if silent > window / 2.0 {
        return format!(
            "its engine {} has been silent for {silent:.0} s; once others have seen that for \
             {window:.0} s it is taken over from commit point {}",
            owner.name, branch.commit_no
        );
    }
    format!("runs on engine {}, heartbeat {silent:.0} s ago", owner.name)
}

fn ready(run: &RunRecord, branch: &BranchRecord, members: &[Member], now: Timestamp) -> String {
    if let Some(due) = branch.due_at.filter(|due| *due > now) {
        return format!("due at {due}");
    }
    if run.pool.is_some() {
        return format!(
            "only the `flux run` that started it works on it; flux run --resume {}",
            run.id
        );
    }
    let alive = members
        .iter()
        .filter(|member| member.state == MemberState::Alive)
        .count();
    match alive {
        0 => "ready, but no engine is alive; `flux start` starts one".to_owned(),
        count => format!("ready; the {count} engines that are alive have no free slot for it yet"),
    }
}

fn waiting(run: &RunRecord, branch: &BranchRecord) -> String {
    let mut waits = Vec::new();
    if branch.awaits_signals {
        waits.push(format!(
            "an event; `flux signal {} TYPE --data JSON` sends one",
            run.id
        ));
    }
    if branch.awaits_join {
        waits.push("its branches or its sub-workflow".to_owned());
    }
    if let Some(due) = branch.due_at {
        waits.push(format!("its time, {due}"));
    }
    format!(
        "waits for {}",
        if waits.is_empty() {
            "nothing".into()
        } else {
            waits.join(", or ")
        }
    )
}
