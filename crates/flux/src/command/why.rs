//! `flux why`

use super::find_run;
use crate::config::Config;
use crate::exit::Failure;
use crate::output::{self, Format};
use crate::wiring;
use flux_core::branch::BranchState;
use flux_core::clock::Clock;
use flux_core::explain::{Reason, Scene, ended};
use flux_core::ports::runs::RunRecord;
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
        Some(outcome) => vec![(String::new(), Reason::text(ended(&run, outcome)))],
        None => open(&*store, &run).await?,
    };
    if args.output != Format::Table {
        let reasons: Vec<Value> = reasons
            .iter()
            .map(|(node, reason)| {
                json!({"node": node, "reason": reason.text, "owner": reason.owner})
            })
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
        output::data(&format!("{place}{}", reason.text));
    }
    Ok(())
}

/// Where each branch that has not ended stands, and why.
async fn open(store: &dyn Store, run: &RunRecord) -> Result<Vec<(String, Reason)>, Failure> {
    let branches = store.branches(run.id).await?;
    // After the branches: whoever owns one of them was a member before.
    let members = store.members().members().await?;
    let throttles = store.throttles().await?;
    let scene = Scene {
        run,
        members: &members,
        throttles: &throttles,
        now: SystemClock.now(),
    };
    let mut reasons = Vec::new();
    for branch in branches {
        if branch.state != BranchState::Finished {
            let reason = scene.reason(&branch);
            reasons.push((branch.node, reason));
        }
    }
    Ok(reasons)
}
