//! Storing a transaction break.
//!
//! The first statement is the guard: owner, epoch and commit number must be those that the caller
//! was told. When it finds no row nothing else is written.
//!
//! `IS NOT DISTINCT FROM` keeps the planner of PostgreSQL away from the index of what an owner has: a
//! table that it believes to be small it would search there, among ten thousand branches.

use diesel::sql_types::{BigInt, Integer, Nullable, Text};
use flux_core::ids::CommitNo;
use flux_core::ports::branches::{Commit, Committed, Then, Wait};
use flux_core::ports::runs::Outcome;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::effects::Effects;
use super::end::{self, Ending};
use super::{Conn, Id, RawId};
use super::{cancel, signal, submit, wait};
use crate::codec::signed;
use crate::error::Fail;
use crate::sql::sql;

/// The guard of a branch that goes on. It touches no column of an index.
pub(crate) const GUARD_RUN: &str = "\
    UPDATE branch SET commit_no = commit_no + 1, last_commit = ?, lost = 0, memory = ?, node = ?, \
        updated_at = ?, signals_after = NULL, join_ok = NULL, join_fault = NULL \
    WHERE id = ? AND owner IS NOT DISTINCT FROM ? AND epoch = ? AND commit_no = ? \
    RETURNING CASE WHEN pool = '!paused' THEN 1 ELSE 0 END";
/// The guard of a branch that waits.
pub(crate) const GUARD_WAIT: &str = "\
    UPDATE branch SET commit_no = commit_no + 1, last_commit = ?, lost = 0, memory = ?, node = ?, \
        updated_at = ?, state = 2, owner = NULL, due_at = ?, signals_after = ?, join_ok = ?, \
        join_fault = ? \
    WHERE id = ? AND owner IS NOT DISTINCT FROM ? AND epoch = ? AND commit_no = ? \
    RETURNING CASE WHEN pool = '!paused' THEN 1 ELSE 0 END";
pub(crate) const GUARD_END: &str = "\
    DELETE FROM branch WHERE id = ? AND owner IS NOT DISTINCT FROM ? AND epoch = ? AND commit_no = ? \
    RETURNING run_id, parent_id, idx, root, created_at, node, memory";
pub(crate) const LAST_COMMIT: &str = "\
    SELECT last_commit, commit_no FROM branch WHERE id = ? \
    UNION ALL SELECT last_commit, commit_no FROM ended_branch WHERE run_id = ? AND id = ?";
pub(crate) const INSERT_HISTORY: &str = "\
    INSERT INTO history (run_id, branch_id, commit_no, epoch, engine, at, node, events) \
    VALUES (?, ?, ?, ?, coalesce((SELECT name FROM member WHERE incarnation = ?), ''), ?, ?, ?)";

/// Stores everything that `c` says, or nothing.
pub(crate) async fn commit(conn: &mut Conn, c: &Commit) -> Result<Committed, Fail> {
    let mark = mark(c);
    let mut fx = Effects::at(c.now);
    let guarded = match &c.then {
        Then::Run => advance(conn, c, mark, None)
            .await?
            .map(|paused| (None, paused)),
        Then::Wait(wait) => advance(conn, c, mark, Some(wait))
            .await?
            .map(|_| (None, false)),
        Then::End { outcome, .. } => {
            let ending = remove(conn, c, mark, outcome).await?;
            ending.map(|ending| (Some(ending), false))
        }
    };
    let Some((ending, paused)) = guarded else {
        return answer_again(conn, c, mark).await;
    };
    insert_history(conn, c).await?;
    signal::consume(conn, c.run.uuid(), &c.consumed).await?;
    for event in &c.published {
        signal::publish(conn, &mut fx, event).await?;
    }
    for run in &c.spawned {
        submit::start(conn, run, None).await?;
        fx.woke = true;
    }
    if let Some(rest) = c.join_over {
        cancel::join_over(conn, &mut fx, c.run.uuid(), c.branch.uuid(), rest).await?;
    }
    match (&c.then, ending) {
        (Then::Wait(wait), _) => wait::park(conn, &mut fx, c, wait).await?,
        (
            Then::End {
                outcome,
                context,
                run,
            },
            Some(ending),
        ) => {
            let context = context.as_deref();
            end::end(conn, &mut fx, &ending, outcome, context, *run).await?;
        }
        _ => {}
    }
    let commit_no = c.fence.commit_no.next();
    Ok(Committed::Yes {
        commit_no,
        woke: fx.woke,
        cancelled: fx.cancelled,
        paused,
    })
}

