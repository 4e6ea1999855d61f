"""Measuring with one source: what it is asked for, what of its answer is fit to be stored, and storing that.

Samples and cursor are one transaction, so that two runs at once, or one after the other, store everything once.
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

MAX_WINDOWS = 200
MAX_SAMPLES = 10_000

#: Metric, labels, bucket and value, as they are stored.
SampleRow = tuple[str, dict[str, str], datetime, float]


@dataclass(frozen=True, slots=True)
class CollectionRun:
    """One run of the collector: at what time (the database's), up to when history is settled, how long a bucket is."""

    task: TaskContext
    engine: Engine
    at: datetime
    settled_until: datetime
    bucket_width: timedelta


def measure(source: MetricSource, run: CollectionRun) -> int:
    """Ask `source` for what is to be measured now, and store it. Answers how many samples are new."""
    with _connected(run, "AUTOCOMMIT") as connection:
        connection.execute(
            analytics.upsert_metrics(), {"rows": analytics.metric_rows(source.name, list(source.describe()))}
        )
    return _count_windows(source, run) if source.is_windowed else _look(source, run)


def _look(source: MetricSource, now: CollectionRun) -> int:
    """How things stand, once a bucket. What is asked may take its time, so no transaction waits for it."""
    bucket = bucket_start(now.at, now.bucket_width)
    with _connected(now, "AUTOCOMMIT") as connection:
        (last,) = connection.execute(analytics.read_cursor(), {"of": source.name}).scalars().all() or (None,)
        if last is not None and last >= bucket:
            return 0
        window = Window(bucket, now.at)
        rows = _checked(
            source, source.collect(MetricContext(now.task, connection, bucket, window, last is None)), bucket
        )
    with _connected(now, "READ COMMITTED") as connection:
        until, _ = _held(connection, source.name, bucket - now.bucket_width)
        return _stored(connection, source.name, rows, bucket) if until < bucket else 0


def _count_windows(source: MetricSource, now: CollectionRun) -> int:
    """What happened, window by window, from where it was left: at first in the last bucket that is complete."""
    upto = bucket_start(now.settled_until, now.bucket_width)
    stored = 0
    for _ in range(MAX_WINDOWS):
        now.task.check()
        with _connected(now, "READ COMMITTED") as connection:
            until, is_first = _held(connection, source.name, upto - now.bucket_width)
            window = next_window(until, upto, now.bucket_width)
            if window is None:
                break
            ctx = MetricContext(now.task, connection, window.start, window, is_first)
            rows = _checked(source, source.collect(ctx), window.start)
            stored += _stored(connection, source.name, rows, window.end)
    return stored


@contextmanager
def _connected(now: CollectionRun, isolation: IsolationLevel) -> Iterator[Connection]:
    """Taskcore's own database, in a transaction; an interrupt cancels what it does."""
    with now.engine.connect().execution_options(isolation_level=isolation) as connection, connection.begin():
        driver: Any = connection.connection.driver_connection
        with now.task.on_interrupt(lambda: driver.cancel_safe(timeout=CANCEL_TIMEOUT_S)):
            yield connection


def _held(connection: Connection, source: str, since: datetime) -> tuple[datetime, bool]:
    """The cursor, locked, and whether it is new: then it stands at `since`."""
    is_new = bool(connection.execute(analytics.create_cursor(), {"of": source, "since": since}).all())
    until: datetime = connection.execute(analytics.lock_cursor(), {"of": source}).scalar_one()
    return until, is_new


def _stored(connection: Connection, source: str, rows: list[SampleRow], upto: datetime) -> int:
    stored = 0
    if rows:
        given = {"rows": analytics.sample_rows(rows)}
        connection.execute(analytics.add_series(), given)
        stored = len(connection.execute(analytics.add_samples(), given).all())
    connection.execute(analytics.advance_cursor(), {"of": source, "upto": upto})
    return stored


def _checked(source: MetricSource, samples: Iterable[Sample], bucket: datetime) -> list[SampleRow]:
    """Raises `ValueError` where something cannot be stored: nothing of it is, then."""
    known = {metric.name for metric in source.describe()}
    rows: dict[Any, SampleRow] = {}
    for sample in samples:
        row = _row(sample, known, bucket)
        key = (row[0], frozenset(row[1].items()), row[2])
        if key in rows:
            raise ValueError(f"{sample.metric} has two values for the labels {row[1]}")
        if len(rows) == MAX_SAMPLES:
            raise ValueError(f"more than {MAX_SAMPLES} samples")
        rows[key] = row
    return list(rows.values())


def _row(sample: Sample, known: set[str], bucket: datetime) -> SampleRow:
    if sample.metric not in known:
        raise ValueError(f"{sample.metric} is not among the metrics that it describes")
    value = float(sample.value)
    if not math.isfinite(value):
        raise ValueError(f"{sample.metric} is {value}, which is no number")
    labels = {str(name): str(label) for name, label in sample.labels.items()}
    if any("\0" in text for pair in labels.items() for text in pair):
        raise ValueError(f"{sample.metric} has a label with a NUL character")
    return sample.metric, labels, sample.bucket or bucket, value
