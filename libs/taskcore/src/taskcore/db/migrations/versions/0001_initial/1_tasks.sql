-- Statements end with a semicolon and an empty line.

CREATE TABLE task (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    type text NOT NULL,
    queue text NOT NULL,
    parameters jsonb NOT NULL,
    description text,
    priority smallint NOT NULL,
    labels jsonb NOT NULL DEFAULT '{}',
    run_at timestamptz,
    max_attempts smallint NOT NULL,
    idempotency_key text,
    fingerprint text,
    request_id text,
    trace_context text,
    timeout_s double precision,
    delete_after_s double precision,
    created_at timestamptz NOT NULL DEFAULT now(),
    status text NOT NULL,
    attempt integer NOT NULL DEFAULT 0,
    failures smallint NOT NULL DEFAULT 0,
    crashes smallint NOT NULL DEFAULT 0,
    worker_losses smallint NOT NULL DEFAULT 0,
    isolated boolean NOT NULL DEFAULT false,
    pause_requested boolean NOT NULL DEFAULT false,
    pause_reason text,
    paused_by text,
    lease_token uuid,
    worker_id bigint,
    executor integer,
    result jsonb,
    error text,
    reason text,
    started_at timestamptz,
    finished_at timestamptz,
    delete_at timestamptz,
    progress jsonb,
    checkpoint jsonb,
    dependents_state text,
    CONSTRAINT task_status_check CHECK (status IN (
        'blocked', 'scheduled', 'queued', 'running', 'retrying', 'paused', 'cancelling',
        'succeeded', 'failed', 'cancelled'
    )),
    CONSTRAINT task_dependents_state_check CHECK (dependents_state IN ('pending', 'resolved', 'reblock'))
);

CREATE INDEX task_idle ON task (status, id)
    WHERE status IN ('blocked', 'scheduled', 'queued', 'retrying', 'paused');

CREATE INDEX task_held ON task (worker_id, id) WHERE status IN ('running', 'cancelling');

CREATE INDEX task_unsuccessful ON task (status, id) WHERE status IN ('failed', 'cancelled');

CREATE INDEX task_dependents_pending ON task (id)
    WHERE dependents_state = 'reblock'
        OR dependents_state = 'pending' AND status IN ('succeeded', 'failed', 'cancelled');

CREATE INDEX task_delete_at ON task (delete_at) WHERE delete_at IS NOT NULL;

CREATE INDEX task_by_type ON task (type, id);

CREATE INDEX task_traced ON task (id) WHERE trace_context IS NOT NULL;

CREATE INDEX task_labels ON task USING gin (labels) WHERE labels <> '{}';

CREATE UNIQUE INDEX task_idempotency_key ON task (idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE task_history (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_id bigint NOT NULL,
    attempt integer NOT NULL,
    from_status text,
    to_status text,
    actor text NOT NULL,
    details jsonb,
    at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX task_history_task_id ON task_history (task_id);

CREATE TABLE task_attempt (
    task_id bigint,
    attempt integer,
    worker_id bigint,
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    outcome text NOT NULL,
    error text,
    trace_id text,
    span_id text,
    PRIMARY KEY (task_id, attempt)
);

CREATE TABLE task_dependency (
    task_id bigint,
    depends_on bigint,
    PRIMARY KEY (task_id, depends_on)
);

CREATE INDEX task_dependency_of ON task_dependency (depends_on, task_id);

CREATE TABLE task_log (
    task_id bigint,
    attempt integer,
    line integer,
    at timestamptz NOT NULL,
    level text NOT NULL,
    message text NOT NULL,
    fields jsonb,
    PRIMARY KEY (task_id, attempt, line)
);

-- A transaction that writes history holds this lock, shared, from before its first id until it commits. Readers of the
-- history look at the lock's holders: see taskcore.db.tasks.history_feed.
CREATE FUNCTION lock_history_shared() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1951622763, 0);
    RETURN NULL;
END
$$;

CREATE TRIGGER task_history_lock BEFORE INSERT ON task_history
    FOR EACH STATEMENT EXECUTE FUNCTION lock_history_shared();
