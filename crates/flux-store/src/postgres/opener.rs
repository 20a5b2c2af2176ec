//! Connections for the threads of a store.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use flux_core::ports::Error;

use super::address::Address;
use super::conn::Conn;
use super::connect::{Connected, Session, connect};
use super::identity::{Identity, Judgement};
use crate::stats::Statements;

/// The first pause after a server that could not be reached; each doubles the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// How to use a database.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// What the server's list of sessions shows.
    pub name: String,
    /// The failover time window of the engine that uses it. Nothing waits for the database for so
    /// long that the engine could miss its heartbeat, or hold locks that others need.
    pub window: Duration,
}

impl Default for PostgresOptions {
    fn default() -> PostgresOptions {
        PostgresOptions {
            name: "flux".to_owned(),
            window: Duration::from_secs(180),
        }
    }
}

impl PostgresOptions {
    /// Limits of reliability: half of a heartbeat interval, and never more than needed.
    fn session(&self) -> Session {
        let half = self.window / 6;
        Session {
            application_name: self.name.clone(),
            statement_timeout: half.clamp(Duration::from_secs(1), Duration::from_secs(10)),
            lock_timeout: half.min(Duration::from_millis(500)),
            idle_in_transaction_timeout: half.min(Duration::from_secs(10)),
            tcp_user_timeout: half.clamp(Duration::from_secs(1), Duration::from_secs(30)),
            deadline: half.clamp(Duration::from_secs(1), Duration::from_secs(15)),
        }
    }
}

/// Opens connections to one database, again and again, at a bearable pace.
#[derive(Clone)]
pub(crate) struct Opener {
    address: Arc<Address>,
    session: Arc<Session>,
    /// How long a transaction may take before its connection is given up.
    deadline: Duration,
    /// Half of the heartbeat interval, within which a heartbeat must be answered.
    half_beat: Duration,
    /// The longest pause between two tries.
    longest_pause: Duration,
    /// The highest that any connection of this store has led to.
    seen: Arc<Mutex<Option<Identity>>>,
    /// How often a connection was opened.
    openings: Arc<AtomicU64>,
    /// Those of all connections, of the members port as well.
    statements: Statements,
    rest: Option<Rest>,
}

/// After a failure: what it was, and until when nobody tries again.
#[derive(Clone)]
struct Rest {
    error: Error,
    pause: Duration,
    until: Instant,
}

impl Opener {
    pub(super) fn new(address: &Address, options: &PostgresOptions) -> Opener {
        let session = options.session();
        Opener {
            address: Arc::new(address.clone()),
            // A statement ends by itself; what does not end is a connection that is dead.
            deadline: session.statement_timeout + session.tcp_user_timeout,
            session: Arc::new(session),
            // A new connection has everything to prepare: what ends too early would begin again
            // for ever on a busy machine.
            half_beat: (options.window / 6).max(Duration::from_secs(1)),
            longest_pause: (options.window / 6).min(Duration::from_secs(5)),
            seen: Arc::default(),
            openings: Arc::default(),
            statements: Statements::default(),
            rest: None,
        }
    }

    /// Heartbeats wait for less, and try again sooner.
    pub(crate) fn for_members(&self) -> Opener {
        let mut session = Session::clone(&self.session);
        session.lock_timeout = session.lock_timeout.min(Duration::from_secs(1));
        session.statement_timeout = session.statement_timeout.min(self.half_beat);
        session.tcp_user_timeout = session.tcp_user_timeout.min(self.half_beat);
        session.application_name = format!("{} members", session.application_name);
        Opener {
            deadline: self.half_beat,
            session: Arc::new(session),
            longest_pause: (self.longest_pause / 3).min(Duration::from_secs(1)),
            openings: Arc::default(),
            rest: None,
            ..self.clone()
        }
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) fn statements(&self) -> &Statements {
        &self.statements
    }

    /// How often [`Opener::open`] has succeeded, for this opener and its clones.
    pub(crate) fn openings(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.openings)
    }

    /// A connection to the primary that nobody has replaced.
    pub(crate) async fn open(&mut self) -> Result<Conn, Error> {
        if let Some(rest) = &self.rest
            && Instant::now() < rest.until
        {
            return Err(rest.error.clone());
        }
        match self.reach().await {
            Ok(conn) => {
                self.rest = None;
                self.openings.fetch_add(1, Ordering::Release);
                Ok(conn)
            }
            Err(error) => {
                self.rest_after(error.clone());
                Err(error)
            }
        }
    }

    /// Readers are like all others: their transactions change nothing and are rolled back.
    pub(crate) async fn open_to_read(&mut self) -> Result<Conn, Error> {
        self.open().await
    }

    async fn reach(&self) -> Result<Conn, Error> {
        let connected = connect(&self.address, &self.session, |found| self.judge(found)).await;
        let connected = connected.map_err(|error| Error::Unavailable(error.to_string()))?;
        Ok(self.wrap(connected))
    }

    pub(super) fn wrap(&self, connected: Connected) -> Conn {
        let schema = self.address.schema();
        let prologue = self.session.transaction_prologue(schema);
        let statements = self.statements.clone();
        Conn::new(
            connected,
            schema,
            prologue.into(),
            self.deadline,
            statements,
        )
    }

    /// A primary that was replaced by a standby may still run: what it answers is not the truth.
    fn judge(&self, found: Identity) -> Result<(), String> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = |what: &str, seen: Identity| {
            tracing::error!(
                "the database at {} is {what}: it is {found}, and {seen} was seen before",
                self.address
            );
            Err(format!("it is {what} ({found}; {seen} was seen before)"))
        };
        if let Some(before) = *seen {
            match found.judge(before) {
                Judgement::Same => {}
                Judgement::Newer => tracing::warn!(
                    "the database has failed over to {found}; everything is observed anew"
                ),
                Judgement::Stale => return refused("a primary that has been replaced", before),
                Judgement::Other => {
                    return refused("another database system; restart to accept it", before);
                }
            }
        }
        *seen = Some(found);
        Ok(())
    }

    /// Exponential, with full jitter: engines that lost the database together do not come back
    /// together.
    fn rest_after(&mut self, error: Error) {
        let last = self.rest.as_ref().map(|rest| rest.pause * 2);
        let pause = last.unwrap_or(FIRST_PAUSE).min(self.longest_pause);
        let random = uuid::Uuid::new_v4().as_u128() as u32;
        let jittered = pause.mul_f64(f64::from(random) / f64::from(u32::MAX));
        self.rest = Some(Rest {
            error,
            pause,
            until: Instant::now() + jittered,
        });
    }
}
