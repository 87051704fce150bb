-- The files that a step keeps, as JSON: what they were is said also when they are deleted. Rows only of steps that keep some.
CREATE TABLE artifacts (
    build_id BIGINT NOT NULL REFERENCES build (id),
    number BIGINT NOT NULL,
    files TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    gone BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (build_id, number)
);
CREATE INDEX artifacts_kept ON artifacts (build_id, number) WHERE gone = 0;
