//! Why a host would not do, in words that help, and whether trying again may.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::postgres::address::{Address, Host};
use crate::postgres::tls;

/// Why no host of an address gave a connection.
#[derive(Debug)]
pub struct ConnectError {
    address: String,
    failures: Vec<Failure>,
}

/// What kept a host from giving a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nobody listens there, its name is not known, or the connection broke. May pass.
    Unreachable,
    /// It took the connection and did not answer in time. May pass.
    Silent,
    /// It starts, recovers, stops, or lacks a resource. May pass.
    NotReady,
    /// All its connections are taken. May pass.
    TooManyConnections,
    /// It is not what `target_session_attrs` asks for, such as a standby. May pass.
    NotWanted,
    /// It wants another password, or has no such user.
    Credentials,
    /// Its `pg_hba.conf` does not let this user in, from here, to this database, or not with this
    /// encryption.
    NotLetIn,
    /// It has no such database.
    NoDatabase,
    /// The user may not do what is needed.
    NotAllowed,
    /// One side refuses the other's encryption or certificate.
    Tls,
    /// A file that the address names cannot be used.
    File,
    /// PostgreSQL before version 14.
    TooOld,
    /// Something else.
    Other,
}

impl Reason {
    fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Unreachable
                | Self::Silent
                | Self::NotReady
                | Self::TooManyConnections
                | Self::NotWanted
        )
    }
}

impl ConnectError {
    pub(super) fn new(address: &Address, failures: Vec<Failure>) -> Self {
        let address = address.to_string();
        Self { address, failures }
    }

    /// Whether it may pass without anybody's help: no host said something final, such as that the
    /// password is wrong.
    pub fn is_transient(&self) -> bool {
        let mut reasons = self.reasons();
        reasons.all(Reason::is_transient)
    }

