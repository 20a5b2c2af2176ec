//! `flux history`

use super::cluster::resumed_json;
use super::find_run;
use crate::config::Config;
use crate::exit::Failure;
use crate::output::{self, Format};
use crate::wiring;
use flux_core::branch::BranchState;
use flux_core::ports::runs::{BranchRecord, HistoryRecord, Resumed};
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
    let branches = store.branches(run.id).await?;
    // After the branches: what is read last includes the commit points that an end needs.
    let history = store.history(run.id).await?;
    if args.output != Format::Table {
        let entries = history.iter().map(|entry| {
            let mut value = entry_json(entry);
            if is_takeover(entry) {
                value["resumed"] = resumed_json(&resumed(entry, &history, &branches));
            }
            value
        });
        let entries: Vec<Value> = entries.collect();
        let value = json!({"run": run.id.to_string(), "history": entries});
        return output::document(args.output, &value);
    }
    for entry in &history {
        for line in lines(entry, &history, &branches) {
            output::data(&line);
        }
    }
    Ok(())
}

fn lines(
    entry: &HistoryRecord,
    history: &[HistoryRecord],
    branches: &[BranchRecord],
) -> Vec<String> {
    let mut lines = vec![format!(
        "{}  branch {:.13}  commit point {}  epoch {}  {}  next {}",
        entry.at,
        entry.branch.to_string(),
        entry.commit_no,
        entry.epoch,
        entry.engine,
        entry.node
    )];
    let sentences = sentences(entry).into_iter();
    lines.extend(sentences.map(|sentence| format!("    {sentence}")));
    if is_takeover(entry) {
        lines.push(match resumed(entry, history, branches) {
            Resumed::By { engine, at } => format!("    went on on {engine} at {at}"),
            Resumed::NotYet => "    has not gone on yet; `flux why` says what it waits for".into(),
            Resumed::Never => "    did not go on: it has ended".into(),
        });
    }
    lines
}

fn is_takeover(entry: &HistoryRecord) -> bool {
    events(entry)[0]["type"] == "takeover"
}

/// Where the branch of a takeover went on: with whoever reached the next commit point, else with
/// whoever runs it now.
fn resumed(
    takeover: &HistoryRecord,
    history: &[HistoryRecord],
    branches: &[BranchRecord],
) -> Resumed {
    let next = history.iter().find(|entry| {
        entry.branch == takeover.branch
            && entry.commit_no == takeover.commit_no.next()
            && !is_takeover(entry)
    });
    if let Some(next) = next {
        let engine = next.engine.clone();
        return Resumed::By {
            engine,
            at: next.at,
        };
    }
    let branch = branches.iter().find(|branch| branch.id == takeover.branch);
    match branch {
        None => Resumed::Never,
        Some(branch) => match (&branch.engine, branch.state) {
            (Some(engine), _) => Resumed::By {
                engine: engine.clone(),
                at: branch.updated_at,
            },
            (None, BranchState::Failed | BranchState::Finished) => Resumed::Never,
            (None, _) => Resumed::NotYet,
        },
    }
}

/// What happened between this commit point and the one before, one sentence each.
pub fn sentences(entry: &HistoryRecord) -> Vec<String> {
    let events = events(entry);
    let events = events.as_array().into_iter().flatten();
    events
        .map(|event| match event["type"].as_str() {
            Some("takeover") => taken_over(entry, event),
            _ => sentence(event),
        })
        .collect()
}

/// The engine of the entry of a takeover is the one that died.
fn taken_over(entry: &HistoryRecord, event: &Value) -> String {
    let from = event["from"].as_str().unwrap_or_default();
    let (engine, commit_no) = (&entry.engine, entry.commit_no);
    let mut text = format!(
        "taken over from engine {engine} ({from:.8}), which died: back to commit point {commit_no}"
    );
    if event["poisoned"] == true {
        text += &format!(
            "; failed, because it has lost {} engines in a row",
            event["lost"]
        );
    }
    text
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

#[cfg(test)]
mod tests;
