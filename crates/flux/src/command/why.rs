//! `flux why`

use super::find_run;
use crate::config::Config;
use crate::exit::Failure;
use crate::output::{self, Format};
use crate::wiring;
use flux_core::branch::BranchState;
use flux_core::clock::{Clock, Timestamp};
use flux_core::ports::members::{Member, MemberState};
use flux_core::ports::runs::{BranchRecord, Outcome, RunRecord};
use flux_failover::SystemClock;
use flux_store::Store;
use serde_json::{Value, json};

/// Says why a run does not go on: what each of its branches waits for
#[derive(clap::Args)]
pub struct Args {
    /// The run; the beginning of its id is enough
    run: String,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

pub async fn run(args: &Args, config: &Config) -> Result<(), Failure> {
    let store = wiring::store(config).await?;
    let run = find_run(&*store, &args.run).await?;
    let reasons = match &run.outcome {
        Some(outcome) => vec![(String::new(), ended(&run, outcome))],
        None => open(&*store, &run).await?,
    };
    if args.output != Format::Table {
        let reasons: Vec<Value> = reasons
            .iter()
            .map(|(node, reason)| json!({"node": node, "reason": reason}))
            .collect();
        let (id, state) = (run.id.to_string(), run.state.name());
        let value = json!({"run": id, "state": state, "reasons": reasons});
        return output::document(args.output, &value);
    }
    for (node, reason) in reasons {
        let place = if node.is_empty() {
            node
        } else {
            format!("{node}: ")
        };
        output::data(&format!("{place}{reason}"));
    }
    Ok(())
}

/// Where each branch that has not ended stands, and why.
async fn open(store: &dyn Store, run: &RunRecord) -> Result<Vec<(String, String)>, Failure> {
    let members = store.members().members().await?;
    let mut reasons = Vec::new();
    for branch in store.branches(run.id).await? {
        if branch.state != BranchState::Finished {
            let reason = reason(run, &branch, &members, SystemClock.now());
            reasons.push((branch.node, reason));
        }
    }
    Ok(reasons)
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
