//! `flux db`

use crate::config::Config;
use crate::exit::{CONFLICT, Failure, NOT_FOUND, UNAVAILABLE};
use crate::output::{self, Format};
use crate::wiring;
use flux_core::clock::{Clock, Timestamp};
use flux_core::ports::members::MemberState;
use flux_core::ports::operations::Operations;
use flux_core::time_expression::TimeExpression;
use flux_failover::SystemClock;
use flux_store::{Counts, OpenError, Status};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// See [`super::Command`].
#[derive(clap::Subcommand)]
pub enum Args {
    /// Creates the store, or brings its schema up to date
    Migrate,
    /// Shows where the store is
    Path,
    /// Shows the store's size, schema and contents; changes nothing
    Status {
        /// How to print
        #[arg(long, short, value_enum, default_value_t)]
        output: Format,
    },
    /// Writes a consistent copy of the store; engines may go on meanwhile
    Backup {
        /// The copy; must not exist yet
        file: PathBuf,
    },
    /// Removes runs that ended long ago, with their history
    Prune {
        /// How long ago they must have ended, such as +30d
        #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
        older_than: TimeExpression,
    },
}

/// Runs removed in one transaction: short enough not to hold up engines.
const BATCH: u32 = 500;

pub async fn run(args: &Args, config: &Config) -> Result<(), Failure> {
    match args {
        Args::Migrate => {
            wiring::store(config).await?;
            output::data(&format!("{} is up to date", config.database.display()));
        }
        Args::Path => output::data(&config.database.display().to_string()),
        Args::Status { output } => show(&config.database, *output)?,
        Args::Backup { file } => {
            existing(&config.database)?;
            backup(&config.database, file)?;
            output::note(&format!("wrote {}", file.display()));
        }
        Args::Prune { older_than } => prune(config, older_than).await?,
    }
    Ok(())
}

fn status(path: &Path) -> Result<Option<Status>, Failure> {
    flux_store::status(path).map_err(|error| unreadable(&error))
}

fn unreadable(error: &OpenError) -> Failure {
    Failure::new(UNAVAILABLE, error.to_string())
}

/// The store, which these commands do not create.
fn existing(path: &Path) -> Result<Status, Failure> {
    status(path)?.ok_or_else(|| {
        let message = format!("there is no store at {} yet", path.display());
        Failure::new(NOT_FOUND, message)
            .help("`flux db migrate` creates it, and so does the first run")
    })
}

fn show(path: &Path, format: Format) -> Result<(), Failure> {
    let status = status(path)?;
    if format != Format::Table {
        return output::document(format, &status_json(path, status.as_ref()));
    }
    let line = |name: &str, text: &str| output::data(&format!("{name:<9} {text}"));
    line("path", &path.display().to_string());
    let Some(status) = status else {
        line("state", "does not exist yet; the first run creates it");
        return Ok(());
    };
    let (size, log) = (status.size, status.log_size);
    line("size", &format!("{size} bytes, and {log} bytes of log"));
    line("schema", status.schema.as_deref().unwrap_or("none"));
    let pending = match status.pending.is_empty() {
        true => "none".to_owned(),
        false => status.pending.join(", "),
    };
    line("pending", &pending);
    line("journal", &status.journal_mode);
    let Some(counts) = &status.counts else {
        line("contents", "not shown: the schema is of another version");
        return Ok(());
    };
    for (name, states) in by_name(counts) {
        let all: Vec<String> = states.iter().map(|(s, n)| format!("{n} {s}")).collect();
        let text = if all.is_empty() {
            "none".into()
        } else {
            all.join(", ")
        };
        line(name, &text);
    }
    Ok(())
}

type Named = Vec<(&'static str, u64)>;

fn by_name(counts: &Counts) -> [(&'static str, Named); 3] {
    let member = |state| match state {
        MemberState::Alive => "alive",
        MemberState::Draining => "draining",
        MemberState::Dead => "dead",
    };
    [
        (
            "runs",
            counts.runs.iter().map(|(s, n)| (s.name(), *n)).collect(),
        ),
        (
            "branches",
            counts
                .branches
                .iter()
                .map(|(s, n)| (s.name(), *n))
                .collect(),
        ),
        (
            "engines",
            counts
                .members
                .iter()
                .map(|(s, n)| (member(*s), *n))
                .collect(),
        ),
    ]
}

fn status_json(path: &Path, status: Option<&Status>) -> Value {
    let mut value = json!({"path": path.display().to_string(), "exists": status.is_some()});
    let Some(status) = status else { return value };
    value["size_bytes"] = json!(status.size);
    value["log_bytes"] = json!(status.log_size);
    value["schema"] = json!(status.schema);
    value["pending"] = json!(status.pending);
    value["journal_mode"] = json!(status.journal_mode);
    for (name, states) in status.counts.iter().flat_map(by_name) {
        let states: Map<String, Value> = states
            .into_iter()
            .map(|(state, count)| (state.to_owned(), json!(count)))
            .collect();
        value[name] = Value::Object(states);
    }
    value
}

/// The copy has its name only once it is complete.
fn backup(from: &Path, file: &Path) -> Result<(), Failure> {
    let taken = || {
        Failure::new(CONFLICT, format!("{} exists already", file.display()))
            .help("name a file that does not exist; nothing is overwritten")
    };
    if file.exists() {
        return Err(taken());
    }
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let failed = |error: std::io::Error| {
        Failure::new(1, format!("cannot write {}: {error}", file.display()))
    };
    let copy = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    flux_store::backup(from, copy.path())
        .map_err(|error| Failure::new(UNAVAILABLE, format!("the backup failed: {error}")))?;
    copy.persist_noclobber(file).map_err(|error| {
        match error.error.kind() == std::io::ErrorKind::AlreadyExists {
            true => taken(),
            false => failed(error.error),
        }
    })?;
    // The name, too, is on the disk before anybody relies on it.
    std::fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)
}

async fn prune(config: &Config, older_than: &TimeExpression) -> Result<(), Failure> {
    existing(&config.database)?;
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::new(2, format!("--older-than: {error}")).help("for example --older-than +30d")
    };
    let age = older_than.to_duration().map_err(|error| wrong(&error))?;
    let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    let now = SystemClock.now().as_micros();
    let before = Timestamp::from_micros(now.saturating_sub(age));
    let store = wiring::store(config).await?;
    let mut removed = 0;
    loop {
        let batch = store.prune(before, BATCH).await?;
        removed += batch;
        if batch < u64::from(BATCH) {
            break;
        }
    }
    output::data(&format!(
        "removed {removed} runs that ended before {before}"
    ));
    Ok(())
}
