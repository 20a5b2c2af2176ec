//! `flux db`

use crate::config::Config;
use crate::database::Database;
use crate::exit::{CONFLICT, Failure, NOT_FOUND, UNAVAILABLE};
use crate::output::{self, Format};
use crate::wiring;
use flux_core::clock::{Clock, Timestamp};
use flux_core::ports::members::MemberState;
use flux_core::time_expression::TimeExpression;
use flux_failover::SystemClock;
use flux_store::{Counts, Status};
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
            wiring::database(config).await?;
            output::data(&format!("{} is up to date", config.database));
        }
        Args::Path => output::data(&config.database.to_string()),
        Args::Status { output } => show(&config.database, *output).await?,
        Args::Backup { file } => {
            let Some(store) = config.database.file() else {
                return Err(
                    Failure::new(CONFLICT, "the store is in a PostgreSQL database").help(
                        "back it up with pg_dump, or with the archive of its write-ahead log",
                    ),
                );
            };
            existing(store)?;
            backup(store, file)?;
            output::note(&format!("wrote {}", file.display()));
        }
        Args::Prune { older_than } => prune(config, older_than).await?,
    }
    Ok(())
}

fn unreadable(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(UNAVAILABLE, error.to_string())
}

/// The file of the embedded store, which these commands do not create.
fn existing(path: &Path) -> Result<(), Failure> {
    let status = flux_store::status(path).map_err(|error| unreadable(&error))?;
    match status {
        Some(_) => Ok(()),
        None => {
            let message = format!("there is no store at {} yet", path.display());
            Err(Failure::new(NOT_FOUND, message)
                .help("`flux db migrate` creates it, and so does the first run"))
        }
    }
}

/// What is told of a store: its own lines, then its schema and contents.
struct Shown {
    /// Key in JSON, label, text and value.
    own: Vec<(&'static str, &'static str, String, Value)>,
    exists: bool,
    schema: Option<String>,
    pending: Vec<String>,
    counts: Option<Counts>,
}

async fn look(database: &Database) -> Result<Shown, Failure> {
    let place = database.to_string();
    let path = ("path", "path", place.clone(), json!(place));
    match database {
        Database::File(file) => {
            let status = flux_store::status(file).map_err(|error| unreadable(&error))?;
            Ok(of_file(path, status))
        }
        Database::Server(address) => {
            let status = flux_store::postgres::status(address).await;
            Ok(of_server(path, status.map_err(|error| unreadable(&error))?))
        }
    }
}

type Line = (&'static str, &'static str, String, Value);

fn of_file(path: Line, status: Option<Status>) -> Shown {
    let Some(status) = status else {
        return Shown {
            own: vec![path],
            exists: false,
            schema: None,
            pending: Vec::new(),
            counts: None,
        };
    };
    let (size, log) = (status.size, status.log_size);
    let both = format!("{size} bytes, and {log} bytes of log");
    Shown {
        own: vec![
            path,
            ("size_bytes", "size", both, json!(size)),
            ("log_bytes", "", String::new(), json!(log)),
            (
                "journal_mode",
                "journal",
                status.journal_mode.clone(),
                json!(status.journal_mode),
            ),
        ],
        exists: true,
        schema: status.schema,
        pending: status.pending,
        counts: status.counts,
    }
}

fn of_server(path: Line, status: flux_store::postgres::Status) -> Shown {
    let warnings = status.warnings.join("; ");
    let mut own = vec![
        path,
        (
            "server",
            "server",
            format!("PostgreSQL {}", status.server),
            json!(status.server),
        ),
        (
            "identity",
            "identity",
            status.identity.clone(),
            json!(status.identity),
        ),
        (
            "size_bytes",
            "size",
            format!("{} bytes", status.size),
            json!(status.size),
        ),
    ];
    if !warnings.is_empty() {
        own.push(("warnings", "warnings", warnings, json!(status.warnings)));
    }
    Shown {
        own,
        exists: status.schema.is_some(),
        schema: status.schema,
        pending: status.pending,
        counts: status.counts,
    }
}

async fn show(database: &Database, format: Format) -> Result<(), Failure> {
    let shown = look(database).await?;
    if format != Format::Table {
        return output::document(format, &shown.json());
    }
    let line = |name: &str, text: &str| output::data(&format!("{name:<9} {text}"));
    for (_, label, text, _) in shown.own.iter().filter(|(_, label, ..)| !label.is_empty()) {
        line(label, text);
    }
    if !shown.exists {
        line("state", "does not exist yet; the first run creates it");
        return Ok(());
    }
    line("schema", shown.schema.as_deref().unwrap_or("none"));
    let pending = match shown.pending.is_empty() {
        true => "none".to_owned(),
        false => shown.pending.join(", "),
    };
    line("pending", &pending);
    let Some(counts) = &shown.counts else {
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

impl Shown {
    fn json(&self) -> Value {
        let mut value = json!({"exists": self.exists});
        for (key, _, _, own) in &self.own {
            value[key] = own.clone();
        }
        if !self.exists {
            return value;
        }
        value["schema"] = json!(self.schema);
        value["pending"] = json!(self.pending);
        for (name, states) in self.counts.iter().flat_map(by_name) {
            let states: Map<String, Value> = states
                .into_iter()
                .map(|(state, count)| (state.to_owned(), json!(count)))
                .collect();
            value[name] = Value::Object(states);
        }
        value
    }
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
    if let Some(file) = config.database.file() {
        existing(file)?;
    }
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::new(2, format!("--older-than: {error}")).help("for example --older-than +30d")
    };
    let age = older_than.to_duration().map_err(|error| wrong(&error))?;
    let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    let now = SystemClock.now().as_micros();
    let before = Timestamp::from_micros(now.saturating_sub(age));
    let store = wiring::database(config).await?;
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
