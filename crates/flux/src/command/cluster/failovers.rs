//! `flux cluster failovers`

use super::short;
use crate::exit::{Failure, NOT_FOUND};
use crate::output::{self, Format};
use flux_core::ids::Incarnation;
use flux_core::ports::runs::{FailoverRecord, Resumed, TakeoverRecord};
use flux_store::Store;
use serde_json::{Value, json};

/// Shows which engines died, who found out and how, and what was taken over
///
/// With the name of an engine, or an incarnation or its beginning: each branch that it lost, the
/// commit point that the branch went back to, and where it went on.
///
/// Examples:
///   flux cluster failovers
///   flux cluster failovers ada
///   flux cluster failovers 5f1c -o json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Only this engine, with its branches
    #[arg(value_name = "ENGINE|INCARNATION")]
    engine: Option<String>,
    /// At most this many engines, the newest
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

/// Branches of one engine that are shown; the number of all is told in any case.
const TAKEOVERS: u32 = 1_000;

pub async fn run(args: &Args, store: &dyn Store) -> Result<(), Failure> {
    let Some(wanted) = &args.engine else {
        let all = store.failovers(args.limit).await?;
        return print_all(&all, args.output);
    };
    // Any of them may be the one that is asked for.
    let mut found = matching(store.failovers(u32::MAX).await?, wanted);
    found.truncate(args.limit as usize);
    if found.is_empty() {
        return Err(
            Failure::new(NOT_FOUND, format!("no engine `{wanted}` was declared dead"))
                .help("flux cluster failovers"),
        );
    }
    let mut detailed = Vec::new();
    for failover in found {
        let takeovers = store.takeovers(failover.from, TAKEOVERS).await?;
        detailed.push((failover, takeovers));
    }
    print_detailed(&detailed, args.output)
}

/// Those of the engine with this name; else those whose incarnation begins like this.
fn matching(all: Vec<FailoverRecord>, wanted: &str) -> Vec<FailoverRecord> {
    let named = all.iter().any(|failover| failover.from_name == wanted);
    let is_wanted = |failover: &FailoverRecord| match named {
        true => failover.from_name == wanted,
        false => !wanted.is_empty() && failover.from.to_string().starts_with(wanted),
    };
    all.into_iter().filter(is_wanted).collect()
}

fn print_all(all: &[FailoverRecord], format: Format) -> Result<(), Failure> {
    if format != Format::Table {
        let values: Vec<Value> = all.iter().map(failover_json).collect();
        return output::document(format, &json!({ "failovers": values }));
    }
    let row = |failover: &FailoverRecord| {
        vec![
            failover.at.to_string(),
            failover.from_name.clone(),
            short(failover.from),
            failover.heartbeat_at.to_string(),
            judge(failover),
            failover.branches.to_string(),
            failover.evidence.clone(),
        ]
    };
    output::table(
        &[
            "declared dead",
            "engine",
            "incarnation",
            "last heartbeat",
            "by",
            "branches",
            "evidence",
        ],
        all.iter().map(row).collect(),
    );
    Ok(())
}

fn print_detailed(
    detailed: &[(FailoverRecord, Vec<TakeoverRecord>)],
    format: Format,
) -> Result<(), Failure> {
    if format != Format::Table {
        let values = detailed.iter().map(|(failover, takeovers)| {
            let mut value = failover_json(failover);
            value["takeovers"] = takeovers.iter().map(takeover_json).collect();
            value
        });
        let values: Vec<Value> = values.collect();
        return output::document(format, &json!({ "failovers": values }));
    }
    for (index, (failover, takeovers)) in detailed.iter().enumerate() {
        if index > 0 {
            output::data("");
        }
        output::data(&detail(failover, takeovers));
        let hidden = failover.branches.saturating_sub(takeovers.len() as u64);
        if hidden > 0 {
            output::note(&format!("{hidden} more are not shown, or were pruned"));
        }
    }
    Ok(())
}

/// One engine that died, with its branches.
fn detail(failover: &FailoverRecord, takeovers: &[TakeoverRecord]) -> String {
    let mut text = format!(
        "engine {}, incarnation {}\n\
         last heartbeat: number {}, {} by its own clock\n\
         declared dead: {} by {}\n\
         evidence: {}\n\
         branches taken over: {}",
        failover.from_name,
        failover.from,
        failover.heartbeat_seq,
        failover.heartbeat_at,
        failover.at,
        judge(failover),
        failover.evidence,
        failover.branches
    );
    if !takeovers.is_empty() {
        let rows = takeovers.iter().map(|takeover| {
            vec![
                takeover.run.to_string(),
                takeover.branch.to_string(),
                format!("{} {}", takeover.commit_no, takeover.node),
                takeover.at.to_string(),
                resumed(takeover),
            ]
        });
        let header = ["run", "branch", "commit point", "freed", "resumed"];
        text += "\n";
        text += &output::table_text(&header, rows.collect());
    }
    text
}

/// Name and incarnation of who declared it dead.
fn judge(failover: &FailoverRecord) -> String {
    let incarnation = short(failover.by);
    if failover.by == failover.from {
        "itself".to_owned()
    } else if failover.by_name.is_empty() {
        format!("an engine that wanted to join ({incarnation})")
    } else {
        format!("{} ({incarnation})", failover.by_name)
    }
}

fn resumed(takeover: &TakeoverRecord) -> String {
    match &takeover.resumed {
        Resumed::By { engine, at } => format!("on {engine} at {at}"),
        Resumed::NotYet => "not yet".to_owned(),
        Resumed::Never if takeover.poisoned => {
            format!("never: it had lost {} engines in a row", takeover.lost)
        }
        Resumed::Never => "never: it has ended".to_owned(),
    }
}

fn failover_json(failover: &FailoverRecord) -> Value {
    json!({
        "engine": failover.from_name,
        "incarnation": failover.from.to_string(),
        "heartbeat_no": failover.heartbeat_seq,
        "heartbeat_at": failover.heartbeat_at.to_string(),
        "at": failover.at.to_string(),
        "by": failover.by.to_string(),
        "by_engine": known(failover.by, failover),
        "evidence": failover.evidence,
        "branches": failover.branches,
    })
}

fn known(by: Incarnation, failover: &FailoverRecord) -> Option<&str> {
    let name = if by == failover.from {
        &failover.from_name
    } else {
        &failover.by_name
    };
    Some(name.as_str()).filter(|name| !name.is_empty())
}

fn takeover_json(takeover: &TakeoverRecord) -> Value {
    json!({
        "run": takeover.run.to_string(),
        "branch": takeover.branch.to_string(),
        "epoch": takeover.epoch.0,
        "commit_no": takeover.commit_no.0,
        "node": takeover.node,
        "lost": takeover.lost,
        "poisoned": takeover.poisoned,
        "at": takeover.at.to_string(),
        "resumed": resumed_json(&takeover.resumed),
    })
}

/// Where a branch went on, as JSON.
pub fn resumed_json(resumed: &Resumed) -> Value {
    match resumed {
        Resumed::By { engine, at } => {
            json!({"state": "resumed", "engine": engine, "at": at.to_string()})
        }
        Resumed::NotYet => json!({"state": "not yet"}),
        Resumed::Never => json!({"state": "never"}),
    }
}

#[cfg(test)]
mod tests;
