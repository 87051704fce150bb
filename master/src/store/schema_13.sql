-- A stack of which nobody waits any more stays where it was built, one row with its entries: what its builds said is said of all
-- that were in it. Until then it is not over.
ALTER TABLE stack ADD COLUMN over_ms BIGINT;
DROP INDEX stack_project;
CREATE INDEX stack_open ON stack (project_id, id) WHERE over_ms IS NULL;
-- Of which stack of several a build is; 0 of none, -1 of one that was forgotten.
UPDATE build SET of_stack = COALESCE((SELECT MAX(s.id) FROM stack s WHERE s.candidate_id = build.candidate_id), -1)
WHERE of_stack = 1;
CREATE INDEX build_stack ON build (of_stack) WHERE of_stack <> 0;
-- What happened to a build is told to all that were built together.
CREATE INDEX event_build ON event (build_id) WHERE build_id IS NOT NULL;
