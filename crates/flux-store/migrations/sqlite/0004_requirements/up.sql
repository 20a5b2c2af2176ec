-- The pools of what requires labels (`gpu=a100,zone=eu`): where engines with labels look for work.
CREATE TABLE requirement (
    pool TEXT PRIMARY KEY NOT NULL
) STRICT;
