//! `flux schedule`

use crate::config::Config;
use crate::exit::{Failure, NOT_FOUND};
use crate::output::{self, Format};
use crate::wiring;
use flux_core::chart::Compiler;
use flux_core::clock::Timestamp;
use flux_core::ports::definitions::ScheduleRecord;
use flux_core::schedule::next_after;
use flux_store::Store;
use serde_json::{Value, json};

/// See [`super::Command`].
#[derive(clap::Subcommand)]
pub enum Args {
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
        /// How to print
        #[arg(long, short, value_enum, default_value_t)]
        output: Format,
    },
}

pub async fn run(args: &Args, config: &Config) -> Result<(), Failure> {
    let store = wiring::store(config).await?;
    let all = store.schedules().await?;
    match args {
        Args::List { output } => list(&all, *output),
        Args::Next {
            name,
            count,
            output,
        } => {
            let due = next(&*store, &all, name, *count).await?;
            let due: Vec<String> = due.iter().map(ToString::to_string).collect();
            if *output != Format::Table {
                return output::document(*output, &json!({"schedule": name, "due": due}));
            }
            for at in due {
                output::data(&at);
            }
            Ok(())
        }
    }
}

fn list(all: &[ScheduleRecord], format: Format) -> Result<(), Failure> {
    if format != Format::Table {
        let all: Vec<Value> = all.iter().map(schedule_json).collect();
        return output::document(format, &json!({ "schedules": all }));
    }
    let text = |at: Option<Timestamp>| at.map_or("after its run".into(), |at| at.to_string());
    let rows = all.iter().map(|s| vec![s.name.to_string(), text(s.due_at)]);
    output::table(&["workflow", "due"], rows.collect());
    Ok(())
}

fn schedule_json(schedule: &ScheduleRecord) -> Value {
    json!({
        "name": schedule.name,
        "due_at": schedule.due_at.map(|at| at.to_string()),
        "last_run": schedule.last_run.map(|id| id.to_string()),
    })
}

/// The next due times; fewer than asked for when the schedule waits for its run.
async fn next(
    store: &dyn Store,
    all: &[ScheduleRecord],
    name: &str,
    count: u32,
) -> Result<Vec<Timestamp>, Failure> {
    let found = all
        .iter()
        .find(|s| format!("{}/{}", s.name.namespace, s.name.name) == name);
    let record = found.ok_or_else(|| {
        Failure::new(NOT_FOUND, format!("there is no schedule `{name}`"))
            .help("`flux schedule list` shows them")
    })?;
    let source = store.source(&record.chart).await?.unwrap_or_default();
    let chart = flux_lang::Language
        .compile(&source)
        .map_err(|report| Failure::new(1, report))?;
    let schedule = chart.schedule.as_ref();
    let after = |at: &Timestamp| schedule.and_then(|schedule| next_after(schedule, *at));
    Ok(std::iter::successors(record.due_at, after)
        .take(count as usize)
        .collect())
}
