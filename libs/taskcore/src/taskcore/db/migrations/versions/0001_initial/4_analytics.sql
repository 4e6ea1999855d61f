-- Statements end with a semicolon and an empty line.

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
