-- What lists must know of all branches at once: the shape of each, on which its verdict's code, state and turn depend as far as
-- that is its own; few are different. Its number is made of its text.
CREATE TABLE shape (
    id BIGINT PRIMARY KEY,
    facts TEXT NOT NULL
);
-- Written by the transaction that changes what it is made of; none until that of an earlier version is made.
ALTER TABLE branch ADD COLUMN shape BIGINT;
CREATE INDEX branch_shapeless ON branch (id) WHERE shape IS NULL;
-- All that a branch can be found by, in small letters, a line each; and who has to do with it, each with a line end around.
ALTER TABLE branch ADD COLUMN found_by TEXT NOT NULL DEFAULT '';
ALTER TABLE branch ADD COLUMN owners TEXT NOT NULL DEFAULT '';
-- Live branches in the order in which they are listed; how many have which shape.
CREATE INDEX branch_listed ON branch (project_id, changed_ms, id, shape) WHERE state = 'live';
CREATE INDEX branch_shape ON branch (project_id, shape) WHERE state = 'live';
CREATE INDEX branch_ended_shape ON branch (project_id, shape) WHERE state <> 'live';

-- What the first own commit says that is no merge, as the merge is called; not known of those of before.
ALTER TABLE revision ADD COLUMN title TEXT;

-- The queue in its order.
CREATE INDEX queue_entry_order ON queue_entry (project_id, priority DESC, accepted_ms, id) WHERE state = 'queued';
CREATE INDEX queue_entry_left ON queue_entry (project_id, left_ms, id) WHERE state <> 'queued';
