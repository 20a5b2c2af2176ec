//! `flux cluster`: the engines on one store, and what failed over.
//!
//! ```text
//!   status.rs     the engines, as rows and as JSON
//!   warning.rs    what they should agree on and do not
//!   failovers.rs  who died, and where its branches went on
//!   watch.rs      looks again and again ── change.rs: what is new since the last look
//! ```

mod change;
mod failovers;
mod status;
mod warning;
mod watch;

pub use failovers::resumed_json;

use crate::config::Config;
use crate::exit::Failure;
use crate::output::Format;
use crate::wiring;

/// See [`super::Command`].
#[derive(clap::Subcommand)]
pub enum Args {
    /// Shows the engines, and warns of what they should agree on and do not
    Status {
        /// How to print
        #[arg(long, short, value_enum, default_value_t)]
        output: Format,
    },
    Watch(watch::Args),
    Failovers(failovers::Args),
}

pub async fn run(args: &Args, config: &Config) -> Result<(), Failure> {
    if let Args::Watch(args) = args {
        return watch::run(args, config).await;
    }
    let store = wiring::store(config).await?;
    match args {
        Args::Status { output } => {
            let members = store.members().members().await?;
            status::print(&members, *output)
        }
        Args::Failovers(args) => failovers::run(args, &*store).await,
        Args::Watch(_) => Ok(()),
    }
}

/// Enough of an incarnation to tell it from others.
fn short(incarnation: flux_core::ids::Incarnation) -> String {
    incarnation.to_string().chars().take(8).collect()
}

#[cfg(test)]
pub mod samples;
