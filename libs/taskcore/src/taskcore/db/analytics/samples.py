"""Analytics: what the collector stores, and how far each source has been sampled.

A source's samples and its cursor are written in one transaction (READ COMMITTED) that first locks the cursor: a second
collector then finds it moved. The first sample of a series in a bucket is the one that counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache

import msgspec
from sqlalchemy import (
    Boolean,
    DateTime,
    Executable,
    Float,
    Text,
    and_,
    bindparam,
    column,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy import table as table_of
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert

from taskcore.db.models import AnalyticsCursor, AnalyticsMetric, AnalyticsSample, AnalyticsSeries
from taskcore.db.sql import const_bool, const_text, interval, recordset, timestamp_param
from taskcore.domain.metrics import Metric

#: How long a change may take from its `now()` to its commit while its transaction is not seen to be running,
COMMIT_SLACK_S = 5.0
#: and how long a running transaction is waited for.
MAX_TRANSACTION_S = 60.0


@cache
def read_clock() -> Executable:
    """One row: `at`, the database's time, and `settled`, the time before which all history is committed.

    A transaction that has been writing for longer than a minute is not waited for. A transaction that waits for a lock
    may be about to write. `pg_locks` shows both kinds to everybody: who writes holds the lock on its own id. When other
    roles' transactions began is hidden without `pg_read_all_stats`: each of those is waited for, up to that minute.
    """
    activity = table_of("pg_stat_activity", *(column(name) for name in ("datname", "pid", "xact_start")))
    locks = table_of("pg_locks", column("pid"), column("locktype"), column("granted", Boolean))
    writing_or_waiting = select(locks.c.pid).where(
        or_(locks.c.locktype == const_text("transactionid"), ~locks.c.granted)
    )
    begun_at = func.coalesce(activity.c.xact_start, literal_column("'-infinity'::timestamptz"))
    oldest = (
        select(func.min(begun_at))
        .where(activity.c.datname == func.current_database())
        .where(activity.c.pid.in_(writing_or_waiting))
        .where(activity.c.pid != func.pg_backend_pid())
        .scalar_subquery()
    )
    begun = func.greatest(
        func.coalesce(oldest, func.now()), func.now() - interval(literal_column(str(MAX_TRANSACTION_S)))
    )
    settled = func.least(begun, func.now() - interval(literal_column(str(COMMIT_SLACK_S))))
    return select(func.now().label("at"), settled.label("settled"))


@cache
def upsert_metrics() -> Executable:
    """Insert metrics, or update their descriptions. Parameter: rows, by `metric_rows`."""
    given = recordset("given", name=Text, description=Text, unit=Text, kind=Text, source=Text)
    names = ["name", "description", "unit", "kind", "source"]
    statement = upsert(AnalyticsMetric).from_select(names, select(given).order_by(given.c.name))
    new = statement.excluded
    known = AnalyticsMetric.__table__.c
    is_new = func.row(*(known[name] for name in names)).is_distinct_from(func.row(*(new[name] for name in names)))
    return statement.on_conflict_do_update(
        index_elements=[AnalyticsMetric.name], set_={name: new[name] for name in names[1:]}, where=is_new
    )


@cache
def create_cursor() -> Executable:
    """Start counting for the source `of` at `since`, unless it has started. Returns its name if it had not."""
    statement = upsert(AnalyticsCursor).values(source=bindparam("of", type_=Text), until=timestamp_param("since"))
    return statement.on_conflict_do_nothing().returning(AnalyticsCursor.source)


@cache
def lock_cursor() -> Executable:
    """Lock the cursor of the source `of`. Returns `until`."""
    return select(AnalyticsCursor.until).where(AnalyticsCursor.source == bindparam("of", type_=Text)).with_for_update()


@cache
def read_cursor() -> Executable:
    """As `lock_cursor`, without the lock. No row: the source has not started."""
    return select(AnalyticsCursor.until).where(AnalyticsCursor.source == bindparam("of", type_=Text))


@cache
def advance_cursor() -> Executable:
    """Record that the source `of` has been sampled up to `upto`."""
    return (
        update(AnalyticsCursor)
        .where(AnalyticsCursor.source == bindparam("of", type_=Text))
        .values(until=timestamp_param("upto"))
    )


@cache
def allow_idle() -> Executable:
    """Let this transaction stay open between two statements for `limit_ms`, as text: a source may work elsewhere."""
    name, is_local = const_text("idle_in_transaction_session_timeout"), const_bool(True)
    return select(func.set_config(name, bindparam("limit_ms", type_=Text), is_local))


@cache
def add_series() -> Executable:
    """Insert the series of samples that are new. Parameter: rows, by `sample_rows`."""
    given = recordset("given", metric=Text, labels=JSONB)
    wanted = select(given.c.metric, given.c.labels).distinct().order_by(given.c.metric, given.c.labels)
    return upsert(AnalyticsSeries).from_select(["metric", "labels"], wanted).on_conflict_do_nothing()


@cache
def add_samples() -> Executable:
    """Store samples of known series, unless the bucket has one already. Parameter: rows, by `sample_rows`.

    Returns the id of the series of each sample that was stored.
    """
    given = recordset("given", metric=Text, labels=JSONB, bucket=DateTime(timezone=True), value=Float)
    is_its = and_(AnalyticsSeries.metric == given.c.metric, AnalyticsSeries.labels == given.c.labels)
    found = select(AnalyticsSeries.id, given.c.bucket, given.c.value).join_from(given, AnalyticsSeries, is_its)
    return (
        upsert(AnalyticsSample)
        .from_select(["series_id", "bucket", "value"], found)
        .on_conflict_do_nothing()
        .returning(AnalyticsSample.series_id)
    )


def metric_rows(source: str, metrics: Sequence[Metric]) -> str:
    """Return the parameter `rows` of `upsert_metrics`."""
    rows = [
        {"name": one.name, "description": one.description, "unit": one.unit, "kind": one.kind, "source": source}
        for one in metrics
    ]
    return msgspec.json.encode(rows).decode()


def sample_rows(samples: Sequence[tuple[str, dict[str, str], datetime, float]]) -> str:
    """Return the parameter `rows` of `add_series` and `add_samples`, from (metric, labels, bucket, value)."""
    rows = [
        {"metric": metric, "labels": labels, "bucket": bucket, "value": value}
        for metric, labels, bucket, value in samples
    ]
    return msgspec.json.encode(rows).decode()
