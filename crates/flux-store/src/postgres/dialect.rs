//! The statements that PostgreSQL needs in words of its own, in one screen.
//!
//! Ids are collected into an array first: a join of two sets would be planned with statistics that
//! are always stale here, and may read the whole table. Rows that somebody else is working on
//! are skipped, so that engines which claim at the same time do not wait for each other.

/// Waiting branches whose time has come become ready. Values: now, pool, now, limit.
pub(crate) const PROMOTE_DUE: &str = "\
    UPDATE branch SET state = 0, updated_at = ? WHERE id = ANY(ARRAY( \
        SELECT id FROM branch \
        WHERE pool = ? AND state = 2 AND due_at IS NOT NULL AND due_at <= ? \
        ORDER BY due_at LIMIT ? FOR NO KEY UPDATE SKIP LOCKED)) AND state = 2";

/// See [`crate::sql::claim`].
macro_rules! claim {
    ($queue:expr) => {
        crate::sql::claim!(
            "id = ANY(ARRAY(",
            " FOR NO KEY UPDATE SKIP LOCKED)) AND state = 0",
            $queue
        )
    };
}

/// From the common queue, where nothing is throttled.
pub(crate) const CLAIM_READY: &str = claim!("lane IS NULL");

/// From the common queue, past what is throttled.
pub(crate) const CLAIM_FREE: &str = claim!(concat!(
    "lane IS NULL AND 0 = ",
    crate::sql::throttles_of!("branch.run_id")
));

/// From a lane. Value of the queue: lane.
pub(crate) const CLAIM_LANE: &str = claim!("lane = ?");

/// What is throttled among the most urgent of the common queue goes to its lane. Values: pool, limit.
pub(crate) const DIVERT: &str = concat!(
    "UPDATE branch SET lane = ( \
        SELECT run.namespace || '/' || run.name FROM run WHERE run.id = branch.run_id) \
    WHERE id = ANY(ARRAY( \
        SELECT head.id FROM ( \
            SELECT id, run_id FROM branch WHERE pool = ? AND state = 0 AND lane IS NULL \
            ORDER BY ",
    crate::sql::urgency!(),
    " LIMIT ? FOR NO KEY UPDATE SKIP LOCKED) AS head \
        WHERE 0 < ",
    crate::sql::throttles_of!("head.run_id"),
    ")) AND state = 0"
);

/// Branches of a dead engine become ready. A commit of that engine may hold some of them still:
/// they are freed by the next round. Values: now, now, owner, limit, owner.
pub(crate) const FREE: &str = "\
    UPDATE branch SET state = 0, owner = NULL, epoch = epoch + 1, lost = lost + 1, due_at = ?, \
        updated_at = ? \
    WHERE id = ANY(ARRAY( \
        SELECT id FROM branch WHERE owner = ? ORDER BY id LIMIT ? FOR NO KEY UPDATE SKIP LOCKED)) \
    AND EXISTS (SELECT 1 FROM member WHERE incarnation = ? AND state = 2) \
    RETURNING id, run_id, epoch, commit_no, lost, node";

/// A member dies, if its heartbeat number is still that one. The full lock waits for claims of
/// that member ([`ALIVE`]) to end: after its death it claims nothing. Values: member, number.
pub(crate) const CONVICT: &str = "\
    UPDATE member SET state = 2 WHERE incarnation = ( \
        SELECT incarnation FROM member WHERE incarnation = ? AND heartbeat_seq = ? \
        AND state <> 2 FOR UPDATE)";

/// The time by the server's clock when it received the statement, in microseconds. The clock at the
/// moment of writing would count a wait for a lock as a difference of clocks.
pub(crate) const NOW: &str = "CAST(extract(epoch FROM statement_timestamp()) * 1000000 AS BIGINT)";

/// Whether a member may claim, until the end of the transaction: it can beat meanwhile, but not
/// be convicted; and whether anything is throttled. Values: pool, member.
pub(crate) const ALIVE: &str = "\
    SELECT CAST(EXISTS (SELECT 1 FROM throttle) OR EXISTS ( \
        SELECT 1 FROM branch WHERE pool = ? AND state = 0 AND lane IS NOT NULL) AS INTEGER) \
    FROM member WHERE incarnation = ? AND state = 0 FOR KEY SHARE OF member";

/// See [`crate::sql::taker`]; the lock as in [`ALIVE`].
macro_rules! taker {
    () => {
        crate::sql::taker!(" FOR KEY SHARE OF member")
    };
}
pub(crate) use taker;
pub(crate) const TAKER: &str = taker!();

/// Waits until the claims of a member ([`ALIVE`]) have ended. What the next statement sees is then
/// all that it will ever own, unless it claims again. Value: member.
pub(crate) const LOCK_MEMBER: &str = "SELECT state FROM member WHERE incarnation = ? FOR UPDATE";

/// The throttles that nobody else claims by at the moment: two engines never take the same slot.
pub(crate) const LOCK_THROTTLES: &str = "\
    SELECT namespace, name, per_cluster, per_engine FROM throttle \
    ORDER BY namespace, name FOR NO KEY UPDATE SKIP LOCKED";

/// Keeps other engines from joining until the end of the transaction.
pub(crate) const LOCK_CLUSTER: &str = "SELECT id FROM cluster FOR NO KEY UPDATE";

/// A run, waiting for whoever has it. Value: run.
pub(crate) const LOCK_RUN: &str = "SELECT id FROM run WHERE id = ? FOR NO KEY UPDATE";

/// Those of these runs that nobody else has. Value: array of runs.
pub(crate) const LOCK_RUNS: &str = "\
    SELECT id FROM run WHERE id = ANY(?) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED";

/// Those of these branches that nobody else has. Value: array of branches.
pub(crate) const LOCK_BRANCHES: &str = "\
    SELECT id FROM branch WHERE id = ANY(?) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED";

/// Those of these runs that there are. Value: array of runs.
pub(crate) const RUNS: &str = "SELECT id FROM run WHERE id = ANY(?)";

/// Those of these branches that there are. Value: array of branches.
pub(crate) const BRANCHES: &str = "SELECT id FROM branch WHERE id = ANY(?)";

/// Runs, each with the run whose branch waits for its end. Value: array of runs.
pub(crate) const WAITING_RUNS: &str = "\
    SELECT run.id, branch.run_id FROM run JOIN branch ON branch.id = run.parent_branch \
    WHERE run.id = ANY(?) AND run.attached = 1";

/// Types, each with a run that listens to it. Value: array of types.
pub(crate) const LISTENING_RUNS: &str = "SELECT kind, run_id FROM subscription WHERE kind = ANY(?)";

/// Branches, each with its run. Value: array of branches.
pub(crate) const RUNS_OF_BRANCHES: &str = "SELECT id, run_id FROM branch WHERE id = ANY(?)";

/// Runs with a branch that fails when it loses this engine, too. Values: engine, limit.
pub(crate) const POISONED_RUNS: &str =
    "SELECT DISTINCT run_id FROM branch WHERE owner = ? AND lost + 1 >= ?";
