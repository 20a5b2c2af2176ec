-- What engines prove their membership with, and where they reach each other ('': nowhere).
ALTER TABLE cluster ADD COLUMN key TEXT NOT NULL DEFAULT '';
UPDATE cluster SET key = replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
ALTER TABLE member ADD COLUMN address TEXT NOT NULL DEFAULT '';
