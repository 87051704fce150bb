-- Whether a place of the queue goes before all others, tested alone, and who said so, why and since when, as JSON.
ALTER TABLE queue_entry ADD COLUMN expedited BIGINT NOT NULL DEFAULT 0;
ALTER TABLE queue_entry ADD COLUMN expedite TEXT;
DROP INDEX queue_entry_order;
CREATE INDEX queue_entry_order ON queue_entry (project_id, expedited DESC, priority DESC, accepted_ms, id)
    WHERE state = 'queued';
-- Whether a place of the queue waits until its commit passed alone: its acceptance was for when it is green.
ALTER TABLE queue_entry ADD COLUMN when_green BIGINT NOT NULL DEFAULT 0;
