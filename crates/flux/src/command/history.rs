//! `flux history`

use super::find_run;
use crate::config::Config;
use crate::exit::Failure;
use crate::output::{self, Format};
use crate::wiring;
use flux_core::ports::runs::HistoryRecord;
use serde_json::{Value, json};

/// Shows what a run did: its commit points, and the takeovers between them
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
    let history = store.history(run.id).await?;
    if args.output != Format::Table {
        let entries: Vec<Value> = history.iter().map(entry_json).collect();
        let value = json!({"run": run.id.to_string(), "history": entries});
        return output::document(args.output, &value);
    }
    for entry in history {
        output::data(&format!(
            "{}  branch {:.13}  commit point {}  epoch {}  {}  next {}",
            entry.at,
            entry.branch.to_string(),
            entry.commit_no,
            entry.epoch,
            entry.engine,
            entry.node
        ));
        for sentence in sentences(&entry) {
            output::data(&format!("    {sentence}"));
        }
    }
    Ok(())
}

/// What happened between this commit point and the one before, one sentence each.
pub fn sentences(entry: &HistoryRecord) -> Vec<String> {
    let events = events(entry);
    events
        .as_array()
        .into_iter()
        .flatten()
        .map(sentence)
        .collect()
}

fn events(entry: &HistoryRecord) -> Value {
    serde_json::from_str(&entry.events).unwrap_or_default()
}

fn sentence(event: &Value) -> String {
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    let kind = text("type");
    let what = if text("task").is_empty() {
        String::new()
    } else {
        format!(" {}", text("task"))
    };
    let detail = match (&event["fault"], &event["attempt"]) {
        (Value::Object(fault), _) => {
            format!(
                ": {}",
                fault
                    .get("detail")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
            )
        }
        (_, Value::Number(attempt)) => format!(": attempt {attempt}"),
        _ if kind == "takeover" => format!(" {event}"),
        _ => String::new(),
    };
    format!("{kind}{what}{detail}")
}

fn entry_json(entry: &HistoryRecord) -> Value {
    json!({
        "branch": entry.branch.to_string(),
        "commit_no": entry.commit_no.to_string().parse::<u64>().ok(),
        "epoch": entry.epoch.to_string().parse::<u64>().ok(),
        "engine": entry.engine,
        "at": entry.at.to_string(),
        "node": entry.node,
        "events": events(entry),
    })
}
