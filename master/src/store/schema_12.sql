-- Stacks of the queue that were made: the commit of mainline that each stands on, its top, what it is tested for, and since when.
CREATE TABLE stack (
    id {ID},
    project_id BIGINT NOT NULL REFERENCES project (id),
    on_id BIGINT NOT NULL,
    candidate_id BIGINT NOT NULL REFERENCES candidate (id),
    purpose TEXT NOT NULL,
    begun_ms BIGINT NOT NULL
);
CREATE INDEX stack_project ON stack (project_id, id);
CREATE INDEX stack_candidate ON stack (candidate_id);
-- Its entries, first merged first, each with the commit that it would land as: a candidate on that of the one before.
CREATE TABLE stack_entry (
    stack_id BIGINT NOT NULL REFERENCES stack (id),
    place BIGINT NOT NULL,
    entry_id BIGINT NOT NULL REFERENCES queue_entry (id),
    candidate_id BIGINT NOT NULL REFERENCES candidate (id),
    PRIMARY KEY (stack_id, place)
);
CREATE INDEX stack_entry_entry ON stack_entry (entry_id);
CREATE INDEX stack_entry_candidate ON stack_entry (candidate_id);
-- Whether a push of a commit was refused.
CREATE INDEX landing_to ON landing (project_id, to_commit);
-- Pairs of entries that each merge with mainline, and not with each other.
CREATE TABLE apart (
    entry_id BIGINT NOT NULL REFERENCES queue_entry (id),
    other_id BIGINT NOT NULL REFERENCES queue_entry (id),
    PRIMARY KEY (entry_id, other_id)
);
-- Whether a build is of a stack of several: it says nothing of the branch alone whose commit is its top.
ALTER TABLE build ADD COLUMN of_stack BIGINT NOT NULL DEFAULT 0;
-- What builds of stacks said that are forgotten: how many passed, and how many failed of what landed all the same.
ALTER TABLE project ADD COLUMN runs_passed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE project ADD COLUMN runs_flaked BIGINT NOT NULL DEFAULT 0;
