-- Statements end with a semicolon and an empty line.

CREATE TABLE outbox (
    task_id bigint PRIMARY KEY,
    queue text NOT NULL,
    type text NOT NULL,
    priority smallint NOT NULL,
    is_due boolean NOT NULL,
    is_parked boolean NOT NULL DEFAULT false,
    available_at timestamptz NOT NULL,
    dispatched_at timestamptz,
    redeliveries smallint NOT NULL DEFAULT 0
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX outbox_undispatched ON outbox (queue, priority DESC, task_id)
    WHERE is_due AND dispatched_at IS NULL AND NOT is_parked;

CREATE INDEX outbox_parked ON outbox (queue, type, task_id) WHERE is_parked;

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
    used_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    paused_at timestamptz,
    pause_reason text,
    paused_by text,
    CONSTRAINT queue_name_check CHECK (
        name ~ '^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,254}$' AND name !~ '^(amq|worker)\.'
    )
);

CREATE INDEX queue_paused ON queue (name) WHERE paused_at IS NOT NULL;

CREATE TABLE setting (
    name text PRIMARY KEY,
    value jsonb NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);
