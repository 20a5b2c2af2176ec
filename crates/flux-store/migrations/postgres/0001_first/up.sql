-- Times are microseconds since the Unix epoch. Names are compared byte by byte ("C"), as everywhere in Flux.
-- A run's row is the lock of everything that belongs to the run, so the hot tables have no foreign
-- keys: their checks would lock rows too, in an order of their own.

CREATE TABLE cluster (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    cluster_id UUID NOT NULL
);
INSERT INTO cluster (id, cluster_id) VALUES (1, gen_random_uuid());

-- state: 0 alive, 1 draining, 2 dead. heartbeat_at is told by the engine's clock, heartbeat_db_at by
-- that of the database; they are shown, never judged by. pool '' is the common one.
CREATE TABLE member (
    incarnation UUID PRIMARY KEY,
    name TEXT COLLATE "C" NOT NULL,
    window_us BIGINT NOT NULL,
    heartbeat_seq BIGINT NOT NULL,
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),
    heartbeat_at BIGINT NOT NULL,
    heartbeat_db_at BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    host TEXT NOT NULL,
    pid BIGINT NOT NULL,
    version TEXT NOT NULL,
    pool TEXT COLLATE "C" NOT NULL,
    concurrency BIGINT NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE failover (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incarnation UUID NOT NULL UNIQUE,
    name TEXT NOT NULL,
    heartbeat_seq BIGINT NOT NULL,
    heartbeat_at BIGINT NOT NULL,
    convicted_by UUID NOT NULL,
    convicted_by_name TEXT NOT NULL,
    at BIGINT NOT NULL,
    evidence TEXT NOT NULL,
    branches BIGINT NOT NULL
);

CREATE TABLE definition (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chart TEXT COLLATE "C" NOT NULL UNIQUE,
    namespace TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    source TEXT NOT NULL,
    deployed_at BIGINT NOT NULL
);
CREATE INDEX definition_by_name ON definition (namespace, name);

CREATE TABLE schedule (
    namespace TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    chart TEXT COLLATE "C" NOT NULL REFERENCES definition (chart),
    due_at BIGINT,
    after_us BIGINT,
    last_run UUID,
    PRIMARY KEY (namespace, name)
);
CREATE INDEX schedule_by_run ON schedule (last_run) WHERE last_run IS NOT NULL;

