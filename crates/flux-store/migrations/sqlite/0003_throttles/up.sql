-- How many branches of a namespace (name '') or of a workflow may run at the same time.
CREATE TABLE throttle (
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    per_cluster INTEGER,
    per_engine INTEGER,
    PRIMARY KEY (namespace, name)
) STRICT;

-- lane: namespace/name of a branch that a throttle may hold back. Ready branches without one are the
-- common queue, the others wait in a queue of their lane; those that run are the slots that are taken.
-- Each number of priority is worth a minute of waiting.
ALTER TABLE branch ADD COLUMN lane TEXT;
DROP INDEX branch_ready;
CREATE INDEX branch_ready ON branch (pool, (due_at + CAST(60000000 AS BIGINT) * priority))
    WHERE state = 0 AND lane IS NULL;
CREATE INDEX branch_lane ON branch (pool, lane, (due_at + CAST(60000000 AS BIGINT) * priority))
    WHERE state = 0 AND lane IS NOT NULL;
CREATE INDEX branch_slot ON branch (lane) WHERE state = 1 AND lane IS NOT NULL;
