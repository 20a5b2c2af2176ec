//! Keeping others out.
//!
//! A run's row is the lock of everything that belongs to the run: who touches more than a branch
//! that it owns takes it first. So the end of one branch sees the arrivals of all others, a listener that
//! begins to wait sees every signal, and signals are numbered in the order of the commits.
//!
//! Nobody waits for these locks: what somebody else has at the moment is left to a later transaction,
//! so that one run which is locked for long delays nothing but itself, and nobody waits in a circle.
//! What is found only on the way (the descendants of what is cancelled) is waited for; there
//! PostgreSQL may have to break a circle, and the tick is tried again.

use std::collections::{HashMap, HashSet};

use diesel::sql_types::{Integer, Text};
use flux_core::ports::branches::{Commit, Release, ReleaseTo, Then, Wait};
use uuid::Uuid;

use super::conn::Conn;
use super::dialect;
use super::shared::writer::Write;
use super::{Id, RawId};
use crate::error::Fail;
use crate::sql::{Sql, sql};

/// Whether others can be in the way of one write and not of all.
pub(crate) const ROWS: bool = true;

/// What one write needs for itself.
#[derive(Default)]
struct Need {
    /// Runs of which more than one branch is touched.
    runs: Vec<Uuid>,
    /// A run that may end.
    ending: Option<Uuid>,
    /// Types of events that are published.
    kinds: Vec<String>,
    /// A branch that begins to wait again.
    waiting: Option<Uuid>,
    /// A branch that is written to.
    branch: Option<Uuid>,
    /// A dead engine, and how many engines a branch may lose.
    dead: Option<(Uuid, u32)>,
}

/// Locks what these writes change, as far as nobody else has it; for each write whether it may go on.
/// `every`: also what would be locked by writing to it, because it is known that others may be in the
/// way.
pub(crate) async fn rows(
    conn: &mut Conn,
    writes: &[&Write],
    every: bool,
) -> Result<Vec<bool>, Fail> {
    let mut needs: Vec<Need> = writes.iter().map(|write| Need::of(write)).collect();
    find_runs(conn, &mut needs).await?;
    let runs = needs.iter().flat_map(|need| need.runs.iter().copied());
    let taken_runs = taken(conn, dialect::LOCK_RUNS, dialect::RUNS, runs.collect()).await?;
    let branches = needs.iter().filter_map(|need| need.branch);
    // They are locked by writing to them. Somebody else has one so seldom that the tick rather fails
    // then, after a moment, and is tried again with this.
    let branches: Vec<_> = branches.filter(|_| every).collect();
    let taken_branches = taken(conn, dialect::LOCK_BRANCHES, dialect::BRANCHES, branches).await?;
    let is_free = |need: &Need| {
        let mut runs = need.runs.iter();
        runs.all(|run| !taken_runs.contains(run))
            && need
                .branch
                .is_none_or(|branch| !taken_branches.contains(&branch))
    };
    Ok(needs.iter().map(is_free).collect())
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
    let _locked: Vec<(RawId,)> = sql(dialect::LOCK_RUN)
        .id(run)
        .rows::<(Id,)>()
        .load(conn)
        .await?;
    Ok(())
}

impl Need {
    fn of(write: &Write) -> Need {
        let mut need = Need::default();
        match write {
            Write::Commit(commit) => need.add_commit(commit),
            Write::Release(release) => need.add_release(release),
            Write::Signal(run, ..) | Write::Change(run, ..) => need.end(run.uuid()),
            Write::Recover(recovery) => need.runs.push(recovery.run.uuid()),
            Write::TakeOver {
                dead, poison_limit, ..
            } => need.dead = Some((dead.uuid(), *poison_limit)),
            _ => {}
        }
        need
    }

    fn add_commit(&mut self, c: &Commit) {
        self.branch = Some(c.branch.uuid());
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
        self.branch = Some(release.branch.uuid());
        if let ReleaseTo::Wait(wait) = &release.to
            && is_shared(wait)
        {
            self.waiting = self.branch;
        }
    }

    fn end(&mut self, run: Uuid) {
        self.runs.push(run);
        self.ending = Some(run);
    }
}

