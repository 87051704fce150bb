-- A build that its slave handed back on purpose, which counts as no attempt.
ALTER TABLE build ADD COLUMN handed_back BIGINT NOT NULL DEFAULT 0;
-- What a step's JUnit files say, as JSON; empty where its recipe names none.
ALTER TABLE step ADD COLUMN tests TEXT NOT NULL DEFAULT '';
-- Logs are packed once their build ended: which of them still are to be. Small ones never are.
ALTER TABLE step ADD COLUMN packed BIGINT NOT NULL DEFAULT 0;
CREATE INDEX step_to_pack ON step (build_id, number) WHERE packed = 0 AND log_len >= 65536;
