-- What engines prove their membership with, and where they reach each other ('': nowhere).
ALTER TABLE cluster ADD COLUMN key TEXT NOT NULL DEFAULT '';
UPDATE cluster SET key = lower(hex(randomblob(32)));
ALTER TABLE member ADD COLUMN address TEXT NOT NULL DEFAULT '';
