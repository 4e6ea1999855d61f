"""Measuring with one source: calling it, checking its samples, and storing them.

Samples and cursor are stored in one transaction, so runs that overlap or repeat store every sample once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.engine.interfaces import IsolationLevel

from taskcore.db.analytics import samples as analytics
from taskcore.domain.metrics import Window, bucket_start, next_window
from taskcore.metrics import MetricContext, MetricSource, Sample
from taskcore.plugins import TaskContext
from taskcore.plugins.databases import CANCEL_TIMEOUT_S

#: For a run. A source that hangs must not stop all collection for good.
TIMEOUT = timedelta(hours=1)
#: Per source and run. The next run continues.
MAX_WINDOWS = 200
#: Per source and window or bucket.
MAX_SAMPLES = 10_000

#: Metric, labels, bucket and value.
SampleRow = tuple[str, dict[str, str], datetime, float]


@dataclass(frozen=True, slots=True)
class CollectionRun:
    """One run of the collector, at the database's time `at`.

    The history of tasks is complete up to `settled_until`: no open transaction can add to it before that.
    """

    task: TaskContext
    engine: Engine
    at: datetime
    settled_until: datetime
    bucket_width: timedelta


def measure(source: MetricSource, run: CollectionRun) -> int:
    """Collect what is due from `source` and store it. Return the number of new samples."""
    with _transaction(run, "AUTOCOMMIT") as connection:
        rows = analytics.metric_rows(source.name, list(source.describe()))
        connection.execute(analytics.upsert_metrics(), {"rows": rows})
    return _collect_windows(source, run) if source.is_windowed else _collect_bucket(source, run)


def _collect_bucket(source: MetricSource, run: CollectionRun) -> int:
    """Collect gauges, once per bucket. The source may be slow, so no transaction is open while it works."""
    bucket = bucket_start(run.at, run.bucket_width)
    with _transaction(run, "AUTOCOMMIT") as connection:
        (last,) = connection.execute(analytics.read_cursor(), {"of": source.name}).scalars().all() or (None,)
        if last is not None and last >= bucket:
            return 0
        ctx = MetricContext(run.task, connection, bucket, Window(bucket, run.at), is_first=last is None)
        rows = _validated(source, source.collect(ctx), bucket)
    with _transaction(run, "READ COMMITTED") as connection:
        until, _ = _lock_cursor(connection, source.name, bucket - run.bucket_width)
        return _store(connection, source.name, rows, bucket) if until < bucket else 0


def _collect_windows(source: MetricSource, run: CollectionRun) -> int:
    """Collect window by window from the cursor. A new source starts with the last complete bucket."""
    end = bucket_start(run.settled_until, run.bucket_width)
    stored = 0
    for _ in range(MAX_WINDOWS):
        run.task.check()
        with _transaction(run, "READ COMMITTED") as connection:
            until, is_first = _lock_cursor(connection, source.name, end - run.bucket_width)
            window = next_window(until, end, run.bucket_width)
            if window is None:
                break
            connection.execute(analytics.allow_idle(), {"limit_ms": str(TIMEOUT // timedelta(milliseconds=1))})
            ctx = MetricContext(run.task, connection, window.start, window, is_first)
            rows = _validated(source, source.collect(ctx), window.start)
            stored += _store(connection, source.name, rows, window.end)
    return stored


@contextmanager
def _transaction(run: CollectionRun, isolation: IsolationLevel) -> Iterator[Connection]:
    """Open a transaction in Taskcore's database. An interrupt of the task cancels the running statement."""
    with run.engine.connect().execution_options(isolation_level=isolation) as connection, connection.begin():
        driver: Any = connection.connection.driver_connection
        with run.task.on_interrupt(lambda: driver.cancel_safe(timeout=CANCEL_TIMEOUT_S)):
            yield connection


def _lock_cursor(connection: Connection, source: str, start: datetime) -> tuple[datetime, bool]:
    """Lock the source's cursor, creating it at `start`. Return its time, and whether it is new."""
    is_new = bool(connection.execute(analytics.create_cursor(), {"of": source, "since": start}).all())
    until: datetime = connection.execute(analytics.lock_cursor(), {"of": source}).scalar_one()
    return until, is_new


def _store(connection: Connection, source: str, rows: list[SampleRow], until: datetime) -> int:
    stored = 0
    if rows:
        parameters = {"rows": analytics.sample_rows(rows)}
        connection.execute(analytics.add_series(), parameters)
        stored = len(connection.execute(analytics.add_samples(), parameters).all())
    connection.execute(analytics.advance_cursor(), {"of": source, "upto": until})
    return stored


def _validated(source: MetricSource, samples: Iterable[Sample], bucket: datetime) -> list[SampleRow]:
    """Return the rows to store. Raises `ValueError` when a sample is invalid, so that none is stored."""
    metrics = {metric.name for metric in source.describe()}
    rows: dict[Any, SampleRow] = {}
    for sample in samples:
        row = _row(sample, metrics, bucket)
        key = (row[0], frozenset(row[1].items()), row[2])
        if key in rows:
            raise ValueError(f"{sample.metric} has two values for the labels {row[1]}")
        if len(rows) == MAX_SAMPLES:
            raise ValueError(f"more than {MAX_SAMPLES} samples")
        rows[key] = row
    return list(rows.values())


def _row(sample: Sample, metrics: set[str], bucket: datetime) -> SampleRow:
    if sample.metric not in metrics:
        raise ValueError(f"{sample.metric} is not among the metrics that the source describes")
    value = float(sample.value)
    if not math.isfinite(value):
        raise ValueError(f"{sample.metric} is {value}, which is not a finite number")
    labels = {str(name): str(label) for name, label in sample.labels.items()}
    if any("\0" in text for pair in labels.items() for text in pair):
        raise ValueError(f"{sample.metric} has a label with a NUL character")
    return sample.metric, labels, sample.bucket or bucket, value
