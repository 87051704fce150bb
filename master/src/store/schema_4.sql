-- The commit of mainline up to which rows were compared with what it holds.
ALTER TABLE project ADD COLUMN compared TEXT;
-- Who the tip is by of the push that took out what had landed.
ALTER TABLE queue_entry ADD COLUMN taken_out_by TEXT NOT NULL DEFAULT '';
-- How far a round over all rows of a kind has come that takes many turns: after the row with this number.
CREATE TABLE progress (
    project_id BIGINT NOT NULL REFERENCES project (id),
    round TEXT NOT NULL,
    place BIGINT NOT NULL,
    PRIMARY KEY (project_id, round)
);

-- A branch's places in the queue, and pushes that are not recorded as landed, without a look at all others.
CREATE INDEX queue_entry_of_branch ON queue_entry (branch_id, id);
CREATE INDEX landing_unlanded ON landing (project_id, id) WHERE state <> 'landed';

-- Repositories that the bearer of a token has shown to be theirs.
CREATE TABLE proof (
    token_id BIGINT NOT NULL REFERENCES token (id),
    url TEXT NOT NULL,
    proved_ms BIGINT NOT NULL,
    PRIMARY KEY (token_id, url)
);

-- The isolation that the slave had to which a build was given.
ALTER TABLE build ADD COLUMN ran_in TEXT;
