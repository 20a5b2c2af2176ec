//! Everything that SQLite says differently from other databases, in one screen.
//!
//! The rest of the crate's SQL is the common part of SQLite and PostgreSQL. SQLite has one writer
//! at a time, so nothing here locks rows; another dialect adds `FOR UPDATE SKIP LOCKED` to
//! [`PROMOTE_DUE`] and [`CLAIM_READY`].

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

/// The most urgent ready branches get an owner, while that one is alive.
/// Values: owner, now, pool, now, limit, owner.
pub(crate) const CLAIM_READY: &str = "\
    UPDATE branch SET state = 1, owner = ?, epoch = epoch + 1, updated_at = ? WHERE id IN ( \
        SELECT id FROM branch WHERE pool = ? AND state = 0 AND due_at <= ? \
        ORDER BY priority, due_at LIMIT ?) \
    AND EXISTS (SELECT 1 FROM member WHERE incarnation = ? AND state = 0) \
    RETURNING id, run_id, epoch, commit_no, lost, memory, signals_after, join_ok, \
        priority, due_at";

/// A definition that is stored already stays as it is.
/// Values: chart, namespace, name, version, source, deployed_at.
pub(crate) const INSERT_DEFINITION: &str = "\
    INSERT INTO definition (chart, namespace, name, version, source, deployed_at) \
    VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (chart) DO NOTHING";

/// A schedule of another definition of that name is replaced; that of the same one goes on.
/// Values: namespace, name, version, chart, due_at, after_us.
pub(crate) const PUT_SCHEDULE: &str = "\
    INSERT INTO schedule (namespace, name, version, chart, due_at, after_us) \
    VALUES (?, ?, ?, ?, ?, ?) \
    ON CONFLICT (namespace, name) DO UPDATE SET version = excluded.version, \
        chart = excluded.chart, due_at = excluded.due_at, after_us = excluded.after_us \
    WHERE schedule.chart <> excluded.chart";

/// A run, unless its id or its request id is there. Values: the columns in order.
pub(crate) const INSERT_RUN: &str = "\
    INSERT INTO run (id, chart, namespace, name, version, state, input, started_at, \
        parent_branch, attached, pool, priority, request_id, traceparent) \
    VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";

/// Remembers an event of a run; no row when the run had it. Values: run, source, event id.
pub(crate) const INSERT_INBOX: &str = "\
    INSERT INTO inbox (run_id, source, event_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";

/// Remembers an event for every run that listens. Values: source, event id, kind.
pub(crate) const FAN_OUT_INBOX: &str = "\
    INSERT INTO inbox (run_id, source, event_id) \
    SELECT DISTINCT run_id, ?, ? FROM subscription WHERE kind IN (?, '') \
    ON CONFLICT DO NOTHING";

/// A type that a run listens to, once. Values: kind, run.
pub(crate) const INSERT_SUBSCRIPTION: &str =
    "INSERT INTO subscription (kind, run_id) VALUES (?, ?) ON CONFLICT DO NOTHING";

/// A result, unless it is there. Values: run, branch, index, ok, outcome, context.
pub(crate) const INSERT_ARRIVAL: &str = "\
    INSERT INTO arrival (run_id, branch_id, idx, ok, outcome, context) \
    VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
