//! Settings: one table of keys, merged from flags, environment and file, all faults at once.

mod listen;
mod network;

pub use listen::Listening;
pub use network::Network;

use crate::database::Database;
use crate::exit::{CONFIG, Failure};
use figment2::Figment;
use figment2::providers::{Format, Toml};
use flux_core::labels::Labels;
use flux_core::time_expression::TimeExpression;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A setting.
pub struct Key {
    /// In `flux.toml`; upper case with `FLUX_` before it in the environment.
    pub name: &'static str,
    /// Default as text; computed ones are described.
    pub default: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

macro_rules! keys {
    ($($name:literal, $default:literal, $meaning:literal;)*) => {
        /// All settings.
        pub const KEYS: &[Key] = &[$(Key { name: $name, default: $default, meaning: $meaning }),*];
    };
}

keys! {
    "name", "", "name of this engine; its host name and process id when empty";
    "database_url", "", "PostgreSQL database that the engines share, such as postgres://flux@db/flux; the embedded store when empty";
    "data_dir", "", "folder of the embedded store; $XDG_DATA_HOME/flux when empty";
    "failover_time_window", "+3m", "how long a heartbeat may be missing before an engine's branches are taken over";
    "concurrency_level", "10", "branches that this engine runs at a time";
    "labels", "", "labels of this engine, such as gpu=a100,zone=eu: it also performs what requires some of them";
    "max_cluster_size", "35", "engines in the cluster";
    "poison_limit", "5", "engines a branch may lose in a row without a commit point before it fails";
    "poll_interval", "+1s", "how often to look for work that other processes made ready";
    "drain_timeout", "+30s", "how long a clean stop lets actions go on";
    "port", "7520", "port for clients; 0 is any free one";
    "listen_address", "127.0.0.1", "IP address on which the engine listens for clients; others than local ones need a certificate and a token";
    "advertised_address", "", "where other engines reach this one, such as http://10.0.0.7:7520; where it listens when empty";
    "tls_cert_file", "", "PEM file of the engine's certificate and those between it and its authority; no TLS when empty";
    "tls_key_file", "", "PEM file of the certificate's private key";
    "client_token", "", "what clients must send as `authorization: Bearer TOKEN`, at least 16 characters; a secret";
    "insecure", "false", "true opens an address that others reach without certificate or token";
    "tls_ca_file", "", "PEM file of the authority of the engines' certificates, for clients and for other engines; the system's authorities when empty";
    "cluster_networking", "true", "whether engines tell each other of their load, to share the work evenly; false costs balance only";
    "system_resource_command", "", "shell command that prints on its last line how much this machine has left, as a number; more is better. Work then goes where most is left";
    "system_resource_interval", "+10s", "how often the command runs";
    "engine", "", "engines that the commands of a client go to, such as http://10.0.0.7:7520, comma-separated; the database itself when empty";
    "log_format", "text", "text or json";
    "http_resolve", "", "HOST:PORT=ADDRESS:PORT, comma-separated: where HTTP calls find a host";
    "http_ca_file", "", "PEM file of a certificate authority that HTTP calls trust, too";
    "http_timeout", "+60s", "longest HTTP call";
    "max_output", "1048576", "bytes kept of each of an action's outputs";
}

/// Settings given as flags.
#[derive(clap::Args, Default)]
pub struct Flags {
    /// Settings file instead of ./flux.toml
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// PostgreSQL database that the engines share
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// Folder of the embedded store
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// How long a heartbeat may be missing, such as +3m
    #[arg(long, global = true, value_name = "TIME", allow_hyphen_values = true)]
    failover_time_window: Option<String>,
    /// Branches at a time
    #[arg(long, global = true, value_name = "N")]
    concurrency_level: Option<String>,
    /// Name of this engine
    #[arg(long, global = true, value_name = "NAME")]
    name: Option<String>,
    /// What this engine has that work may require, such as gpu=a100,zone=eu
    #[arg(long, global = true, value_name = "LABELS")]
    labels: Option<String>,
    /// Engine to ask instead of the database, such as http://127.0.0.1:7520; several with commas
    #[arg(id = "ask", long = "engine", global = true, value_name = "URL")]
    engine: Option<String>,
}

/// A value and where it came from.
#[derive(Clone, Debug)]
pub struct Setting {
    /// As given.
    pub value: String,
    /// Flag, variable, file or default.
    pub source: String,
}

/// All settings, checked.
#[derive(Clone)]
pub struct Config {
    /// As given, by key.
    pub given: BTreeMap<&'static str, Setting>,
    /// The store.
    pub database: Database,
    /// Of the engine.
    pub engine: flux_engine::Config,
    /// Of its server.
    pub listening: Listening,
    /// Of the cluster.
    pub network: Network,
    /// JSON logs.
    pub json_logs: bool,
}

/// Merges and checks everything; the failure lists all faults.
pub fn load(flags: &Flags) -> Result<Config, Failure> {
    let mut faults = Vec::new();
    let given = gather(flags, &mut faults);
    let mut reader = Reader {
        given: &given,
        faults,
    };
    let engine = reader.engine();
    let database = reader.database();
    let listening = reader.listening();
    let network = reader.network();
    let json_logs = match reader.text("log_format") {
        "text" => false,
        "json" => true,
        _ => {
            reader.fault("log_format", "must be text or json", "text");
            false
        }
    };
    let faults = reader.faults;
    if faults.is_empty() {
        return Ok(Config {
            database,
            engine,
            listening,
            network,
            json_logs,
            given,
        });
    }
    let count = faults.len();
    let list = faults.join("\n  ");
    let message = format!("{count} wrong in the configuration:\n  {list}");
    Err(Failure::new(CONFIG, message).help("`flux config show` lists every key and its meaning"))
}

fn gather(flags: &Flags, faults: &mut Vec<String>) -> BTreeMap<&'static str, Setting> {
    let mut given: BTreeMap<&'static str, Setting> = KEYS
        .iter()
        .map(|key| {
            (
                key.name,
                Setting {
                    value: key.default.into(),
                    source: "default".into(),
                },
            )
        })
        .collect();
    for (file, must) in files(flags) {
        read_file(&file, must, &mut given, faults);
    }
    for key in KEYS {
        let variable = variable(key.name);
        if let Ok(value) = std::env::var(&variable) {
            given.insert(
                key.name,
                Setting {
                    value,
                    source: variable,
                },
            );
        }
    }
    let flags = [
        ("database_url", &flags.database_url),
        ("data_dir", &flags.data_dir),
        ("failover_time_window", &flags.failover_time_window),
        ("concurrency_level", &flags.concurrency_level),
        ("labels", &flags.labels),
        ("name", &flags.name),
        ("engine", &flags.engine),
    ];
    for (key, value) in flags {
        if let Some(value) = value.clone() {
            let source = format!("--{}", key.replace('_', "-"));
            given.insert(key, Setting { value, source });
        }
    }
    given
}

