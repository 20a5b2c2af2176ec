//! `flux recover`

use super::find_run;
use crate::config::Config;
use crate::exit::{CONFLICT, Failure, NOT_FOUND};
use crate::output;
use crate::wiring;
use flux_core::chart::Compiler;
use flux_core::clock::Clock;
use flux_core::labels::is_private;
use flux_core::ports::operations::{Operated, Recovery};
use flux_failover::SystemClock;

/// Sends a faulted run back to its last commit point
///
/// Repair what made it fault first: it goes on with the definition it started with. The
/// action that failed runs again with the same idempotency key. A run that faulted in a
/// fork or a sub-workflow splits or starts it again, from the beginning. Time-outs begin
/// anew; an event that was taken since the commit point must be sent again.
///
/// Example:
///   flux recover 0193
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The run; the beginning of its id is enough
    run: String,
}

pub async fn run(args: &Args, config: &Config) -> Result<(), Failure> {
    let store = wiring::store(config).await?;
    let record = find_run(&*store, &args.run).await?;
    let id = record.id;
    let source = store.source(&record.chart).await?.unwrap_or_default();
    let chart = flux_lang::Language
        .compile(&source)
        .map_err(|report| Failure::new(1, report))?;
    let recovery = Recovery {
        run: id,
        listens: chart.listens.clone(),
        at: SystemClock.now(),
    };
    match store.recover(recovery).await? {
        Operated::Done => {}
        Operated::NotFound => return Err(Failure::new(NOT_FOUND, format!("run {id} is gone"))),
        Operated::Illegal(state) => {
            let message = format!("run {id} is {state}; only a faulted run can be sent back");
            return Err(Failure::new(CONFLICT, message));
        }
        Operated::Child => {
            let message =
                format!("run {id} is a sub-workflow, and the run that waited has gone on");
            return Err(Failure::new(CONFLICT, message).help("recover the run that started it"));
        }
    }
    output::note(&format!("run {id} goes on at its last commit point"));
    if is_private(record.pool.as_deref()) {
        output::note(&format!("`flux run` started it: flux run --resume {id}"));
    }
    Ok(())
}
