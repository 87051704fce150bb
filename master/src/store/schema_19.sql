-- What people say of a branch's revisions. One vote of each name on each revision; cast again it is another, and the events
-- keep the one before.
CREATE TABLE vote (
    id {ID},
    branch_id BIGINT NOT NULL REFERENCES branch (id),
    revision_id BIGINT NOT NULL REFERENCES revision (id),
    token_id BIGINT NOT NULL REFERENCES token (id),
    by_name TEXT NOT NULL,
    value BIGINT NOT NULL,
    cast_ms BIGINT NOT NULL,
    UNIQUE (revision_id, by_name)
);
CREATE INDEX vote_branch ON vote (branch_id, id);
-- A thread begins with a comment on a revision, on the whole or on lines of one side of its diff: where, and the first of
-- them as it read then, as JSON.
CREATE TABLE thread (
    id {ID},
    branch_id BIGINT NOT NULL REFERENCES branch (id),
    revision_id BIGINT NOT NULL REFERENCES revision (id),
    token_id BIGINT NOT NULL REFERENCES token (id),
    place TEXT,
    comments BIGINT NOT NULL DEFAULT 0,
    resolved_by TEXT,
    resolved_ms BIGINT
);
CREATE INDEX thread_branch ON thread (branch_id, id);
CREATE INDEX thread_open ON thread (branch_id) WHERE resolved_ms IS NULL;
CREATE TABLE comment (
    id {ID},
    thread_id BIGINT NOT NULL REFERENCES thread (id),
    by_name TEXT NOT NULL,
    text TEXT NOT NULL,
    said_ms BIGINT NOT NULL
);
CREATE INDEX comment_thread ON comment (thread_id, id);