/// The environment variable of a setting.
pub fn variable(key: &str) -> String {
    format!("FLUX_{}", key.to_uppercase())
}

fn files(flags: &Flags) -> Vec<(PathBuf, bool)> {
    let user = home("XDG_CONFIG_HOME", ".config").join("flux/config.toml");
    match &flags.config {
        Some(file) => vec![(user, false), (file.clone(), true)],
        None => vec![(user, false), ("flux.toml".into(), false)],
    }
}

fn home(variable: &str, below: &str) -> PathBuf {
    match std::env::var_os(variable).filter(|value| !value.is_empty()) {
        Some(folder) => folder.into(),
        None => PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| ".".into())).join(below),
    }
}

fn read_file(
    file: &std::path::Path,
    must: bool,
    given: &mut BTreeMap<&'static str, Setting>,
    faults: &mut Vec<String>,
) {
    if !file.is_file() {
        if must {
            faults.push(format!(
                "--config {}: there is no such file",
                file.display()
            ));
        }
        return;
    }
    let read = Figment::from(Toml::file(file).search(false))
        .extract::<BTreeMap<String, toml_value::Any>>();
    let values = match read {
        Ok(values) => values,
        Err(error) => return faults.push(format!("{}: {error}", file.display())),
    };
    for (name, value) in values {
        let source = file.display().to_string();
        match KEYS.iter().find(|key| key.name == name) {
            Some(key) => {
                given.insert(
                    key.name,
                    Setting {
                        value: value.0,
                        source,
                    },
                );
            }
            None => faults.push(format!(
                "{source}: `{name}` is no setting{}",
                similar(&name)
            )),
        }
    }
}

/// "Did you mean ..?" for a key that is close enough.
fn similar(name: &str) -> String {
    let folded = name.to_lowercase().replace('-', "_");
    let folded = folded.trim_start_matches("flux_");
    // The distance is quadratic in the length, and the name comes from a file.
    let near = KEYS.iter().filter(|_| folded.len() <= 100).map(|key| {
        let distance = strsim::damerau_levenshtein(folded, key.name);
        (distance, key.name)
    });
    let best = near
        .filter(|(distance, key)| *distance <= (key.len().min(folded.len()) / 3).max(1))
        .min();
    match best {
        Some((_, key)) => format!("; did you mean `{key}`?"),
        None => String::new(),
    }
}

/// Scalars of any type as text.
mod toml_value {
    use serde::{Deserialize, Deserializer};

    pub struct Any(pub String);

    impl<'de> Deserialize<'de> for Any {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Any, D::Error> {
            let value = serde_json::Value::deserialize(deserializer)?;
            Ok(Any(value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)))
        }
    }
}

struct Reader<'a> {
    given: &'a BTreeMap<&'static str, Setting>,
    faults: Vec<String>,
}

impl Config {
    /// The value of a key, fit to be shown.
    pub fn shown(&self, key: &str) -> String {
        match (key, &self.database) {
            ("database_url", Database::Server(address)) => address.to_string(),
            ("client_token", _) if !self.given[key].value.is_empty() => "(secret)".to_owned(),
            _ => self.given[key].value.clone(),
        }
    }
}

