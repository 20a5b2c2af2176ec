//! `flux workflow` and `flux schedule`

use super::input;
use crate::config::Config;
use crate::exit::{Failure, NOT_FOUND};
use crate::output::{self, Format};
use crate::wiring;
use flux_core::chart::Compiler;
use flux_core::clock::{Clock, Timestamp};
use flux_core::ports::definitions::Definitions;
use flux_core::schedule::next_after;
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

/// See [`super::Command`].
#[derive(clap::Subcommand)]
pub enum ScheduleArgs {
    /// Lists the schedules, the next due first
    List {
        /// How to print
        #[arg(long, short, value_enum, default_value_t)]
        output: Format,
    },
    /// Shows when a schedule will be due
    Next {
        /// NAMESPACE/NAME
        name: String,
        /// How many times
        #[arg(short = 'n', default_value_t = 5)]
        count: u32,
    },
}

pub async fn run(args: &Args, config: &Config) -> Result<(), Failure> {
    let store = wiring::store(config)?;
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
            if *output == Format::Json {
                let all: Vec<Value> = all
                    .iter()
                    .map(
                        |d| json!({"name": d.name, "id": d.chart, "deployed_at": d.at.to_string()}),
                    )
                    .collect();
                output::json(&json!({ "workflows": all }));
                return Ok(());
            }
            let rows = all
                .iter()
                .map(|d| vec![d.name.to_string(), d.at.to_string()]);
            output::table(&["workflow", "deployed"], rows.collect());
        }
    }
    Ok(())
}

pub async fn schedules(args: &ScheduleArgs, config: &Config) -> Result<(), Failure> {
    let store = wiring::store(config)?;
    let all = store.schedules().await?;
    let text = |at: Option<Timestamp>| at.map_or("after its run".into(), |at| at.to_string());
    match args {
        ScheduleArgs::List {
            output: Format::Json,
        } => {
            let all: Vec<Value> = all
                .iter()
                .map(|s| json!({"name": s.name, "due_at": s.due_at.map(|at| at.to_string()), "last_run": s.last_run.map(|id| id.to_string())}))
                .collect();
            output::json(&json!({ "schedules": all }));
        }
        ScheduleArgs::List { .. } => {
            let rows = all.iter().map(|s| vec![s.name.to_string(), text(s.due_at)]);
            output::table(&["workflow", "due"], rows.collect());
        }
        ScheduleArgs::Next { name, count } => {
            let found = all
                .iter()
                .find(|s| format!("{}/{}", s.name.namespace, s.name.name) == *name);
            let record = found.ok_or_else(|| {
                Failure::new(NOT_FOUND, format!("there is no schedule `{name}`"))
                    .help("`flux schedule list` shows them")
            })?;
            let source = store.source(&record.chart).await?.unwrap_or_default();
            let chart = flux_lang::Language
                .compile(&source)
                .map_err(|report| Failure::new(1, report))?;
            let mut due = record.due_at;
            for _ in 0..*count {
                let Some(at) = due else { break };
                output::data(&at.to_string());
                due = chart
                    .schedule
                    .as_ref()
                    .and_then(|schedule| next_after(schedule, at));
            }
        }
    }
    Ok(())
}
