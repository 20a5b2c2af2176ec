//! Where the database is and how to reach it: what a `DATABASE_URL` says.
//!
//! ```text
//!   text ──► parse::Url ──► parameters ──► Address ──► connect
//!            (the pieces)   (their values)
//! ```
//!
//! The names of the parameters are those of libpq, so that a URL that works with `psql` works here.
//! Nothing in this module reads a file or the environment, or prints a password.

mod error;
mod libpq;
mod parameters;
mod parse;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

pub use error::AddressError;

/// The schema that holds our tables when the URL names none.
const DEFAULT_SCHEMA: &str = "flux";

/// A PostgreSQL database, or several servers of which one has it, parsed from a URL.
///
/// ```text
/// postgres://user:password@host1:5432,host2:5433/database?sslmode=verify-full&schema=flux
/// ```
///
/// Beside the parameters of libpq there are two of ours: `schema`, in which the tables of one cluster
/// lie (several clusters may share a database), and `pgbouncer=true` for a connection pooler in
/// transaction mode. `sslmode=verify-full` is recommended: every weaker mode can be eavesdropped by
/// who can redirect the connection. `Display` and `Debug` hide the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    pub(crate) hosts: Vec<Host>,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) passfile: Option<PathBuf>,
    pub(crate) database: Option<String>,
    pub(crate) schema: String,
    pub(crate) application_name: Option<String>,
    pub(crate) options: Option<String>,
    pub(crate) wanted: Wanted,
    pub(crate) order: Order,
    pub(crate) tls: Tls,
    pub(crate) channel_binding: ChannelBinding,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) keepalive: Keepalive,
    pub(crate) tcp_user_timeout: Option<Duration>,
    pub(crate) pooler: Pooler,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) place: Place,
    pub(crate) port: u16,
}

/// How a server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A name or an address.
    Tcp(String),
    /// The directory of a Unix socket.
    Unix(PathBuf),
}

/// What the session must be able to do (`target_session_attrs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
}

/// In which order the hosts are tried (`load_balance_hosts`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    AsGiven,
    Random,
}

/// `channel_binding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelBinding {
    Disable,
    Prefer,
    Require,
}

/// What stands between us and the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pooler {
    /// Nothing, or something that keeps a session together.
    None,
    /// Each transaction may reach another session (`pgbouncer=true`).
    Transaction,
}

/// When the system asks a silent server whether it still lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keepalive {
    pub(crate) on: Switch,
    pub(crate) idle: Duration,
    pub(crate) interval: Duration,
    pub(crate) count: u32,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switch {
    On,
    Off,
}

/// How the connection is encrypted and whom it trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    pub(crate) mode: SslMode,
    pub(crate) roots: Option<Roots>,
    pub(crate) identity: Option<ClientFiles>,
}

/// `sslmode`, from no protection to full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// `sslrootcert`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Roots {
    /// What the operating system trusts.
    System,
    /// The authorities in a PEM file.
    File(PathBuf),
}

/// `sslcert` and `sslkey`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Address {
    /// The schema that holds the tables of the cluster: lower-case letters, digits and `_`, at most
    /// 40 characters, so it needs no quoting.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// Whether the URL says `pgbouncer=true`: each transaction may reach another session.
    pub fn is_pooled(&self) -> bool {
        self.pooler == Pooler::Transaction
    }

    /// The same servers and database, in another schema.
    ///
    /// # Errors
    /// [`AddressError::Value`] when `schema` is not a name as [`Self::schema`] describes it.
    pub fn with_schema(mut self, schema: &str) -> Result<Self, AddressError> {
        parameters::set(&mut self, "schema", schema)?;
        Ok(self)
    }

    /// The URL of the same servers and database as that of `url`, in another schema.
    pub fn url_with_schema(url: &str, schema: &str) -> String {
        let (place, parameters) = url.split_once('?').unwrap_or((url, ""));
        let parameters = parameters.split('&');
        let kept = parameters.filter(|one| !one.is_empty() && !one.starts_with("schema="));
        let schema = format!("schema={schema}");
        let all: Vec<&str> = kept.chain([schema.as_str()]).collect();
        format!("{place}?{}", all.join("&"))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let url = parse::Url::parse(text)?;
        let mut address = Self {
            hosts: url.hosts,
            user: url.user,
            password: url.password,
            database: url.database,
            ..Self::empty()
        };
        parameters::apply(&mut address, &url.parameters)?;
        if address.hosts.is_empty() {
            address.hosts.push(Host::local());
        }
        Ok(address)
    }
}

impl Address {
    fn empty() -> Self {
        Self {
            hosts: Vec::new(),
            user: None,
            password: None,
            passfile: None,
            database: None,
            schema: DEFAULT_SCHEMA.to_owned(),
            application_name: None,
            options: None,
            wanted: Wanted::ReadWrite,
            order: Order::AsGiven,
            tls: Tls {
                mode: SslMode::Prefer,
                roots: None,
                identity: None,
            },
            channel_binding: ChannelBinding::Prefer,
            connect_timeout: None,
            keepalive: Keepalive::default(),
            tcp_user_timeout: None,
            pooler: Pooler::None,
        }
    }
}

impl Default for Keepalive {
    /// A dead server is noticed after 25 s of silence.
    fn default() -> Self {
        Self {
            on: Switch::On,
            idle: Duration::from_secs(10),
            interval: Duration::from_secs(5),
            count: 3,
        }
    }
}

impl Host {
    pub(crate) const DEFAULT_PORT: u16 = 5432;

    /// Where Debian's and most others' servers listen on their own machine.
    fn local() -> Self {
        Self {
            place: Place::Unix("/var/run/postgresql".into()),
            port: Self::DEFAULT_PORT,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp(name) if name.contains(':') => write!(f, "[{name}]:{}", self.port),
            Place::Tcp(name) => write!(f, "{name}:{}", self.port),
            Place::Unix(folder) => write!(f, "{}/.s.PGSQL.{}", folder.display(), self.port),
        }
    }
}

/// The servers, the database and the schema; never the password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://")?;
        if let Some(user) = &self.user {
            let hidden = self.password.as_ref().map_or("", |_| ":***");
            write!(f, "{user}{hidden}@")?;
        }
        for (index, host) in self.hosts.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{host}")?;
        }
        let database = self.database.as_deref().unwrap_or_default();
        write!(f, "/{database}?schema={}", self.schema)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.to_string()).finish()
    }
}

#[cfg(test)]
#[path = "address/tests.rs"]
mod tests;
