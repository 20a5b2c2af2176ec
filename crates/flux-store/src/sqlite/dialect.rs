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

/// The most urgent ready branches get an owner, while that one is alive; none that has lost too many
/// engines, if the owner has one of that kind already.
/// Values: owner, now, pool, too many, owner, too many, limit, owner.
pub(crate) const CLAIM_READY: &str = "\
    UPDATE branch SET state = 1, owner = ?, epoch = epoch + 1, updated_at = ? WHERE id IN ( \
        SELECT id FROM branch WHERE pool = ? AND state = 0 AND (lost < ? OR NOT EXISTS ( \
            SELECT 1 FROM branch AS mine WHERE mine.owner = ? AND mine.lost >= ?)) \
        ORDER BY priority, due_at LIMIT ?) \
    AND EXISTS (SELECT 1 FROM member WHERE incarnation = ? AND state = 0) \
    RETURNING id, run_id, epoch, commit_no, lost, memory, signals_after, join_ok, \
        priority, due_at";

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

/// Whether a member may claim. Value: member.
pub(crate) const ALIVE: &str = "SELECT state FROM member WHERE incarnation = ? AND state = 0";
