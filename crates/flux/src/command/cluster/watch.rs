//! `flux cluster watch`

use super::change::{Change, Look, changes, present};
use super::status;
use super::warning::warnings;
use crate::command::live::Board;
use crate::command::start::Stop;
use crate::config::Config;
use crate::exit::Failure;
use crate::output::{self, Format};
use crate::wiring;
use flux_core::clock::Clock;
use flux_core::ports::Error;
use flux_core::ports::members::Members;
use flux_core::time_expression::TimeExpression;
use flux_failover::SystemClock;
use flux_store::Store;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Follows the engines: who joins, leaves, falls silent and dies, and what fails over
///
/// On a terminal it keeps a table of the engines up to date, and writes above it what happens.
/// Otherwise it prints a line for each change; with `-o json` each line is a JSON object. It
/// goes on while the database is away, until it is interrupted.
///
/// Examples:
///   flux cluster watch
///   flux cluster watch --interval +5s
///   flux cluster watch -o json | jq -r 'select(.change == "dead") | .engine'
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// How often to look, such as +2s
    #[arg(long, value_name = "TIME", default_value = "+1s")]
    interval: TimeExpression,
    /// How to print
    #[arg(long, short, value_enum, default_value_t)]
    output: Format,
}

/// Failovers that one look sees: more than can happen between two.
const FAILOVERS: u32 = 100;

pub async fn run(args: &Args, config: &Config) -> Result<(), Failure> {
    let mut stop = Stop::new()?;
    let watching = watch(args, config);
    tokio::select! {
        ended = watching => ended,
        () = stop.wanted() => Ok(()),
    }
}

async fn watch(args: &Args, config: &Config) -> Result<(), Failure> {
    let wrong = |text: String| Failure::new(2, format!("--interval: {text}"));
    let interval = args.interval.to_duration();
    let interval = interval.map_err(|error| wrong(error.to_string()))?;
    if interval.is_zero() {
        return Err(wrong("must be longer than nothing".to_owned()));
    }
    let store = wiring::store(config).await?;
    let members = store.members();
    let mut shown = Shown::new(args.output);
    loop {
        let begin = Instant::now();
        match look(&*store, &*members).await {
            Ok(look) => shown.take(look)?,
            Err(error) if error.is_transient() => shown.away(&error)?,
            Err(error) => return Err(error.into()),
        }
        // A database that answers slowly is not asked more often for it.
        let pause = interval.saturating_sub(begin.elapsed());
        tokio::time::sleep(pause.max(Duration::from_millis(100))).await;
    }
}

async fn look(store: &dyn Store, members: &dyn Members) -> Result<Look, Error> {
    // In this order: whoever is missing among the members has its failover then.
    let members = members.members().await?;
    let failovers = store.failovers(FAILOVERS).await?;
    Ok(Look { members, failovers })
}

/// What has been shown, and where.
struct Shown {
    format: Format,
    board: Option<Board>,
    before: Option<Look>,
    is_away: bool,
}

impl Shown {
    fn new(format: Format) -> Shown {
        let on_terminal = format == Format::Table && output::watched() && output::data_is_watched();
        Shown {
            format,
            board: on_terminal.then(Board::new),
            before: None,
            is_away: false,
        }
    }

    fn take(&mut self, look: Look) -> Result<(), Failure> {
        if std::mem::take(&mut self.is_away) {
            let change = Change::new("back", "the database is back", json!({}));
            self.print(&change)?;
        }
        let changes = match &self.before {
            None => present(&look),
            Some(before) => changes(before, &look),
        };
        for change in &changes {
            self.print(change)?;
        }
        if let Some(board) = &self.board {
            board.show(&drawn(&look));
        }
        self.before = Some(look);
        Ok(())
    }

    fn away(&mut self, error: &Error) -> Result<(), Failure> {
        if std::mem::replace(&mut self.is_away, true) {
            return Ok(());
        }
        let text = format!("the database is away: {error}");
        let change = Change::new("away", text, json!({"error": error.to_string()}));
        self.print(&change)
    }

    fn print(&self, change: &Change) -> Result<(), Failure> {
        let now = SystemClock.now().to_string();
        if self.board.is_some() {
            // The table shows the rest.
            if !matches!(change.kind, "present" | "running" | "warning") {
                output::note(&format!("{now}  {}", change.text));
            }
            return Ok(());
        }
        match self.format {
            Format::Table => output::data(&format!("{now}  {}", change.text)),
            Format::Json => output::data(&document(change, &now).to_string()),
            Format::Yaml => {
                output::data("---");
                output::document(Format::Yaml, &document(change, &now))?;
            }
        }
        Ok(())
    }
}

fn document(change: &Change, now: &str) -> Value {
    let mut document = json!({"at": now, "change": change.kind, "text": change.text});
    if let (Some(document), Some(data)) = (document.as_object_mut(), change.data.as_object()) {
        document.extend(data.clone());
    }
    document
}

/// The table, with what to worry about.
fn drawn(look: &Look) -> String {
    let mut text = status::table(&look.members);
    for warning in warnings(&look.members) {
        text += "\nwarning: ";
        text += &warning.message;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::samples::{ahead, engine};
    use super::*;

    #[test]
    fn a_change_is_one_flat_object() {
        let change = Change::new("dead", "gone", json!({"engine": "ada"}));
        let expected = json!({"at": "now", "change": "dead", "text": "gone", "engine": "ada"});
        assert_eq!(document(&change, "now"), expected);
    }

    #[test]
    fn the_table_ends_with_what_to_worry_about() {
        let look = Look {
            members: vec![engine("ada", 1), ahead(engine("brian", 2), 9)],
            failovers: Vec::new(),
        };
        let text = drawn(&look);
        let last = text.lines().last().unwrap_or_default();
        assert!(last.starts_with("warning: clocks differ"), "{text}");
        assert_eq!(text.lines().count(), 4, "{text}");
    }
}
