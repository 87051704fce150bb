-- The number of a slave's newest connection: what an older one still says of itself counts no more.
ALTER TABLE slave ADD COLUMN connection BIGINT NOT NULL DEFAULT 0;