    /// What kept each host from giving a connection, in the order in which they were tried.
    pub fn reasons(&self) -> impl Iterator<Item = Reason> + '_ {
        self.failures.iter().map(|failure| failure.problem.reason)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot connect to the database {}", self.address)?;
        for (index, failure) in self.failures.iter().enumerate() {
            let joint = if index == 0 { ":" } else { ";" };
            let Problem { what, advice, .. } = &failure.problem;
            write!(f, "{joint} {}: {what} (hint: {advice})", failure.host)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConnectError {}

/// Why one host would not do.
#[derive(Debug)]
pub(super) struct Failure {
    host: String,
    problem: Problem,
}

impl Failure {
    pub(super) fn new(host: &Host, problem: Problem) -> Self {
        let host = host.to_string();
        Self { host, problem }
    }

    /// It is one that we do not want, for a reason of ours.
    pub(super) fn refused(host: &Host, what: String) -> Self {
        let problem = Problem {
            reason: Reason::NotWanted,
            what,
            advice: "stop it, and make it a standby of the new primary",
        };
        Self::new(host, problem)
    }

    pub(super) fn silent(host: &Host, limit: Duration) -> Self {
        let problem = Problem {
            reason: Reason::Silent,
            what: format!("no answer within {:.1} s", limit.as_secs_f64()),
            advice: "check that the server runs, and that no firewall drops the connection",
        };
        Self::new(host, problem)
    }
}

/// What went wrong, and what to do.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) reason: Reason,
    pub(super) what: String,
    pub(super) advice: &'static str,
}

impl From<tokio_postgres::Error> for Problem {
    fn from(error: tokio_postgres::Error) -> Self {
        let (reason, advice) = match error.as_db_error() {
            Some(said) => of_server(said.code(), said.message()),
            None => of_connection(&error),
        };
        let what = match error.as_db_error() {
            Some(said) => said.message().to_owned(),
            None => whole(&error),
        };
        Self {
            reason,
            what,
            advice,
        }
    }
}

impl From<diesel::ConnectionError> for Problem {
    fn from(error: diesel::ConnectionError) -> Self {
        Self {
            reason: Reason::Unreachable,
            what: error.to_string(),
            advice: "it broke while it was set up; behind PgBouncer add pgbouncer=true to the URL",
        }
    }
}

/// What the server, or the pooler before it, said.
fn of_server(code: &SqlState, message: &str) -> (Reason, &'static str) {
    match code.code() {
        "28P01" => credentials(),
        "28000" => (
            Reason::NotLetIn,
            "check the user, and let it in with a line in the server's pg_hba.conf",
        ),
        "3D000" => (
            Reason::NoDatabase,
            "check the name after the hosts in the URL, or run CREATE DATABASE",
        ),
        "42501" => (
            Reason::NotAllowed,
            "let the role connect to the database, and execute pg_control_system and \
             pg_control_checkpoint (GRANT EXECUTE ON FUNCTION .. TO ..)",
        ),
        "53300" => (
            Reason::TooManyConnections,
            "raise max_connections or the limit of the role or database, or close other clients",
        ),
        // A pooler has one code for everything, and no word of its server's.
        "08P01" if is_about_credentials(message) => credentials(),
        "08P01" if message.starts_with("no such database") => (
            Reason::NoDatabase,
            "check the name after the hosts in the URL, and the [databases] of the pooler",
        ),
        "08P01" if message.starts_with("unsupported startup parameter") => (
            Reason::Other,
            "leave `options` out of the URL, or let the pooler ignore it \
             (ignore_startup_parameters)",
        ),
        other => match other.get(..2).unwrap_or_default() {
            "08" | "53" | "57" | "58" | "XX" => (
                Reason::NotReady,
                "wait until the server is ready; its log says more",
            ),
            _ => (Reason::Other, "the log of the server says more"),
        },
    }
}

fn is_about_credentials(message: &str) -> bool {
    let texts = [
        "no such user",
        "authentication failed",
        "auth failed",
        "SASL",
    ];
    texts.iter().any(|text| message.contains(text))
}

fn credentials() -> (Reason, &'static str) {
    (
        Reason::Credentials,
        "check the user and its password, in the URL, PGPASSWORD or a password file",
    )
}

/// What happened before the server could say anything.
fn of_connection(error: &tokio_postgres::Error) -> (Reason, &'static str) {
    if let Some(advice) = tls::advice(error) {
        return (Reason::Tls, advice);
    }
    let text = whole(error);
    if text.contains("password missing") || text.starts_with("authentication error") {
        return credentials();
    }
    if text.starts_with("invalid configuration") {
        return (Reason::Other, "check the URL");
    }
    (
        Reason::Unreachable,
        "check the host and port, that the server runs, and that it listens there",
    )
}

/// The error with all its causes, on one line.
pub(super) fn whole(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text.replace('\n', "; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_says_is_final_or_may_pass() {
        for (code, message, reason) in [
            (
                "28P01",
                "password authentication failed",
                Reason::Credentials,
            ),
            ("28000", "no pg_hba.conf entry", Reason::NotLetIn),
            ("3D000", "database \"x\" does not exist", Reason::NoDatabase),
            ("42501", "permission denied", Reason::NotAllowed),
            (
                "53300",
                "sorry, too many clients",
                Reason::TooManyConnections,
            ),
            (
                "57P03",
                "the database system is starting up",
                Reason::NotReady,
            ),
            ("57P01", "terminating connection", Reason::NotReady),
            ("53100", "disk full", Reason::NotReady),
            ("08P01", "no such user: x", Reason::Credentials),
            (
                "08P01",
                "\"trust\" authentication failed",
                Reason::Credentials,
            ),
            ("08P01", "no such database: x", Reason::NoDatabase),
            ("08P01", "query_wait_timeout", Reason::NotReady),
            ("42601", "syntax error", Reason::Other),
        ] {
            let found = of_server(&SqlState::from_code(code), message).0;
            assert_eq!(found, reason, "{code} {message}");
        }
    }

    #[test]
    fn one_final_answer_makes_the_whole_final() {
        let address: Address = "postgres://u:secret@a,b/d".parse().expect("a URL");
        let failure = |index: usize, reason| {
            let what = "it says no".to_owned();
            let advice = "ask again";
            let problem = Problem {
                reason,
                what,
                advice,
            };
            Failure::new(&address.hosts[index], problem)
        };
        let down = || failure(0, Reason::Unreachable);
        let both = ConnectError::new(&address, vec![down(), failure(1, Reason::NotWanted)]);
        assert!(both.is_transient());
        let mixed = ConnectError::new(&address, vec![down(), failure(1, Reason::Credentials)]);
        assert!(!mixed.is_transient());
        assert_eq!(
            mixed.to_string(),
            "cannot connect to the database postgres://u:***@a:5432,b:5432/d?schema=flux: \
             a:5432: it says no (hint: ask again); b:5432: it says no (hint: ask again)"
        );
    }
}
