-- Statements end with a semicolon and an empty line.

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
    set_back_at timestamptz,
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
    opened_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    task_id bigint,
    resolved_at timestamptz,
    resolved_by text
);

CREATE UNIQUE INDEX alert_open ON alert (cluster, namespace, kind, name, reason) WHERE resolved_at IS NULL;

CREATE INDEX alert_unresolved ON alert (id) WHERE resolved_at IS NULL;

CREATE INDEX alert_resolved ON alert (resolved_at) WHERE resolved_at IS NOT NULL;

CREATE INDEX alert_inactive ON alert (cluster, seen_at) WHERE resolved_at IS NULL;

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