/// The guard of a branch that goes on or waits: whether its run is paused; `None` when fenced.
async fn advance(
    conn: &mut Conn,
    c: &Commit,
    mark: Uuid,
    wait: Option<&Wait>,
) -> Result<Option<bool>, Fail> {
    let owner = c.fence.owner.uuid();
    let guard = match wait {
        None => GUARD_RUN,
        Some(_) => GUARD_WAIT,
    };
    let mut statement = sql(guard)
        .id(mark)
        .text(&c.memory)
        .text(&c.node)
        .int(c.now.as_micros());
    if let Some(wait) = wait {
        statement = statement
            .int(wait.due_at.map(|due| due.as_micros()))
            .int(wait.signals_after.map(signed))
            .int(wait.join.map(|join| i64::from(join.ok)))
            .int(wait.join.map(|join| i64::from(join.fault)));
    }
    let rows: Vec<(i32,)> = statement
        .id(c.branch.uuid())
        .id(owner)
        .int(signed(c.fence.epoch.get()))
        .int(signed(c.fence.commit_no.get()))
        .rows::<(Integer,)>()
        .load(conn)
        .await?;
    Ok(rows.into_iter().next().map(|(paused,)| paused == 1))
}

/// The guard of a branch that ends: it leaves the hot table; `None` when fenced.
async fn remove(
    conn: &mut Conn,
    c: &Commit,
    mark: Uuid,
    outcome: &Outcome,
) -> Result<Option<Ending>, Fail> {
    type Row = (RawId, Option<RawId>, i32, i32, i64, String, String);
    type Types = (Id, Nullable<Id>, Integer, Integer, BigInt, Text, Text);
    let rows: Vec<Row> = sql(GUARD_END)
        .id(c.branch.uuid())
        .id(c.fence.owner.uuid())
        .int(signed(c.fence.epoch.get()))
        .int(signed(c.fence.commit_no.get()))
        .rows::<Types>()
        .load(conn)
        .await?;
    let Some((run, parent, index, root, created_at, node, memory)) = rows.into_iter().next() else {
        return Ok(None);
    };
    let at = crate::codec::At {
        table: "branch",
        row: &c.branch,
    };
    let root = root == 1;
    // A branch that failed can be sent back to its commit point: what it knew there is kept.
    let failed = root && matches!(outcome, Outcome::Faulted { .. });
    Ok(Some(Ending {
        branch: c.branch.uuid(),
        run: at.id("run_id", &run)?,
        parent: at.maybe_id("parent_id", parent.as_ref())?,
        index,
        root,
        epoch: signed(c.fence.epoch.get()),
        commit_no: signed(c.fence.commit_no.next().get()),
        lost: 0,
        node: if failed { node } else { c.node.clone() },
        created_at,
        last_commit: Some(mark),
        memory: failed.then_some(memory),
    }))
}

/// The guard found no row: either this very commit was stored before and its answer was lost, or
/// the caller is fenced.
async fn answer_again(conn: &mut Conn, c: &Commit, mark: Uuid) -> Result<Committed, Fail> {
    let rows: Vec<(Option<RawId>, i64)> = sql(LAST_COMMIT)
        .id(c.branch.uuid())
        .id(c.run.uuid())
        .id(c.branch.uuid())
        .rows::<(Nullable<Id>, BigInt)>()
        .load(conn)
        .await?;
    let commit_no = c.fence.commit_no.next();
    let same = |(last, number): &(Option<RawId>, i64)| {
        *number == signed(commit_no.get())
            && last.as_ref().map(AsRef::as_ref) == Some(mark.as_bytes().as_slice())
    };
    Ok(match rows.as_slice().first() {
        // What it woke is not known any more; looking once too often costs little.
        Some(row) if same(row) => Committed::Yes {
            commit_no,
            woke: true,
            cancelled: Vec::new(),
            // The next commit tells.
            paused: false,
        },
        _ => Committed::Fenced,
    })
}

/// Tells this commit from every other: a digest of its fence and of everything it stores.
pub(crate) fn mark(c: &Commit) -> Uuid {
    let mut digest = Sha256::new();
    digest.update(c.branch.uuid());
    digest.update(c.fence.owner.uuid());
    digest.update(c.fence.epoch.get().to_le_bytes());
    digest.update(c.fence.commit_no.get().to_le_bytes());
    for text in [&c.node, &c.memory, &c.history] {
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text);
    }
    // The process that sends a commit again is the one that sent it first, so a text that is not
    // stable between versions will do.
    let rest = (&c.then, &c.consumed, &c.published, c.join_over, &c.spawned);
    digest.update(format!("{rest:?}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.finalize()[..16]);
    Uuid::from_bytes(bytes)
}

async fn insert_history(conn: &mut Conn, c: &Commit) -> Result<(), Fail> {
    let CommitNo(number) = c.fence.commit_no.next();
    sql(INSERT_HISTORY)
        .id(c.run.uuid())
        .id(c.branch.uuid())
        .int(signed(number))
        .int(signed(c.fence.epoch.get()))
        .id(c.fence.owner.uuid())
        .int(c.now.as_micros())
        .text(&c.node)
        .text(&c.history)
        .execute(conn)
        .await?;
    Ok(())
}
