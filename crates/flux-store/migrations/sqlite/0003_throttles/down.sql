DROP INDEX branch_slot;
DROP INDEX branch_lane;
DROP INDEX branch_ready;
ALTER TABLE branch DROP COLUMN lane;
CREATE INDEX branch_ready ON branch (pool, priority, due_at) WHERE state = 0;
DROP TABLE throttle;
