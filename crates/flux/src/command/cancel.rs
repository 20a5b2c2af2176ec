//! `flux cancel`

use super::find_run;
use crate::config::Config;
use crate::exit::{CONFLICT, Failure, NOT_FOUND};
use crate::output;
use crate::wiring;
use flux_core::clock::Clock;
use flux_core::ports::operations::Operated;
use flux_failover::SystemClock;

/// Cancels runs, with the branches and sub-workflows that they wait for
///
/// An engine that runs one of them is fenced at once, and stops its action within a second
/// or so.
///
/// Example:
///   flux cancel 0193 0194
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The runs; the beginning of an id is enough
    #[arg(required = true)]
    runs: Vec<String>,
}

pub async fn run(args: &Args, config: &Config) -> Result<(), Failure> {
    let store = wiring::store(config).await?;
    // All are looked up before the first one is touched: a typing error changes nothing.
    let mut runs = Vec::new();
    for text in &args.runs {
        runs.push(find_run(&*store, text).await?.id);
    }
    let mut refused = Vec::new();
    for id in runs {
        match store.cancel(id, SystemClock.now()).await? {
            Operated::Done => output::note(&format!("run {id} is cancelled")),
            Operated::NotFound => return Err(Failure::new(NOT_FOUND, format!("run {id} is gone"))),
            Operated::Illegal(state) => refused.push(format!("run {id} has ended: {state}")),
            Operated::Child => refused.push(format!("run {id} is a sub-workflow")),
        }
    }
    match refused.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(CONFLICT, refused.join("\n"))),
    }
}
