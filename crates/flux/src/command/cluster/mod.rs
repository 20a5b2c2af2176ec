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
use crate::exit::{Failure, NOT_FOUND};
use crate::output::{self, Format};
use crate::wiring;
use flux_core::ports::members::{Member, MemberState};
use flux_store::Store;

/// See [`super::Command`].
#[derive(clap::Subcommand)]
pub enum Args {
    /// Shows the engines, and warns of what they should agree on and do not
    Status {
        /// How to print
        #[arg(long, short, value_enum, default_value_t)]
        output: Format,
    },
    /// Asks an engine to drain: it claims nothing any more, gives back what it runs, and ends
    ///
    /// It notices at its next look at the cluster, a twelfth of its window later at most.
    Drain {
        /// Its name, or the beginning of its incarnation
        engine: String,
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
        Args::Drain { engine } => drain(&*store, engine).await,
        Args::Failovers(args) => failovers::run(args, &*store).await,
        Args::Watch(_) => Ok(()),
    }
}

async fn drain(store: &dyn Store, engine: &str) -> Result<(), Failure> {
    let members = store.members();
    let all = members.members().await?;
    let is_meant = |member: &&Member| {
        member.state != MemberState::Dead
            && (member.name == engine || member.incarnation.to_string().starts_with(engine))
    };
    let mut meant = all.iter().filter(is_meant);
    let (member, another) = (meant.next(), meant.next());
    let (Some(member), None) = (member, another) else {
        let what = match member {
            Some(_) => format!("several engines are called `{engine}`"),
            None => format!("no engine is called `{engine}`"),
        };
        return Err(Failure::new(NOT_FOUND, what).help("`flux cluster status -o json` lists them"));
    };
    members.set_draining(member.incarnation).await?;
    output::note(&format!(
        "engine {} ({}) drains",
        member.name, member.incarnation
    ));
    Ok(())
}

/// Enough of an incarnation to tell it from others.
fn short(incarnation: flux_core::ids::Incarnation) -> String {
    incarnation.to_string().chars().take(8).collect()
}

#[cfg(test)]
pub mod samples;
