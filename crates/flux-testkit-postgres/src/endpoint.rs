//! Where a server is reached, its databases, and questions to it.

use crate::programs::{psql, run_with_input};
use crate::wait::random;

/// A server as clients see it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    url: String,
}

impl Endpoint {
    /// The server with this URL, `postgres://user@host:port/database`.
    pub fn new(url: impl Into<String>) -> Endpoint {
        Endpoint { url: url.into() }
    }

    /// Its URL, with a database that exists from the beginning.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The URL of another of its databases.
    pub fn url_of(&self, database: &str) -> String {
        let (base, parameters) = match self.url.split_once('?') {
            Some((base, parameters)) => (base, format!("?{parameters}")),
            None => (self.url.as_str(), String::new()),
        };
        let authority = base.find("://").map_or(0, |at| at + 3);
        let end = base[authority..]
            .find('/')
            .map_or(base.len(), |at| authority + at);
        format!("{}/{database}{parameters}", &base[..end])
    }

    /// A new, empty database, dropped with the value.
    #[track_caller]
    pub fn create_database(&self) -> Database {
        let name = format!("flux_test_{:016x}", random());
        self.psql(&format!("create database {name} template template0"));
        Database {
            of: Endpoint::new(self.url_of(&name)),
            server: self.clone(),
            name,
        }
    }

    /// Runs SQL, each statement a transaction of its own unless it says otherwise. The rows of all
    /// of them as text: `|` between columns, nothing for null.
    #[track_caller]
    pub fn psql(&self, sql: &str) -> Vec<String> {
        self.try_psql(sql).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same where the server may refuse.
    ///
    /// # Errors
    /// What the server or the connection complained about.
    pub fn try_psql(&self, sql: &str) -> Result<Vec<String>, String> {
        let mut command = psql();
        command
            .env("PGCONNECT_TIMEOUT", "10")
            .env("PGOPTIONS", "-c client_min_messages=warning")
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-f",
                "-",
                "-d",
            ])
            .arg(&self.url);
        let rows = run_with_input(&mut command, sql)?;
        Ok(rows.lines().map(str::to_owned).collect())
    }
}

/// A database of one test, dropped with this value whoever is still connected.
#[derive(Debug)]
pub struct Database {
    of: Endpoint,
    server: Endpoint,
    name: String,
}

impl Database {
    /// Its name: lower case letters, digits and underscores.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        self.of.url()
    }

    /// Runs SQL in it, as [`Endpoint::psql`] does.
    #[track_caller]
    pub fn psql(&self, sql: &str) -> Vec<String> {
        self.of.psql(sql)
    }

    /// Runs SQL in it that the server may refuse.
    ///
    /// # Errors
    /// As [`Endpoint::try_psql`].
    pub fn try_psql(&self, sql: &str) -> Result<Vec<String>, String> {
        self.of.try_psql(sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The server may be stopped, or gone with the test.
        let drop = format!("drop database if exists {} with (force)", self.name);
        let _ = self.server.try_psql(&drop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_another_database_keeps_everything_else() {
        for (url, other) in [
            ("postgres://a:b@h:1/d?x=1", "postgres://a:b@h:1/other?x=1"),
            ("postgres://h/d", "postgres://h/other"),
            ("postgres://h", "postgres://h/other"),
            ("postgres://h?host=/x/y", "postgres://h/other?host=/x/y"),
        ] {
            assert_eq!(Endpoint::new(url).url_of("other"), other, "{url}");
        }
    }
}
