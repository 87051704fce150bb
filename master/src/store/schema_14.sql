-- Who paused a project's queue, why and since when, as JSON; none while it is not paused, and where an earlier version paused it.
ALTER TABLE project ADD COLUMN pause TEXT;
-- The same of one place in the queue that is held.
ALTER TABLE queue_entry ADD COLUMN hold TEXT;
