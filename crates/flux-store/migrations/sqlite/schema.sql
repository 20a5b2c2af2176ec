CREATE TABLE arrival (
    run_id BLOB NOT NULL,
    branch_id BLOB NOT NULL,
    idx INTEGER NOT NULL,
    ok INTEGER NOT NULL CHECK (ok IN (0, 1)),
    outcome TEXT NOT NULL,
    context TEXT,
    PRIMARY KEY (run_id, branch_id, idx)
) STRICT, WITHOUT ROWID;
CREATE TABLE branch (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    run_id BLOB NOT NULL REFERENCES run (id),
    parent_id BLOB,
    idx INTEGER NOT NULL,
    root INTEGER NOT NULL CHECK (root IN (0, 1)),
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
    owner BLOB,
    epoch INTEGER NOT NULL,
    commit_no INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    pool TEXT NOT NULL,
    due_at INTEGER,
    signals_after INTEGER,
    join_ok INTEGER,
    join_fault INTEGER,
    node TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    last_commit BLOB,
    memory TEXT NOT NULL, lane TEXT,
    CHECK ((state = 1) = (owner IS NOT NULL)),
    CHECK (state <> 0 OR due_at IS NOT NULL)
) STRICT;
CREATE INDEX branch_due ON branch (pool, due_at) WHERE state = 2 AND due_at IS NOT NULL;
CREATE INDEX branch_lane ON branch (pool, lane, (due_at + CAST(60000000 AS BIGINT) * priority))
    WHERE state = 0 AND lane IS NOT NULL;
CREATE INDEX branch_of_parent ON branch (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX branch_of_run ON branch (run_id);
CREATE INDEX branch_owned ON branch (owner) WHERE owner IS NOT NULL;
CREATE INDEX branch_ready ON branch (pool, (due_at + CAST(60000000 AS BIGINT) * priority))
    WHERE state = 0 AND lane IS NULL;
CREATE INDEX branch_slot ON branch (lane) WHERE state = 1 AND lane IS NOT NULL;
CREATE TABLE cluster (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    cluster_id BLOB NOT NULL CHECK (length(cluster_id) = 16)
, key TEXT NOT NULL DEFAULT '') STRICT;
CREATE TABLE definition (
    seq INTEGER PRIMARY KEY NOT NULL,
    chart TEXT NOT NULL UNIQUE,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    source TEXT NOT NULL,
    deployed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX definition_by_name ON definition (namespace, name);
CREATE TABLE ended_branch (
    run_id BLOB NOT NULL,
    id BLOB NOT NULL,
    parent_id BLOB,
    idx INTEGER NOT NULL,
    root INTEGER NOT NULL,
    state INTEGER NOT NULL CHECK (state IN (4, 5)),
    epoch INTEGER NOT NULL,
    commit_no INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    node TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    last_commit BLOB,
    memory TEXT,
    fault TEXT,
    PRIMARY KEY (run_id, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE failover (
    seq INTEGER PRIMARY KEY NOT NULL,
    incarnation BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    heartbeat_seq INTEGER NOT NULL,
    heartbeat_at INTEGER NOT NULL,
    convicted_by BLOB NOT NULL,
    convicted_by_name TEXT NOT NULL,
    at INTEGER NOT NULL,
    evidence TEXT NOT NULL,
    branches INTEGER NOT NULL
) STRICT;
CREATE TABLE history (
    run_id BLOB NOT NULL,
    branch_id BLOB NOT NULL,
    commit_no INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    engine TEXT NOT NULL,
    at INTEGER NOT NULL,
    node TEXT NOT NULL,
    events TEXT NOT NULL,
    PRIMARY KEY (run_id, branch_id, commit_no)
) STRICT, WITHOUT ROWID;
CREATE TABLE inbox (
    run_id BLOB NOT NULL,
    source TEXT NOT NULL,
    event_id TEXT NOT NULL,
    PRIMARY KEY (run_id, source, event_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE member (
    incarnation BLOB PRIMARY KEY NOT NULL CHECK (length(incarnation) = 16),
    name TEXT NOT NULL,
    window_us INTEGER NOT NULL,
    heartbeat_seq INTEGER NOT NULL,
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),
    heartbeat_at INTEGER NOT NULL,
    heartbeat_db_at INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    version TEXT NOT NULL,
    pool TEXT NOT NULL,
    concurrency INTEGER NOT NULL
, address TEXT NOT NULL DEFAULT '') STRICT, WITHOUT ROWID;
CREATE TABLE requirement (
    pool TEXT PRIMARY KEY NOT NULL
) STRICT;
CREATE TABLE run (
    seq INTEGER PRIMARY KEY NOT NULL,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    chart TEXT NOT NULL REFERENCES definition (chart),
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    state INTEGER NOT NULL CHECK (state IN (0, 4, 5, 6)),
    input TEXT NOT NULL,
    outcome TEXT,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    parent_branch BLOB,
    attached INTEGER NOT NULL CHECK (attached IN (0, 1)),
    pool TEXT NOT NULL,
    priority INTEGER NOT NULL,
    request_id TEXT,
    traceparent TEXT,
    CHECK ((state = 0) = (ended_at IS NULL))
) STRICT;
CREATE INDEX run_of_parent ON run (parent_branch) WHERE parent_branch IS NOT NULL;
CREATE UNIQUE INDEX run_of_request ON run (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX run_open ON run (seq) WHERE state = 0;
CREATE TABLE schedule (
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    chart TEXT NOT NULL REFERENCES definition (chart),
    due_at INTEGER,
    after_us INTEGER,
    last_run BLOB,
    PRIMARY KEY (namespace, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX schedule_by_run ON schedule (last_run) WHERE last_run IS NOT NULL;
CREATE TABLE signal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    run_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    json TEXT NOT NULL
) STRICT;
CREATE INDEX signal_of_run ON signal (run_id);
CREATE TABLE subscription (
    kind TEXT NOT NULL,
    run_id BLOB NOT NULL,
    PRIMARY KEY (kind, run_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX subscription_of_run ON subscription (run_id);
CREATE TABLE takeover (
    run_id BLOB NOT NULL,
    branch_id BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    commit_no INTEGER NOT NULL,
    incarnation BLOB,
    engine TEXT NOT NULL,
    at INTEGER NOT NULL,
    node TEXT NOT NULL,
    events TEXT NOT NULL,
    PRIMARY KEY (run_id, branch_id, epoch)
) STRICT, WITHOUT ROWID;
CREATE INDEX takeover_of_engine ON takeover (incarnation, at) WHERE incarnation IS NOT NULL;
CREATE TABLE throttle (
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    per_cluster INTEGER,
    per_engine INTEGER,
    PRIMARY KEY (namespace, name)
) STRICT;
