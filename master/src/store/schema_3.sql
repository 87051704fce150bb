-- A waiting build that was cancelled has ended; one that its slave never began could come back so.
UPDATE build SET state = 'finished', result = 'cancelled', says = cancel, finished_ms = requested_ms
WHERE state = 'waiting' AND cancel IS NOT NULL;
-- One open build of a candidate by a builder: the older one stays. One that is to be cancelled counts no more.
UPDATE build SET state = 'finished', result = 'cancelled', says = 'an older build does the same', finished_ms = requested_ms
WHERE state = 'waiting' AND EXISTS (
    SELECT 1 FROM build older WHERE older.candidate_id = build.candidate_id AND older.builder = build.builder
    AND older.id < build.id AND older.state <> 'finished' AND older.cancel IS NULL);
UPDATE build SET cancel = 'an older build does the same'
WHERE state = 'running' AND cancel IS NULL AND EXISTS (
    SELECT 1 FROM build older WHERE older.candidate_id = build.candidate_id AND older.builder = build.builder
    AND older.id < build.id AND older.state <> 'finished' AND older.cancel IS NULL);
CREATE UNIQUE INDEX build_one_open ON build (candidate_id, builder) WHERE state <> 'finished' AND cancel IS NULL;

-- The number of a slave's newest connection: what an older one still says of itself counts no more.
ALTER TABLE slave ADD COLUMN connection BIGINT NOT NULL DEFAULT 0;
-- The program that the slave lacks, if the step failed for that.
ALTER TABLE step ADD COLUMN lacks TEXT;
-- What is wrong with a revision that was admitted and whose commit is not in the mirror any more.
ALTER TABLE revision ADD COLUMN lost_code TEXT;
ALTER TABLE revision ADD COLUMN lost_text TEXT;
ALTER TABLE revision ADD COLUMN lost_hint TEXT;

-- Branches that ended are listed by pages, last changed first.
CREATE INDEX branch_ended ON branch (project_id, changed_ms, id) WHERE state <> 'live';

-- The master that works on this store: one row. Who is named here, when it last said that it is alive, and of which file.
CREATE TABLE master (
    owner TEXT NOT NULL,
    place TEXT NOT NULL,
    says TEXT NOT NULL,
    beat BIGINT NOT NULL,
    until_ms BIGINT NOT NULL
);
INSERT INTO master (owner, place, says, beat, until_ms) VALUES ('', '', '', 0, 0);

-- What an acceptance binds beside its commit (the day, the message and the style, as JSON, and their hash; empty until it is
-- known for those of before), and the token that it was made with: whether that may still accept is asked again.
ALTER TABLE queue_entry ADD COLUMN token_id BIGINT REFERENCES token (id);
ALTER TABLE queue_entry ADD COLUMN terms TEXT NOT NULL DEFAULT '';
ALTER TABLE queue_entry ADD COLUMN terms_hash TEXT NOT NULL DEFAULT '';
UPDATE queue_entry SET token_id = (SELECT MAX(token.id) FROM token WHERE token.name = queue_entry.accepted_by
    AND token.kind = 'maintainer' AND token.revoked_ms IS NULL) WHERE state = 'queued';
-- A candidate is one for its revision, its mainline and the terms that it was made by; of those of before the day is left.
ALTER TABLE candidate RENAME COLUMN day TO terms_hash;
-- A landing's state: intent, landed, failed; refused by the official repository; or mischecked, by bb's own check.
CREATE INDEX landing_entry ON landing (entry_id);
-- Who may stand behind a branch, for limits: the host and port of its source, and the address that it was published from by
-- one who showed no token.
ALTER TABLE branch ADD COLUMN host TEXT NOT NULL DEFAULT '';
ALTER TABLE branch ADD COLUMN address TEXT NOT NULL DEFAULT '';
-- Whether somebody asked for a look.
ALTER TABLE branch ADD COLUMN look_asked BIGINT NOT NULL DEFAULT 0;
-- The number of the revision that its head is at, and until when its moves count.
ALTER TABLE branch ADD COLUMN head BIGINT;
ALTER TABLE branch ADD COLUMN moves_until_ms BIGINT NOT NULL DEFAULT 0;
UPDATE branch SET head = (SELECT MAX(number) FROM revision WHERE branch_id = branch.id);
-- Registrations of the last hour, also of branches that came back.
CREATE TABLE registration (
    id {ID},
    at_ms BIGINT NOT NULL,
    token_id BIGINT,
    address TEXT NOT NULL,
    host TEXT NOT NULL
);
CREATE INDEX registration_at ON registration (at_ms);

-- The stable word of what is wrong with mainline.
ALTER TABLE project ADD COLUMN trouble_code TEXT NOT NULL DEFAULT '';
-- When a rewrite of mainline took out what had landed; where a landed branch's source is since, if mainline has not that.
ALTER TABLE queue_entry ADD COLUMN taken_out_ms BIGINT;
ALTER TABLE branch ADD COLUMN newer_head TEXT NOT NULL DEFAULT '';
