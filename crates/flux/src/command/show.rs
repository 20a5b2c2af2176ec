//! `flux show`

use super::find_run;
use super::list::run_json;
use crate::config::Config;
use crate::exit::Failure;
use crate::output::{self, Format};
use crate::wiring;
use flux_core::ids::BranchId;
use flux_core::ports::runs::{BranchRecord, Outcome};
use serde_json::{Value, json};

/// Shows a run: its branches and where each runs
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
    let branches = store.branches(run.id).await?;
    if args.output != Format::Table {
        let mut value = run_json(&run);
        value["branches"] = branches.iter().map(branch_json).collect();
        return output::document(args.output, &value);
    }
    output::data(&format!("run       {}", run.id));
    output::data(&format!("workflow  {}", run.name));
    output::data(&format!("state     {}", run.state));
    output::data(&format!("started   {}", run.started_at));
    if let Some(at) = run.ended_at {
        output::data(&format!("ended     {at}"));
    }
    match &run.outcome {
        Some(Outcome::Completed { output }) => output::data(&format!("output    {output}")),
        Some(Outcome::Faulted { fault }) => output::data(&format!("fault     {fault}")),
        Some(Outcome::Cancelled) | None => {}
    }
    output::data("branches");
    draw(&branches, None, 1);
    Ok(())
}

fn draw(branches: &[BranchRecord], parent: Option<BranchId>, depth: usize) {
    let known = |id: BranchId| branches.iter().any(|branch| branch.id == id);
    for branch in branches {
        let above = branch.parent.filter(|parent| known(*parent));
        if above != parent {
            continue;
        }
        let place = match (&branch.engine, branch.due_at) {
            (Some(engine), _) => format!(" on {engine}"),
            (None, Some(due)) => format!(", due {due}"),
            (None, None) => String::new(),
        };
        output::data(&format!(
            "{}{} at {} (commit point {}){place}",
            "  ".repeat(depth),
            branch.state,
            branch.node,
            branch.commit_no
        ));
        draw(branches, Some(branch.id), depth + 1);
    }
}

fn branch_json(branch: &BranchRecord) -> Value {
    json!({
        "id": branch.id.to_string(),
        "parent": branch.parent.map(|id| id.to_string()),
        "index": branch.index,
        "state": branch.state.name(),
        "engine": branch.engine,
        "incarnation": branch.owner.map(|id| id.to_string()),
        "epoch": branch.epoch.to_string().parse::<u64>().ok(),
        "commit_no": branch.commit_no.to_string().parse::<u64>().ok(),
        "node": branch.node,
        "due_at": branch.due_at.map(|at| at.to_string()),
        "lost": branch.lost,
        "fault": branch.fault,
        "updated_at": branch.updated_at.to_string(),
    })
}
