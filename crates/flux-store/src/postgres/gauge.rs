//! What the server counts, for measurements.

use std::time::Duration;

use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use flux_core::ports::Error;

use super::address::Address;
use super::conn::Conn;
use super::connect::connect;
use super::opener::{Opener, PostgresOptions};
use crate::error::Fail;
use crate::sql::sql;

/// From this version on the server counts what it does with its log where it counts all other files.
const COUNTS_LOG_WITH_FILES: u32 = 180_000;

/// How long nothing must have been counted for all to be counted, and how often that is looked at.
const QUIET: Duration = Duration::from_millis(300);
const LOOKS: u32 = 10;

const WAL_BYTES: &str =
    "SELECT CAST(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') AS BIGINT)";
/// Nothing is counted where the log is written with files that are synchronous by themselves.
const WAL_SYNCS: &str = "\
    SELECT CAST(wal_sync AS BIGINT) FROM pg_stat_wal \
    WHERE current_setting('wal_sync_method') NOT LIKE 'open%'";
const WAL_SYNCS_OF_FILES: &str = "\
    SELECT CAST(sum(fsyncs) AS BIGINT) FROM pg_stat_io WHERE object = 'wal' \
    AND current_setting('wal_sync_method') NOT LIKE 'open%'";
const TRANSACTIONS: &str = "\
    SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()";
const EXTENSION: &str = "\
    SELECT CAST(quote_ident(nspname) AS TEXT) FROM pg_extension \
    JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'pg_stat_statements'";

/// A connection that reads what the server counts.
pub struct Gauge {
    conn: Conn,
    version: u32,
    /// The schema of the extension that counts statements.
    extension: Option<String>,
    /// Its own transactions.
    asked: u64,
}

/// What was counted until some moment, by all that use the server.
#[derive(Clone, Copy, Debug)]
pub struct Counters {
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// How often it was made durable; `None` where the server does not count it.
    pub wal_syncs: Option<u64>,
    /// Transactions in this database, without those of this gauge.
    pub transactions: u64,
    /// Statements in this database without those of this gauge; `None` without `pg_stat_statements`.
    pub statements: Option<u64>,
}

impl Gauge {
    /// Connects.
    ///
    /// # Errors
    /// When the server cannot be reached, or does not answer.
    pub async fn open(address: &Address) -> Result<Gauge, Error> {
        let opener = Opener::new(address, &PostgresOptions::default());
        let connected = connect(address, opener.session(), |_| Ok(())).await;
        let connected = connected.map_err(|error| Error::Unavailable(error.to_string()))?;
        let mut gauge = Gauge {
            version: connected.server_version,
            conn: opener.wrap(connected),
            extension: None,
            asked: 0,
        };
        gauge.extension = gauge.text(EXTENSION).await?;
        // It may be there and not be loaded.
        if gauge.statements().await.is_err() {
            gauge.extension = None;
        }
        Ok(gauge)
    }

    /// The process that serves this connection, on the machine of the server.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn backend(&mut self) -> Result<u32, Error> {
        self.conn.begin_alone();
        let rows = sql("SELECT pg_backend_pid()").rows::<(Integer,)>();
        let rows: Vec<(i32,)> = rows.load(&mut self.conn).await?;
        Ok(rows.first().map_or(0, |(pid,)| pid.unsigned_abs()))
    }

    /// What was counted until now. Each session tells of its last second of work when it ends.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn read(&mut self) -> Result<Counters, Error> {
        let syncs = match self.version < COUNTS_LOG_WITH_FILES {
            true => WAL_SYNCS,
            false => WAL_SYNCS_OF_FILES,
        };
        Ok(Counters {
            wal_bytes: self.count(WAL_BYTES).await?.unwrap_or_default(),
            wal_syncs: self.count(syncs).await?,
            transactions: self.transactions().await?,
            statements: self.statements().await?,
        })
    }

    /// The same once sessions that have ended have told of all their work.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn settled(&mut self) -> Result<Counters, Error> {
        let mut last = self.read().await?;
        for _ in 0..LOOKS {
            tokio::time::sleep(QUIET).await;
            let now = self.read().await?;
            if now.wal_syncs == last.wal_syncs {
                return Ok(now);
            }
            last = now;
        }
        Ok(last)
    }

    async fn transactions(&mut self) -> Result<u64, Error> {
        let own = self.asked;
        let all = self.count(TRANSACTIONS).await?.unwrap_or_default();
        Ok(all.saturating_sub(own))
    }

    async fn statements(&mut self) -> Result<Option<u64>, Error> {
        let Some(schema) = &self.extension else {
            return Ok(None);
        };
        let text = format!(
            "SELECT CAST(sum(calls) AS BIGINT) FROM {schema}.pg_stat_statements \
             WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             AND query NOT LIKE '%pg_stat_%' AND query NOT LIKE '%pg_current_wal_insert_lsn%'"
        );
        self.count(text).await
    }

    async fn count(
        &mut self,
        text: impl Into<std::borrow::Cow<'static, str>>,
    ) -> Result<Option<u64>, Error> {
        self.conn.begin_alone();
        self.asked += 1;
        let rows = sql(text).rows::<(Nullable<BigInt>,)>();
        let rows: Result<Vec<(Option<i64>,)>, Fail> = rows.load(&mut self.conn).await;
        let number = rows?.into_iter().next().and_then(|(number,)| number);
        Ok(number.map(i64::unsigned_abs))
    }

    async fn text(&mut self, text: &'static str) -> Result<Option<String>, Error> {
        self.conn.begin_alone();
        let rows: Vec<(String,)> = sql(text).rows::<(Text,)>().load(&mut self.conn).await?;
        Ok(rows.into_iter().next().map(|(text,)| text))
    }
}
