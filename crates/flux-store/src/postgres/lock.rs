//! Keeping others out.
//!
//! A run's row is the lock of everything that belongs to the run: who touches more than a branch
//! that it owns takes it first. So the end of one branch sees the arrivals of all others, a listener that
//! begins to wait sees every signal, and signals are numbered in the order of the commits. Runs
//! come before branches, both in the order of their ids: transactions that do so cannot wait for
//! each other in a circle. What is found only on the way (the descendants of what is cancelled)
//! is taken as it is found; there PostgreSQL may have to break a circle, and the tick is tried again.

use diesel::sql_types::Integer;
use flux_core::ports::branches::{Commit, Release, ReleaseTo, Then, Wait};
use uuid::Uuid;

use super::conn::Conn;
use super::dialect;
use super::shared::writer::Write;
use super::{Id, RawId};
use crate::error::Fail;
use crate::sql::{Rows, Sql, sql};

/// Whether others can be in the way of one write and not of all.
pub(crate) const ROWS: bool = true;

/// What the writes of one transaction need.
#[derive(Default)]
struct Needs {
    /// Runs of which more than one branch is touched.
    runs: Vec<Uuid>,
    /// Runs that may end.
    ending: Vec<Uuid>,
    /// Types of events that are published.
    kinds: Vec<String>,
    /// Branches that begin to wait again.
    waiting: Vec<Uuid>,
    /// Branches that are written to.
    branches: Vec<Uuid>,
    /// Dead engines, and how many engines a branch may lose.
    dead: Vec<(Uuid, u32)>,
}

/// Locks what the writes of one transaction change.
pub(crate) async fn rows<'a>(
    conn: &mut Conn,
    writes: impl Iterator<Item = &'a Write>,
) -> Result<(), Fail> {
    let mut needs = Needs::default();
    for write in writes {
        needs.add(write);
    }
    let mut runs = needs.runs;
    for found in [
        ids(conn, dialect::WAITING_RUNS, needs.ending).await?,
        listening(conn, needs.kinds).await?,
        ids(conn, dialect::RUNS_OF_BRANCHES, needs.waiting).await?,
    ] {
        runs.extend(found);
    }
    for (dead, limit) in needs.dead {
        let poisoned = sql(dialect::POISONED_RUNS).id(dead).int(i64::from(limit));
        runs.extend(load(conn, poisoned.rows()).await?);
    }
    take(conn, dialect::LOCK_RUNS, runs).await?;
    // Alone, a branch needs no order.
    if needs.branches.len() > 1 {
        take(conn, dialect::LOCK_BRANCHES, needs.branches).await?;
    }
    Ok(())
}

/// Locks the list of the members.
pub(crate) async fn cluster(conn: &mut Conn) -> Result<(), Fail> {
    hold(conn, sql(dialect::LOCK_CLUSTER)).await
}

/// Keeps a member from claiming, and waits for claims that are on their way.
pub(crate) async fn member(conn: &mut Conn, member: Uuid) -> Result<(), Fail> {
    hold(conn, sql(dialect::LOCK_MEMBER).id(member)).await
}

/// Locks a run that was not known before.
pub(crate) async fn run(conn: &mut Conn, run: Uuid) -> Result<(), Fail> {
    take(conn, dialect::LOCK_RUNS, vec![run]).await
}

impl Needs {
    fn add(&mut self, write: &Write) {
        match write {
            Write::Commit(commit) => self.add_commit(commit),
            Write::Release(release) => self.add_release(release),
            Write::Signal(run, ..) | Write::Cancel(run, _) => self.end(run.uuid()),
            Write::Recover(recovery) => self.runs.push(recovery.run.uuid()),
            Write::TakeOver {
                dead, poison_limit, ..
            } => self.dead.push((dead.uuid(), *poison_limit)),
            _ => {}
        }
    }

    fn add_commit(&mut self, c: &Commit) {
        self.branches.push(c.branch.uuid());
        for event in &c.published {
            self.kinds.push(event.kind.clone());
        }
        if matches!(c.then, Then::End { .. }) {
            return self.end(c.run.uuid());
        }
        let beyond = match &c.then {
            Then::Wait(wait) => is_shared(wait),
            Then::Run | Then::End { .. } => false,
        };
        if beyond || !c.consumed.is_empty() || c.join_over.is_some() || !c.published.is_empty() {
            self.runs.push(c.run.uuid());
        }
    }

    fn add_release(&mut self, release: &Release) {
        self.branches.push(release.branch.uuid());
        if let ReleaseTo::Wait(wait) = &release.to
            && is_shared(wait)
        {
            self.waiting.push(release.branch.uuid());
        }
    }

    fn end(&mut self, run: Uuid) {
        self.runs.push(run);
        self.ending.push(run);
    }
}

/// Whether somebody else may wake it, or has to know what it creates.
fn is_shared(wait: &Wait) -> bool {
    let timer_only = wait.signals_after.is_none() && wait.join.is_none();
    !(timer_only && wait.branches.is_empty() && wait.child.is_none())
}

async fn listening(conn: &mut Conn, mut kinds: Vec<String>) -> Result<Vec<Uuid>, Fail> {
    if kinds.is_empty() {
        return Ok(Vec::new());
    }
    // Some listen to every type.
    kinds.push(String::new());
    let kinds = kinds.into_iter().map(Some).collect();
    load(conn, sql(dialect::LISTENING_RUNS).owned_texts(kinds).rows()).await
}

async fn ids(conn: &mut Conn, text: &'static str, of: Vec<Uuid>) -> Result<Vec<Uuid>, Fail> {
    if of.is_empty() {
        return Ok(of);
    }
    load(conn, sql(text).ids(of).rows()).await
}

async fn load(conn: &mut Conn, rows: Rows<'_, (Id,)>) -> Result<Vec<Uuid>, Fail> {
    let found: Vec<(RawId,)> = rows.load(conn).await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

async fn take(conn: &mut Conn, text: &'static str, ids: Vec<Uuid>) -> Result<(), Fail> {
    if ids.is_empty() {
        return Ok(());
    }
    hold(conn, sql(text).ids(ids)).await
}

/// Locks what the statement selects, until the end of the transaction.
async fn hold(conn: &mut Conn, statement: Sql<'_>) -> Result<(), Fail> {
    let _locked: Vec<(i32,)> = statement.rows::<(Integer,)>().load(conn).await?;
    Ok(())
}
