-- A slave's own word on its availability and the admin's, in full: who, why, since and until, as JSON. Empty where an earlier
-- version wrote the row: `said`, `said_reason` and `admin`, which always say the same, then count alone.
ALTER TABLE slave ADD COLUMN said_word TEXT NOT NULL DEFAULT '';
ALTER TABLE slave ADD COLUMN admin_word TEXT NOT NULL DEFAULT '';
