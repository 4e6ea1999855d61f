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

CREATE TABLE outbox (
    task_id bigint PRIMARY KEY,
    queue text NOT NULL,
    priority smallint NOT NULL,
    is_due boolean NOT NULL,
    available_at timestamptz NOT NULL,
    dispatched_at timestamptz,
    redeliveries smallint NOT NULL DEFAULT 0
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX outbox_undispatched ON outbox (queue, priority DESC, task_id) WHERE is_due AND dispatched_at IS NULL;

CREATE INDEX outbox_dispatched ON outbox (queue, dispatched_at) WHERE dispatched_at IS NOT NULL;

CREATE INDEX outbox_delayed ON outbox (available_at) WHERE NOT is_due;

CREATE TABLE task_type (
    name text PRIMARY KEY,
    description text NOT NULL,
    queue text NOT NULL,
    schema jsonb NOT NULL,
    max_attempts smallint NOT NULL,
    retry jsonb NOT NULL,
    timeout_s double precision,
    isolation text NOT NULL DEFAULT 'thread',
    can_cancel boolean NOT NULL DEFAULT true,
    can_pause boolean NOT NULL DEFAULT false,
    seen_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE worker (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    host text NOT NULL,
    pid integer NOT NULL,
    slots integer NOT NULL,
    queues text[] NOT NULL,
    types text[] NOT NULL,
    lease_s double precision NOT NULL,
    lock_id integer,
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now()
);

CREATE SEQUENCE worker_lock_id AS integer CYCLE;

CREATE TABLE queue (
    name text PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    paused_at timestamptz,
    pause_reason text,
    paused_by text
);

CREATE INDEX queue_paused ON queue (name) WHERE paused_at IS NOT NULL;

CREATE TABLE setting (
    name text PRIMARY KEY,
    value jsonb NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE schedule (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    description text,
    cron text,
    every_s double precision,
    anchor_at timestamptz NOT NULL,
    timezone text NOT NULL,
    jitter_s double precision NOT NULL,
    overlap text NOT NULL,
    catch_up text NOT NULL,
    catch_up_limit integer NOT NULL,
    run_at_start boolean NOT NULL,
    task jsonb NOT NULL,
    managed_by text,
    next_at timestamptz,
    last_at timestamptz,
    missed bigint NOT NULL DEFAULT 0,
    paused_at timestamptz,
    pause_reason text,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT schedule_times_check CHECK ((cron IS NULL) <> (every_s IS NULL)),
    CONSTRAINT schedule_overlap_check CHECK (overlap IN ('skip', 'queue', 'allow')),
    CONSTRAINT schedule_catch_up_check CHECK (catch_up IN ('none', 'last', 'all'))
);

CREATE INDEX schedule_due ON schedule (next_at) WHERE paused_at IS NULL AND next_at IS NOT NULL;

CREATE TABLE schedule_fire (
    schedule_id bigint REFERENCES schedule ON DELETE CASCADE,
    due_at timestamptz,
    task_id bigint,
    waits boolean NOT NULL DEFAULT false,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (schedule_id, due_at)
);

CREATE INDEX schedule_fire_task ON schedule_fire (schedule_id, due_at) WHERE task_id IS NOT NULL;

CREATE INDEX schedule_fire_waiting ON schedule_fire (schedule_id, due_at) WHERE waits;

CREATE TABLE analytics_metric (
    name text PRIMARY KEY,
    description text NOT NULL,
    unit text NOT NULL,
    kind text NOT NULL CONSTRAINT analytics_metric_kind_check CHECK (kind IN ('gauge', 'count')),
    source text NOT NULL
);

CREATE TABLE analytics_series (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    metric text NOT NULL,
    labels jsonb NOT NULL,
    CONSTRAINT analytics_series_key UNIQUE (metric, labels)
);

CREATE TABLE analytics_sample (
    series_id bigint REFERENCES analytics_series ON DELETE CASCADE,
    bucket timestamptz,
    value double precision NOT NULL,
    PRIMARY KEY (series_id, bucket)
);

CREATE INDEX analytics_sample_bucket ON analytics_sample (bucket);

CREATE TABLE analytics_cursor (
    source text PRIMARY KEY,
    until timestamptz NOT NULL
);

CREATE TABLE submitter_day (
    day date,
    submitter text,
    PRIMARY KEY (day, submitter)
);

CREATE INDEX submitter_day_first ON submitter_day (submitter, day);

CREATE TABLE collector_lease (
    name text PRIMARY KEY,
    holder text NOT NULL,
    epoch bigint NOT NULL,
    expires_at timestamptz NOT NULL
);

CREATE TABLE k8s_cursor (
    cluster text,
    scope text,
    resource_version text NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (cluster, scope)
);

CREATE TABLE k8s_event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cluster text NOT NULL,
    uid text NOT NULL,
    resource_version text NOT NULL,
    is_current boolean NOT NULL,
    namespace text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    reason text NOT NULL,
    type text NOT NULL,
    message text NOT NULL,
    component text NOT NULL,
    count bigint NOT NULL,
    first_at timestamptz NOT NULL,
    at timestamptz NOT NULL,
    task_id bigint,
    collected_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT k8s_event_version_key UNIQUE (cluster, uid, resource_version)
);

CREATE UNIQUE INDEX k8s_event_current ON k8s_event (cluster, uid) WHERE is_current;

CREATE INDEX k8s_event_newest ON k8s_event (at, id) WHERE is_current;

CREATE INDEX k8s_event_namespace ON k8s_event (namespace, at, id) WHERE is_current;

CREATE INDEX k8s_event_name ON k8s_event (name, at, id) WHERE is_current;

CREATE INDEX k8s_event_reason ON k8s_event (reason, at, id) WHERE is_current;

CREATE INDEX k8s_event_of_task ON k8s_event (task_id, id) WHERE task_id IS NOT NULL AND is_current;

CREATE TABLE k8s_gap (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cluster text NOT NULL,
    namespace text NOT NULL,
    kind text NOT NULL CONSTRAINT k8s_gap_kind_check CHECK (kind IN ('lost', 'rate_limited')),
    reason text,
    count bigint,
    from_at timestamptz NOT NULL,
    until_at timestamptz NOT NULL
);

CREATE INDEX k8s_gap_newest ON k8s_gap (until_at, id);

CREATE TABLE alert (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule text NOT NULL,
    cluster text NOT NULL,
    namespace text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    reason text NOT NULL,
    type text NOT NULL,
    message text NOT NULL,
    count bigint NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    task_id bigint,
    resolved_at timestamptz,
    resolved_by text
);

CREATE UNIQUE INDEX alert_open ON alert (cluster, namespace, kind, name, reason) WHERE resolved_at IS NULL;

CREATE INDEX alert_unresolved ON alert (id) WHERE resolved_at IS NULL;

CREATE INDEX alert_resolved ON alert (resolved_at) WHERE resolved_at IS NOT NULL;

CREATE INDEX alert_inactive ON alert (cluster, seen_at) WHERE resolved_at IS NULL;

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

-- One transaction at a time inserts into these tables, so that their ids become visible in order: a reader that
-- continues after the last id it has seen misses nothing. One process writes per cluster, so clusters take turns.
CREATE FUNCTION serialize_inserts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1951622763, 1);
    RETURN NULL;
END
$$;

CREATE TRIGGER k8s_event_lock BEFORE INSERT ON k8s_event FOR EACH STATEMENT EXECUTE FUNCTION serialize_inserts();

CREATE TRIGGER k8s_gap_lock BEFORE INSERT ON k8s_gap FOR EACH STATEMENT EXECUTE FUNCTION serialize_inserts();

CREATE TRIGGER alert_lock BEFORE INSERT ON alert FOR EACH STATEMENT EXECUTE FUNCTION serialize_inserts();