/// Whether somebody else may wake it, or has to know what it creates.
fn is_shared(wait: &Wait) -> bool {
    let timer_only = wait.signals_after.is_none() && wait.join.is_none();
    !(timer_only && wait.branches.is_empty() && wait.child.is_none())
}

/// Adds the runs that only the database knows of.
async fn find_runs(conn: &mut Conn, needs: &mut [Need]) -> Result<(), Fail> {
    let ending = needs.iter().filter_map(|need| need.ending).collect();
    let parents = pairs(conn, dialect::WAITING_RUNS, ending).await?;
    let waiting = needs.iter().filter_map(|need| need.waiting).collect();
    let own = pairs(conn, dialect::RUNS_OF_BRANCHES, waiting).await?;
    let kinds = needs.iter().flat_map(|need| need.kinds.iter().cloned());
    let listeners = listening(conn, kinds.collect()).await?;
    let of = |found: &HashMap<Uuid, Vec<Uuid>>, id: Option<Uuid>| {
        id.and_then(|id| found.get(&id).cloned())
            .unwrap_or_default()
    };
    for need in needs {
        need.runs.extend(of(&parents, need.ending));
        need.runs.extend(of(&own, need.waiting));
        for kind in &need.kinds {
            // Some listen to every type.
            for kind in [kind.as_str(), ""] {
                need.runs.extend(listeners.get(kind).into_iter().flatten());
            }
        }
        if let Some((dead, limit)) = need.dead {
            let poisoned = sql(dialect::POISONED_RUNS).id(dead).int(i64::from(limit));
            let found: Vec<(RawId,)> = poisoned.rows::<(Id,)>().load(conn).await?;
            need.runs.extend(found.into_iter().map(|(run,)| run));
        }
    }
    Ok(())
}

async fn pairs(
    conn: &mut Conn,
    text: &'static str,
    of: Vec<Uuid>,
) -> Result<HashMap<Uuid, Vec<Uuid>>, Fail> {
    let mut found: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    if of.is_empty() {
        return Ok(found);
    }
    let rows: Vec<(RawId, RawId)> = sql(text).ids(of).rows::<(Id, Id)>().load(conn).await?;
    for (id, run) in rows {
        found.entry(id).or_default().push(run);
    }
    Ok(found)
}

async fn listening(
    conn: &mut Conn,
    mut kinds: Vec<String>,
) -> Result<HashMap<String, Vec<Uuid>>, Fail> {
    let mut found: HashMap<String, Vec<Uuid>> = HashMap::new();
    if kinds.is_empty() {
        return Ok(found);
    }
    kinds.push(String::new());
    let kinds = kinds.into_iter().map(Some).collect();
    let listening = sql(dialect::LISTENING_RUNS).owned_texts(kinds);
    let rows: Vec<(String, RawId)> = listening.rows::<(Text, Id)>().load(conn).await?;
    for (kind, run) in rows {
        found.entry(kind).or_default().push(run);
    }
    Ok(found)
}

/// Locks those of the rows that nobody has, and names the others. What is not there is nobody's.
async fn taken(
    conn: &mut Conn,
    lock: &'static str,
    look: &'static str,
    mut ids: Vec<Uuid>,
) -> Result<HashSet<Uuid>, Fail> {
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let locked: HashSet<Uuid> = load(conn, lock, ids.clone()).await?;
    ids.retain(|id| !locked.contains(id));
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    load(conn, look, ids).await
}

async fn load(conn: &mut Conn, text: &'static str, of: Vec<Uuid>) -> Result<HashSet<Uuid>, Fail> {
    let found: Vec<(RawId,)> = sql(text).ids(of).rows::<(Id,)>().load(conn).await?;
    Ok(found.into_iter().map(|(id,)| id).collect())
}

/// Locks what the statement selects, until the end of the transaction.
async fn hold(conn: &mut Conn, statement: Sql<'_>) -> Result<(), Fail> {
    let _locked: Vec<(i32,)> = statement.rows::<(Integer,)>().load(conn).await?;
    Ok(())
}
