-- What an acceptance says must land before, or with, its branch.
CREATE TABLE need (
    entry_id BIGINT NOT NULL REFERENCES queue_entry (id),
    branch_id BIGINT NOT NULL REFERENCES branch (id),
    PRIMARY KEY (entry_id, branch_id)
);
