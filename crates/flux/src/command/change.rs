//! `flux pause`, `resume`, `cancel`, `expedite`, `remove`

use super::find_run;
use crate::config::Config;
use crate::exit::{CONFLICT, Failure, NOT_FOUND};
use crate::output;
use crate::wiring;
use flux_core::clock::Clock;
use flux_core::ports::operations::{Change, Operated};
use flux_failover::SystemClock;

#[derive(clap::Args)]
pub struct Args {
    /// The runs; the beginning of an id is enough
    #[arg(required = true)]
    runs: Vec<String>,
}

pub async fn run(args: &Args, change: Change, config: &Config) -> Result<(), Failure> {
    let store = wiring::store(config).await?;
    // All are looked up before the first one is touched: a typing error changes nothing.
    let mut runs = Vec::new();
    for text in &args.runs {
        runs.push(find_run(&*store, text).await?.id);
    }
    let done = match change {
        Change::Cancel => "is cancelled",
        Change::Pause => "is paused; what runs stops at its next commit point",
        Change::Resume => "goes on",
        Change::Expedite => "waits for no time any more",
        Change::Remove => "is removed",
    };
    let mut refused = Vec::new();
    for id in runs {
        match store.change(id, change, SystemClock.now()).await? {
            Operated::Done => output::note(&format!("run {id} {done}")),
            Operated::NotFound => return Err(Failure::new(NOT_FOUND, format!("run {id} is gone"))),
            Operated::Illegal(state) => refused.push(format!("run {id} is {state}")),
            Operated::Child => refused.push(format!(
                "run {id} is a sub-workflow, and the run that started it has not ended"
            )),
        }
    }
    match refused.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(CONFLICT, refused.join("\n"))),
    }
}
