//! `flux signal`

use super::find_run;
use crate::config::Config;
use crate::exit::{CONFLICT, Failure, INVALID, NOT_FOUND};
use crate::output;
use crate::wiring;
use flux_core::clock::Clock;
use flux_core::ports::runs::{Event, Signalled};
use flux_failover::SystemClock;
use uuid::Uuid;

/// Delivers an event to a run; it is kept until the run listens for it
///
/// Example:
///   flux signal 0193 com.example.approval.decided --data '{"approved": true}'
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The run; the beginning of its id is enough
    run: String,
    /// CloudEvents type of the event
    #[arg(value_name = "TYPE")]
    kind: String,
    /// Data of the event, as JSON
    #[arg(long, default_value = "null", value_name = "JSON")]
    data: String,
    /// Id of the event: the same again has no effect
    #[arg(long)]
    id: Option<String>,
}

pub async fn run(args: &Args, config: &Config) -> Result<(), Failure> {
    let store = wiring::store(config).await?;
    let run = find_run(&*store, &args.run).await?;
    let data: serde_json::Value = serde_json::from_str(&args.data)
        .map_err(|error| Failure::new(INVALID, format!("--data is no JSON: {error}")))?;
    let now = SystemClock.now();
    let id = args
        .id
        .clone()
        .unwrap_or_else(|| Uuid::now_v7().to_string());
    for (what, text) in [("the type", &args.kind), ("--id", &id)] {
        if !Event::is_attribute(text) {
            let message = format!("{what} must be {}", Event::ATTRIBUTE);
            return Err(Failure::new(2, message).help("for example com.example.approved"));
        }
    }
    let source = "flux:/cli".to_owned();
    let json = serde_json::json!({
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": args.kind,
        "time": now.to_string(),
        "data": data,
    });
    let event = Event {
        id,
        source,
        kind: args.kind.clone(),
        json: json.to_string(),
    };
    match store.signal(run.id, event, now).await? {
        Signalled::Accepted => output::note(&format!("run {} has the event", run.id)),
        Signalled::Duplicate => output::note("the same event came before; nothing changed"),
        Signalled::NotFound => return Err(Failure::new(NOT_FOUND, "the run is gone")),
        Signalled::Ended(state) => {
            return Err(Failure::new(
                CONFLICT,
                format!("run {} has ended: {state}", run.id),
            ));
        }
    }
    Ok(())
}
