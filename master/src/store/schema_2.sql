-- One row, written by health checks: whether a write can be committed is known only by committing one.
CREATE TABLE health (
    proved_ms BIGINT NOT NULL
);
INSERT INTO health (proved_ms) VALUES (0);
