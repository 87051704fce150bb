-- A landing pushes a line of entries by one push, each as a commit of its own that stands on the one below: place 1 is the
-- lowest. Whose landing one is, is asked here alone; landing.entry_id is the top one's.
DROP INDEX landing_entry;
CREATE TABLE landing_entry (
    landing_id BIGINT NOT NULL REFERENCES landing (id),
    place BIGINT NOT NULL,
    entry_id BIGINT NOT NULL REFERENCES queue_entry (id),
    candidate_id BIGINT REFERENCES candidate (id),
    commit_id TEXT NOT NULL,
    PRIMARY KEY (landing_id, place)
);
CREATE INDEX landing_entry_of ON landing_entry (entry_id, landing_id);
INSERT INTO landing_entry (landing_id, place, entry_id, candidate_id, commit_id)
SELECT landing.id, 1, landing.entry_id, (SELECT MAX(c.id) FROM candidate c
    WHERE c.revision_id = q.revision_id AND c.commit_id = landing.to_commit), landing.to_commit
FROM landing JOIN queue_entry q ON q.id = landing.entry_id;
-- Whether a candidate was made to stand on another one in a line, and never as what its branch alone would land as.
ALTER TABLE candidate ADD COLUMN stacked BIGINT NOT NULL DEFAULT 0;

-- Where mainline was, one row each time that project.tip came to be another commit, of the last of them; and the landing by
-- which it did, if it was one.
CREATE TABLE mainline_at (
    id {ID},
    project_id BIGINT NOT NULL REFERENCES project (id),
    commit_id TEXT NOT NULL,
    landing_id BIGINT REFERENCES landing (id),
    at_ms BIGINT NOT NULL
);
CREATE INDEX mainline_at_project ON mainline_at (project_id, id);
INSERT INTO mainline_at (project_id, commit_id, at_ms)
SELECT id, tip, COALESCE(tip_seen_ms, made_ms) FROM project WHERE tip IS NOT NULL ORDER BY id;
