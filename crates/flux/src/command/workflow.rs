//! `flux workflow`

use super::input;
use crate::config::Config;
use crate::exit::Failure;
use crate::output::{self, Format};
use crate::wiring;
use flux_core::clock::Clock;
use flux_engine::deploy;
use flux_failover::SystemClock;
use serde_json::{Value, json};
use std::path::PathBuf;

/// See [`super::Command`].
#[derive(clap::Subcommand)]
pub enum Args {
    /// Stores definitions and activates their schedules
    Deploy {
        /// Their files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Lists the stored definitions
    List {
        /// How to print
        #[arg(long, short, value_enum, default_value_t)]
        output: Format,
    },
}

pub async fn run(args: &Args, config: &Config) -> Result<(), Failure> {
    let store = wiring::store(config).await?;
    match args {
        Args::Deploy { files } => {
            for file in files {
                let (chart, source) = input::definition(file)?;
                deploy(&*store, &chart, &source, true, SystemClock.now()).await?;
                let scheduled = if chart.schedule.is_some() {
                    ", its schedule is active"
                } else {
                    ""
                };
                output::data(&format!("deployed {}{scheduled}", chart.name));
            }
        }
        Args::List { output } => {
            let all = store.definitions().await?;
            if *output != Format::Table {
                let all: Vec<Value> = all
                    .iter()
                    .map(
                        |d| json!({"name": d.name, "id": d.chart, "deployed_at": d.at.to_string()}),
                    )
                    .collect();
                return output::document(*output, &json!({ "workflows": all }));
            }
            let rows = all
                .iter()
                .map(|d| vec![d.name.to_string(), d.at.to_string()]);
            output::table(&["workflow", "deployed"], rows.collect());
        }
    }
    Ok(())
}