-- state: 0 open (pending, running, waiting or suspended, as its branches say), 4 cancelled,
-- 5 faulted, 6 completed. attached: its end arrives at parent_branch.
CREATE TABLE run (
    id UUID PRIMARY KEY,
    seq BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE,
    started_at BIGINT NOT NULL,
    ended_at BIGINT,
    state INTEGER NOT NULL CHECK (state IN (0, 4, 5, 6)),
    attached INTEGER NOT NULL CHECK (attached IN (0, 1)),
    priority INTEGER NOT NULL,
    parent_branch UUID,
    chart TEXT COLLATE "C" NOT NULL,
    namespace TEXT COLLATE "C" NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    version TEXT COLLATE "C" NOT NULL,
    pool TEXT COLLATE "C" NOT NULL,
    request_id TEXT COLLATE "C",
    traceparent TEXT,
    input TEXT NOT NULL,
    outcome TEXT,
    CHECK ((state = 0) = (ended_at IS NULL))
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX run_of_request ON run (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX run_open ON run (seq) WHERE state = 0;
CREATE INDEX run_of_parent ON run (parent_branch) WHERE parent_branch IS NOT NULL;

-- The hot table: branches that have not ended. state: 0 ready, 1 running, 2 waiting, 3 paused.
CREATE TABLE branch (
    id UUID PRIMARY KEY,
    run_id UUID NOT NULL,
    parent_id UUID,
    owner UUID,
    last_commit UUID,
    epoch BIGINT NOT NULL,
    commit_no BIGINT NOT NULL,
    lost BIGINT NOT NULL,
    due_at BIGINT,
    signals_after BIGINT,
    join_ok BIGINT,
    join_fault BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
    priority INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    root INTEGER NOT NULL CHECK (root IN (0, 1)),
    pool TEXT COLLATE "C" NOT NULL,
    node TEXT NOT NULL,
    memory TEXT NOT NULL,
    CHECK ((state = 1) = (owner IS NOT NULL)),
    CHECK (state <> 0 OR due_at IS NOT NULL)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX branch_ready ON branch (pool, priority, due_at) WHERE state = 0;
CREATE INDEX branch_due ON branch (pool, due_at) WHERE state = 2 AND due_at IS NOT NULL;
CREATE INDEX branch_owned ON branch (owner) WHERE owner IS NOT NULL;
CREATE INDEX branch_of_run ON branch (run_id);
CREATE INDEX branch_of_parent ON branch (parent_id) WHERE parent_id IS NOT NULL;

-- Branches that have ended; state: 4 failed (memory and node are those of its commit point),
-- 5 finished (memory is gone).
CREATE TABLE ended_branch (
    run_id UUID NOT NULL,
    id UUID NOT NULL,
    parent_id UUID,
    last_commit UUID,
    epoch BIGINT NOT NULL,
    commit_no BIGINT NOT NULL,
    lost BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    idx INTEGER NOT NULL,
    root INTEGER NOT NULL,
    state INTEGER NOT NULL CHECK (state IN (4, 5)),
    node TEXT NOT NULL,
    memory TEXT,
    fault TEXT,
    PRIMARY KEY (run_id, id)
);

-- A branch belongs to one run, so (branch_id, commit_no) is unique; run_id leads because a
-- history is read by run.
CREATE TABLE history (
    run_id UUID NOT NULL,
    branch_id UUID NOT NULL,
    commit_no BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    at BIGINT NOT NULL,
    engine TEXT NOT NULL,
    node TEXT NOT NULL,
    events TEXT NOT NULL,
    PRIMARY KEY (run_id, branch_id, commit_no)
);

-- incarnation: the dead engine; none where an operator sent the branch back.
CREATE TABLE takeover (
    run_id UUID NOT NULL,
    branch_id UUID NOT NULL,
    incarnation UUID,
    epoch BIGINT NOT NULL,
    commit_no BIGINT NOT NULL,
    at BIGINT NOT NULL,
    engine TEXT NOT NULL,
    node TEXT NOT NULL,
    events TEXT NOT NULL,
    PRIMARY KEY (run_id, branch_id, epoch)
);
CREATE INDEX takeover_of_engine ON takeover (incarnation, at) WHERE incarnation IS NOT NULL;

-- A consumed signal's number never comes again, waits compare with it. Within a run the numbers are
-- in the order of the commits: a transaction takes the run's row before it takes a number.
CREATE TABLE signal (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id UUID NOT NULL,
    kind TEXT NOT NULL,
    json TEXT NOT NULL
);
CREATE INDEX signal_of_run ON signal (run_id, seq);

-- Which events a run has had, until it ends.
CREATE TABLE inbox (
    run_id UUID NOT NULL,
    source TEXT COLLATE "C" NOT NULL,
    event_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (run_id, source, event_id)
);

-- kind '' stands for every type.
CREATE TABLE subscription (
    kind TEXT COLLATE "C" NOT NULL,
    run_id UUID NOT NULL,
    PRIMARY KEY (kind, run_id)
);
CREATE INDEX subscription_of_run ON subscription (run_id);

-- Results that a waiting branch has not consumed yet.
CREATE TABLE arrival (
    run_id UUID NOT NULL,
    branch_id UUID NOT NULL,
    idx INTEGER NOT NULL,
    ok INTEGER NOT NULL CHECK (ok IN (0, 1)),
    outcome TEXT NOT NULL,
    context TEXT,
    PRIMARY KEY (run_id, branch_id, idx)
);
