-- Statements end with a semicolon and an empty line.

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