impl<'a> Reader<'a> {
    fn text(&self, key: &str) -> &'a str {
        self.given
            .get(key)
            .map_or("", |setting| setting.value.as_str())
    }

    fn fault(&mut self, key: &str, what: &str, example: &str) {
        let (value, source) = self
            .given
            .get(key)
            .map_or(("", ""), |s| (s.value.as_str(), s.source.as_str()));
        let name = key.to_uppercase();
        self.faults.push(format!(
            "{name} = `{value}` (from {source}): {what}; for example `{example}`"
        ));
    }

    fn number(&mut self, key: &str, least: u64, most: u64, example: &str) -> u64 {
        match self.text(key).parse::<u64>() {
            Ok(number) if (least..=most).contains(&number) => number,
            _ => {
                let what = format!("must be a whole number from {least} to {most}");
                self.fault(key, &what, example);
                least
            }
        }
    }

    /// A duration; with `window`, one that can be a failover time window.
    fn duration(&mut self, key: &str, window: bool, example: &str) -> Duration {
        let parsed = self.text(key).parse::<TimeExpression>();
        let read = parsed.and_then(|time| {
            if window {
                time.window()
            } else {
                time.to_duration()
            }
        });
        match read {
            Ok(duration) => duration,
            Err(error) => {
                self.fault(key, &error.to_string(), example);
                Duration::from_secs(180)
            }
        }
    }

    fn database(&mut self) -> Database {
        let file = match self.text("data_dir") {
            "" => home("XDG_DATA_HOME", ".local/share").join("flux/flux.db"),
            folder => PathBuf::from(folder).join("flux.db"),
        };
        match self.text("database_url") {
            "" => Database::File(file),
            url => match url.parse() {
                Ok(address) => Database::Server(address),
                Err(error) => {
                    self.secret_fault("database_url", &error);
                    Database::File(file)
                }
            },
        }
    }

    /// A fault of a value that may hold a password, and so is not shown.
    fn secret_fault(&mut self, key: &str, error: &dyn std::fmt::Display) {
        let source = self.given.get(key).map_or("", |s| s.source.as_str());
        let name = key.to_uppercase();
        self.faults.push(format!("{name} (from {source}): {error}"));
    }

    fn engine(&mut self) -> flux_engine::Config {
        let name = match self.text("name") {
            "" => format!("{}-{}", host(), std::process::id()),
            name => name.to_owned(),
        };
        flux_engine::Config {
            name,
            window: self.duration("failover_time_window", true, "+3m"),
            concurrency: self.number("concurrency_level", 1, 10_000, "10") as u32,
            address: None,
            pool: self.labels(),
            poll: self.duration("poll_interval", true, "+1s"),
            drain_timeout: self.duration("drain_timeout", false, "+30s"),
            poison_limit: self.number("poison_limit", 1, 1_000_000, "5") as u32,
            listened: false,
            max_cluster_size: self.number("max_cluster_size", 1, 1_000, "35") as u32,
            monitor: self.monitor(),
            actions: self.actions(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// The labels of this engine, as its pool.
    fn labels(&mut self) -> Option<String> {
        match self.text("labels").parse::<Labels>() {
            Ok(labels) => labels.pool(),
            Err(error) => {
                self.fault("labels", &error, "gpu=a100,zone=eu");
                None
            }
        }
    }

    fn actions(&mut self) -> flux_engine::action::Config {
        let ca = self.text("http_ca_file");
        let http_ca_file = (!ca.is_empty()).then(|| PathBuf::from(ca));
        flux_engine::action::Config {
            http_resolve: self.resolve(),
            http_ca_file,
            http_timeout: self.duration("http_timeout", true, "+60s"),
            max_output: self.number("max_output", 1, 1 << 30, "1048576") as usize,
            // This very file, also after a newer version has taken its place on the disk.
            runner: Some("/proc/self/exe".into()),
            ..flux_engine::action::Config::default()
        }
    }

    fn resolve(&mut self) -> Vec<(String, u16, SocketAddr)> {
        let mut all = Vec::new();
        let text = self.text("http_resolve").to_owned();
        for entry in text
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
        {
            let parsed = entry.split_once('=').and_then(|(host, address)| {
                let (host, port) = host.rsplit_once(':')?;
                Some((host.to_owned(), port.parse().ok()?, address.parse().ok()?))
            });
            match parsed {
                Some(entry) => all.push(entry),
                None => {
                    let example = "example.com:443=127.0.0.1:8443";
                    self.fault("http_resolve", "must be HOST:PORT=ADDRESS:PORT", example);
                }
            }
        }
        all
    }
}

fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::similar;

    #[test]
    fn a_mistyped_key_is_recognised_and_a_strange_one_is_not() {
        for typed in [
            "failover_time_windw",
            "failover-time-window",
            "FLUX_FAILOVER_TIME_WINDOW",
        ] {
            assert!(similar(typed).contains("`failover_time_window`"), "{typed}");
        }
        assert!(similar("concurency_levl").contains("`concurrency_level`"));
        assert_eq!(similar("colour_of_the_bikeshed"), "");
        assert_eq!(similar(&"x".repeat(1_000_000)), "");
    }
}
