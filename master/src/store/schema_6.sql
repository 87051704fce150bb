-- Builds in the order in which they are listed: of a project, of a branch, of a slave, and by their result.
CREATE INDEX build_project ON build (project_id, id);
CREATE INDEX build_branch ON build (branch_id, id);
CREATE INDEX build_slave ON build (slave_id, id);
CREATE INDEX build_result ON build (project_id, result, id);
-- A slave's own word on its availability and the admin's, in full: who, why, since and until, as JSON. Empty where an earlier
-- version wrote the row: `said`, `said_reason` and `admin`, which always say the same, then count alone.
ALTER TABLE slave ADD COLUMN said_word TEXT NOT NULL DEFAULT '';
ALTER TABLE slave ADD COLUMN admin_word TEXT NOT NULL DEFAULT '';
