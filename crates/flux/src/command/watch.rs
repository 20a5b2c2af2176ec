//! `flux watch`

use super::{find_run, history, submit};
use crate::config::Config;
use crate::exit::{Failure, TIMEOUT};
use crate::output;
use crate::wiring;
use flux_core::ids::{BranchId, CommitNo, Epoch, RunId};
use flux_store::Store;
use std::collections::HashSet;
use std::time::{Duration, Instant};

/// Follows a run until it ends, and prints its output
///
/// What it has done so far and what it does from now on goes to standard error, the output
/// to standard output. The exit code says how it ended, as with `flux run`. Interrupting this
/// command does not touch the run.
///
/// Examples:
///   flux watch 0193
///   flux watch --timeout 60 0193
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The run; the beginning of its id is enough
    run: String,
    /// Stop waiting after this many seconds; the run goes on
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

/// Shortest pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);

pub async fn run(args: &Args, config: &Config) -> Result<(), Failure> {
    let store = wiring::store(config).await?;
    let id = find_run(&*store, &args.run).await?.id;
    let deadline = args
        .timeout
        .map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut news = News::default();
    loop {
        let look = Instant::now();
        // In this order: what is read last includes what led to an end that was read before.
        let record = find_run(&*store, &id.to_string()).await?;
        news.print(&*store, id).await?;
        if record.state.is_final() {
            return submit::report(&record);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            let message = format!("run {id} has not ended in time; it goes on");
            return Err(Failure::new(TIMEOUT, message).help(format!("flux why {id}")));
        }
        // A long history is read less often.
        tokio::time::sleep(PAUSE.max(look.elapsed() * 10)).await;
    }
}

/// Commit points and takeovers that were printed. Not a count: engines stamp them with their own
/// clocks, so that a new one may stand before an old one.
#[derive(Default)]
struct News(HashSet<(BranchId, Epoch, CommitNo)>);

impl News {
    async fn print(&mut self, store: &dyn Store, run: RunId) -> Result<(), Failure> {
        for entry in store.history(run).await? {
            if self.0.insert((entry.branch, entry.epoch, entry.commit_no)) {
                for sentence in history::sentences(&entry) {
                    let engine = &entry.engine;
                    output::note(&format!("{}  {engine}  {sentence}", entry.at));
                }
            }
        }
        Ok(())
    }
}
