//! What one query tells about a server before we trust it.

use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::failure::{Problem, Reason};
use crate::postgres::address::Wanted;
use crate::postgres::identity::{COLUMNS, Identity};

/// The oldest version that has everything we use.
const OLDEST: u32 = 140_000;

/// What a server said about itself.
pub(super) struct Server {
    pub(super) version: u32,
    pub(super) in_recovery: bool,
    pub(super) identity: Identity,
    pub(super) warnings: Vec<String>,
    read_only: bool,
}

impl Server {
    /// Asks in one simple query, so that it works behind a pooler and for a role without privileges.
    pub(super) async fn ask(client: &Client) -> Result<Self, Problem> {
        // On its own, because an old server may not understand the rest.
        let version = row(client, "SHOW server_version_num").await?;
        let version = number(&version, "server_version_num")?;
        if version < OLDEST {
            return Err(too_old(version));
        }
        let settings = "pg_catalog.current_setting";
        let query = format!(
            "SELECT pg_catalog.pg_is_in_recovery() AS in_recovery, \
             {settings}('transaction_read_only') AS read_only, {settings}('fsync') AS fsync, \
             {settings}('full_page_writes') AS full_page_writes, \
             {settings}('synchronous_commit') AS synchronous_commit, \
             {settings}('zero_damaged_pages', true) AS zero_damaged_pages, {COLUMNS}"
        );
        let row = row(client, &query).await?;
        let text = |column| row.get(column).unwrap_or_default();
        let identity = Identity::from_text(text("system"), text("timeline"));
        Ok(Self {
            version,
            in_recovery: text("in_recovery") == "t",
            identity: identity.ok_or_else(|| odd("no identity"))?,
            warnings: warnings(|setting| text(setting)),
            read_only: text("read_only") == "on",
        })
    }

    /// Whether the server is what `target_session_attrs` asks for.
    pub(super) fn judge(&self, wanted: Wanted) -> Result<(), Problem> {
        let reason = match wanted {
            Wanted::ReadWrite if self.in_recovery => "it is a standby and takes no writes",
            Wanted::ReadWrite if self.read_only => {
                "it takes no writes (default_transaction_read_only is on)"
            }
            Wanted::ReadOnly if !self.read_only => "it takes writes",
            Wanted::Primary if self.in_recovery => "it is a standby",
            Wanted::Standby if !self.in_recovery => "it is the primary",
            _ => return Ok(()),
        };
        Err(Problem {
            reason: Reason::NotWanted,
            what: reason.to_owned(),
            advice: "wait for the failover to end, or check the hosts and target_session_attrs",
        })
    }
}

fn too_old(version: u32) -> Problem {
    Problem {
        reason: Reason::TooOld,
        what: format!(
            "PostgreSQL {} is too old; 14 or newer is needed",
            version / 10_000
        ),
        advice: "upgrade the server",
    }
}

/// What may lose commits that were answered.
fn warnings<'a>(setting: impl Fn(&'static str) -> &'a str) -> Vec<String> {
    let mut found = Vec::new();
    for (name, bad, consequence) in [
        (
            "fsync",
            "off",
            "a crash of the database's machine may destroy the database",
        ),
        (
            "full_page_writes",
            "off",
            "a crash of the database's machine may damage pages of the database",
        ),
        (
            "zero_damaged_pages",
            "on",
            "damaged pages lose their rows instead of being told",
        ),
    ] {
        if setting(name) == bad {
            found.push(format!(
                "{name} is {bad} on the database server: {consequence}"
            ));
        }
    }
    let commit = setting("synchronous_commit");
    if !["on", "remote_apply"].contains(&commit) {
        found.push(format!(
            "synchronous_commit is {commit} for this role; Flux raises it to on in its transactions"
        ));
    }
    found
}

async fn row(client: &Client, query: &str) -> Result<SimpleQueryRow, Problem> {
    let messages = client.simple_query(query).await?;
    let mut rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    rows.next().ok_or_else(|| odd("no row"))
}

fn number(row: &SimpleQueryRow, column: &str) -> Result<u32, Problem> {
    let text = row.get(column).unwrap_or_default();
    text.parse().map_err(|_| odd("no version"))
}

fn odd(what: &str) -> Problem {
    Problem {
        reason: Reason::Other,
        what: format!("it answered with {what}"),
        advice: "check that it is a PostgreSQL server",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_told_by_its_major_version() {
        assert_eq!(
            too_old(130_014).what,
            "PostgreSQL 13 is too old; 14 or newer is needed"
        );
    }

    #[test]
    fn settings_that_may_lose_data_are_told_one_by_one() {
        let careful = |name| match name {
            "fsync" | "full_page_writes" => "on",
            "synchronous_commit" => "remote_apply",
            _ => "off",
        };
        assert_eq!(warnings(careful), Vec::<String>::new());
        let reckless = warnings(|name| {
            if name == "zero_damaged_pages" {
                "on"
            } else {
                "off"
            }
        });
        assert_eq!(reckless.len(), 4, "{reckless:?}");
        assert!(reckless[0].starts_with("fsync is off"), "{reckless:?}");
    }
}
