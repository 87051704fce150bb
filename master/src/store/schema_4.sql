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

-- A revision's candidate that counts: the one that was made last and is not discarded. It counts also while mainline moves on in
-- what it does not touch.
ALTER TABLE revision ADD COLUMN candidate_id BIGINT;
UPDATE revision SET candidate_id = (SELECT MAX(id) FROM candidate WHERE revision_id = revision.id AND terms_hash NOT LIKE 'discarded %');
-- Whether a candidate is to be made of the revision: 0 the one that counts stands; 1 it is to be made, for the first time or again;
-- 2 it would be, were the revision the head of a live branch.
ALTER TABLE revision ADD COLUMN remake BIGINT NOT NULL DEFAULT 1;
-- What those of before touch is not known.
UPDATE revision SET remake = 2 WHERE NOT EXISTS (
    SELECT 1 FROM branch WHERE id = revision.branch_id AND state = 'live' AND head = revision.number);
CREATE INDEX revision_remake ON revision (id) WHERE remake = 1;
-- What the candidate touches that counts, as numbers: each set is met once, by a move of mainline that has one of them, and goes.
CREATE TABLE touched (
    project_id BIGINT NOT NULL REFERENCES project (id),
    number BIGINT NOT NULL,
    revision_id BIGINT NOT NULL REFERENCES revision (id) ON DELETE CASCADE,
    PRIMARY KEY (project_id, number, revision_id)
);
CREATE INDEX touched_revision ON touched (revision_id);
-- The commit of mainline up to which candidates were told what moved.
ALTER TABLE project ADD COLUMN followed TEXT;

-- The starts of masters on this store, each with a word of its own, and the newest event before it: a history that went back,
-- because the store was restored from a backup, goes on under another word. `fences` is where the fencing numbers begin of
-- builds that are asked for from then on: build numbers go back, too, and what a slave still holds must not be taken for
-- another build of the same number.
CREATE TABLE epoch (
    id {ID},
    word TEXT NOT NULL UNIQUE,
    after_event BIGINT NOT NULL,
    fences BIGINT NOT NULL
);
