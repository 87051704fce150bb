-- The number of a slave's newest connection: what an older one still says of itself counts no more.
ALTER TABLE slave ADD COLUMN connection BIGINT NOT NULL DEFAULT 0;
-- The program that the slave lacks, if the step failed for that.
ALTER TABLE step ADD COLUMN lacks TEXT;
