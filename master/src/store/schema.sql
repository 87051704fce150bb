-- One text for SQLite and PostgreSQL. {ID} stands for the type of a number that the database gives out. Flags are BIGINT
-- 0 or 1, times BIGINT milliseconds since 1970 UTC, lists and structures TEXT holding JSON.

CREATE TABLE project (
    id {ID},
    name TEXT NOT NULL UNIQUE,
    url TEXT NOT NULL,
    mainline TEXT NOT NULL,
    tip TEXT,
    tip_seen_ms BIGINT,
    trouble TEXT,
    recipe_from TEXT NOT NULL DEFAULT '',
    paused BIGINT NOT NULL DEFAULT 0,
    made_ms BIGINT NOT NULL,
    -- The claim: which master looks after the project, until when, and the fencing number of that claim.
    owner TEXT,
    owned_until_ms BIGINT NOT NULL DEFAULT 0,
    fence BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE token (
    id {ID},
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    trusted BIGINT NOT NULL,
    made_ms BIGINT NOT NULL,
    used_ms BIGINT,
    revoked_ms BIGINT
);

CREATE TABLE session (
    hash TEXT PRIMARY KEY,
    token_id BIGINT NOT NULL REFERENCES token (id),
    made_ms BIGINT NOT NULL,
    used_ms BIGINT NOT NULL
);

CREATE TABLE branch (
    id {ID},
    project_id BIGINT NOT NULL REFERENCES project (id),
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    source_ref TEXT NOT NULL,
    title TEXT NOT NULL,
    bugs TEXT NOT NULL,
    publisher TEXT NOT NULL,
    token_id BIGINT REFERENCES token (id),
    trusted BIGINT NOT NULL,
    state TEXT NOT NULL,
    state_text TEXT NOT NULL DEFAULT '',
    looked_ms BIGINT,
    next_look_ms BIGINT NOT NULL,
    look_failures BIGINT NOT NULL DEFAULT 0,
    trouble_code TEXT,
    trouble_text TEXT,
    trouble_hint TEXT,
    published_ms BIGINT NOT NULL,
    changed_ms BIGINT NOT NULL,
    UNIQUE (project_id, name)
);
CREATE UNIQUE INDEX branch_source ON branch (project_id, url, source_ref) WHERE state = 'live';
CREATE INDEX branch_look ON branch (next_look_ms) WHERE state = 'live';

CREATE TABLE revision (
    id {ID},
    branch_id BIGINT NOT NULL REFERENCES branch (id),
    number BIGINT NOT NULL,
    commit_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    author TEXT NOT NULL,
    commits BIGINT NOT NULL,
    refusal_code TEXT,
    refusal_text TEXT,
    refusal_hint TEXT,
    -- Whether builds were asked for because this revision is new.
    builds_asked BIGINT NOT NULL DEFAULT 0,
    seen_ms BIGINT NOT NULL,
    UNIQUE (branch_id, number)
);

CREATE TABLE candidate (
    id {ID},
    project_id BIGINT NOT NULL REFERENCES project (id),
    branch_id BIGINT NOT NULL REFERENCES branch (id),
    revision_id BIGINT NOT NULL REFERENCES revision (id),
    mainline TEXT NOT NULL,
    day TEXT NOT NULL,
    outcome TEXT NOT NULL,
    commit_id TEXT,
    tree_id TEXT,
    request TEXT NOT NULL,
    detail TEXT NOT NULL,
    changes_recipe BIGINT NOT NULL,
    recipe_trouble TEXT NOT NULL,
    made_ms BIGINT NOT NULL,
    UNIQUE (revision_id, mainline, day)
);
CREATE INDEX candidate_branch ON candidate (branch_id, id);

CREATE TABLE slave (
    id {ID},
    name TEXT NOT NULL UNIQUE,
    token_id BIGINT NOT NULL REFERENCES token (id),
    labels TEXT NOT NULL,
    slots BIGINT NOT NULL,
    isolation TEXT NOT NULL,
    isolation_notes TEXT NOT NULL,
    machine TEXT NOT NULL,
    bb TEXT NOT NULL,
    said TEXT NOT NULL,
    said_reason TEXT NOT NULL,
    admin TEXT NOT NULL,
    connected BIGINT NOT NULL,
    since_ms BIGINT NOT NULL,
    used_ms BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE build (
    id {ID},
    project_id BIGINT NOT NULL REFERENCES project (id),
    branch_id BIGINT NOT NULL REFERENCES branch (id),
    revision_id BIGINT NOT NULL REFERENCES revision (id),
    candidate_id BIGINT NOT NULL REFERENCES candidate (id),
    commit_id TEXT NOT NULL,
    tree_id TEXT NOT NULL,
    builder TEXT NOT NULL,
    position BIGINT NOT NULL,
    required BIGINT NOT NULL,
    spec TEXT NOT NULL,
    spec_hash TEXT NOT NULL,
    for_queue BIGINT NOT NULL,
    priority BIGINT NOT NULL,
    isolation TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    retried_as BIGINT,
    state TEXT NOT NULL,
    result TEXT,
    says TEXT NOT NULL DEFAULT '',
    cancel TEXT,
    slave_id BIGINT REFERENCES slave (id),
    -- Grows each time the build is given out: reports under an older number are refused.
    fence BIGINT NOT NULL DEFAULT 0,
    next_report BIGINT NOT NULL DEFAULT 0,
    requested_ms BIGINT NOT NULL,
    started_ms BIGINT,
    finished_ms BIGINT
);
CREATE INDEX build_open ON build (state) WHERE state <> 'finished';
CREATE INDEX build_revision ON build (revision_id, builder, id);
CREATE INDEX build_candidate ON build (candidate_id, builder, id);
CREATE INDEX build_tree ON build (tree_id, spec_hash);
CREATE INDEX build_builder ON build (project_id, builder, id);

CREATE TABLE step (
    build_id BIGINT NOT NULL REFERENCES build (id),
    number BIGINT NOT NULL,
    name TEXT NOT NULL,
    result TEXT,
    exit_code BIGINT,
    reason TEXT NOT NULL DEFAULT '',
    summary TEXT NOT NULL DEFAULT '',
    links TEXT NOT NULL DEFAULT '[]',
    log_len BIGINT,
    ran_ms BIGINT,
    started_ms BIGINT NOT NULL,
    PRIMARY KEY (build_id, number)
);

CREATE TABLE queue_entry (
    id {ID},
    project_id BIGINT NOT NULL REFERENCES project (id),
    branch_id BIGINT NOT NULL REFERENCES branch (id),
    revision_id BIGINT NOT NULL REFERENCES revision (id),
    commit_id TEXT NOT NULL,
    accepted_by TEXT NOT NULL,
    accepted_ms BIGINT NOT NULL,
    priority BIGINT NOT NULL DEFAULT 0,
    state TEXT NOT NULL,
    code TEXT NOT NULL,
    says TEXT NOT NULL,
    next_who TEXT NOT NULL,
    next_what TEXT NOT NULL,
    candidate_id BIGINT REFERENCES candidate (id),
    landed TEXT,
    left_ms BIGINT
);
CREATE UNIQUE INDEX queue_entry_branch ON queue_entry (branch_id) WHERE state = 'queued';
CREATE INDEX queue_entry_project ON queue_entry (project_id, state);

CREATE TABLE landing (
    id {ID},
    project_id BIGINT NOT NULL REFERENCES project (id),
    entry_id BIGINT NOT NULL REFERENCES queue_entry (id),
    from_commit TEXT NOT NULL,
    to_commit TEXT NOT NULL,
    state TEXT NOT NULL,
    says TEXT NOT NULL DEFAULT '',
    begun_ms BIGINT NOT NULL,
    ended_ms BIGINT
);
CREATE UNIQUE INDEX landing_open ON landing (project_id) WHERE state = 'intent';

CREATE TABLE event (
    id {ID},
    at_ms BIGINT NOT NULL,
    project_id BIGINT,
    branch_id BIGINT,
    build_id BIGINT,
    kind TEXT NOT NULL,
    look TEXT NOT NULL,
    text TEXT NOT NULL,
    actor TEXT NOT NULL
);
CREATE INDEX event_branch ON event (branch_id, id);
