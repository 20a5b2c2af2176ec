//! The statements that SQLite needs in words of its own, in one screen.
//!
//! The rest of the crate's SQL is the common part of SQLite and PostgreSQL. SQLite has one writer
//! at a time, so nothing here locks rows.

/// Settings of every connection, each a statement of its own, in this order: the first keeps the
/// others from failing while another process has the lock. The busy timeout is set before them.
pub(crate) const PRAGMAS: [&str; 7] = [
    "PRAGMA journal_mode = WAL",
    // NORMAL may lose the last commits when the power fails.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    // A damaged or truncated file must be an error, never a signal.
    "PRAGMA mmap_size = 0",
    // 4,000 pages of 4 KiB: one checkpoint for about 16 MiB of log.
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA cache_size = -32768",
    "PRAGMA temp_store = MEMORY",
];

/// Takes the write lock at the start: a transaction that takes it later can fail for good.
pub(crate) const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";

/// Waiting branches whose time has come become ready. Values: now, pool, now, limit.
pub(crate) const PROMOTE_DUE: &str = "\
    UPDATE branch SET state = 0, updated_at = ? WHERE id IN ( \
        SELECT id FROM branch \
        WHERE pool = ? AND state = 2 AND due_at IS NOT NULL AND due_at <= ? \
        ORDER BY due_at LIMIT ?)";

/// See [`crate::sql::claim`].
macro_rules! claim {
    ($queue:expr) => {
        crate::sql::claim!("id IN (", ")", $queue)
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
    WHERE id IN ( \
        SELECT head.id FROM ( \
            SELECT id, run_id FROM branch WHERE pool = ? AND state = 0 AND lane IS NULL \
            ORDER BY ",
    crate::sql::urgency!(),
    " LIMIT ?) AS head \
        WHERE 0 < ",
    crate::sql::throttles_of!("head.run_id"),
    ")"
);

/// Branches of a dead engine become ready. Values: now, now, owner, limit, owner.
pub(crate) const FREE: &str = "\
    UPDATE branch SET state = 0, owner = NULL, epoch = epoch + 1, lost = lost + 1, due_at = ?, \
        updated_at = ? \
    WHERE id IN (SELECT id FROM branch WHERE owner = ? LIMIT ?) \
    AND EXISTS (SELECT 1 FROM member WHERE incarnation = ? AND state = 2) \
    RETURNING id, run_id, epoch, commit_no, lost, node";

/// A member dies, if its heartbeat number is still that one. Values: member, number.
pub(crate) const CONVICT: &str = "\
    UPDATE member SET state = 2 WHERE incarnation = ? AND heartbeat_seq = ? AND state <> 2";

/// The time by the clock of the machine, which is all that there is: microseconds.
pub(crate) const NOW: &str = "CAST(unixepoch('subsec') * 1000000 AS INTEGER)";

/// Whether a member may claim; and whether anything is throttled. Values: pool, member.
pub(crate) const ALIVE: &str = "\
    SELECT CAST(EXISTS (SELECT 1 FROM throttle) OR EXISTS ( \
        SELECT 1 FROM branch WHERE pool = ? AND state = 0 AND lane IS NOT NULL) AS INTEGER) \
    FROM member WHERE incarnation = ? AND state = 0";

/// See [`crate::sql::taker`].
pub(crate) const TAKER: &str = crate::sql::taker!("");

/// All throttles: the writer has the file for itself.
pub(crate) use super::shared::queries::throttles::ALL as LOCK_THROTTLES;
