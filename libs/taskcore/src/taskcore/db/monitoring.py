"""What shows that something goes wrong slowly: tasks that do not move on, and what keeps PostgreSQL from cleaning up.

Cheap however much is stored: each reads an index, or PostgreSQL's own statistics.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Executable, Float, func, literal_column, select, text

from taskcore.db.models import Queue, Task
from taskcore.db.sql import const_text, status_in
from taskcore.domain.states import HELD, Status


@cache
def oldest_attempts() -> Executable:
    """(type, has_timeout, age_s): of the attempts that run, the longest of each type, with and without a timeout."""
    has_timeout = Task.timeout_s.is_not(None)
    age_s = _seconds(func.now() - func.min(Task.started_at))
    columns = Task.type, has_timeout.label("has_timeout")
    return select(*columns, age_s.label("age_s")).where(status_in(Task.status, HELD)).group_by(*columns)


@cache
def oldest_blocked() -> Executable:
    """How long the oldest blocked task has existed, in seconds. No row without one."""
    age_s = _seconds(func.now() - Task.created_at)
    return select(age_s).where(status_in(Task.status, {Status.BLOCKED})).order_by(Task.id).limit(literal_column("1"))


@cache
def paused_queues() -> Executable:
    """(name, paused_s): for how long each paused queue has been paused."""
    paused_s = _seconds(func.now() - Queue.paused_at)
    return select(Queue.name, paused_s.label("paused_s")).where(Queue.paused_at.is_not(None))


@cache
def oldest_snapshots() -> Executable:
    """(holder, seconds, transactions): how old the snapshots are that keep VACUUM from removing dead rows.

    Of each kind of holder the oldest: `session`, `prepared` transaction, or replication `slot`, which has no seconds.
    The start of other roles' transactions is visible only with `pg_read_all_stats`; `seconds` is null without it.
    """
    return text("""
        SELECT 'session' AS holder, extract(epoch FROM max(now() - xact_start))::float AS seconds,
            max(age(backend_xmin)) AS transactions
        FROM pg_stat_activity
        WHERE pid <> pg_backend_pid() AND backend_xmin IS NOT NULL AND backend_type IS DISTINCT FROM 'autovacuum worker'
            AND (datname = current_database() OR backend_type = 'walsender')
        UNION ALL
        SELECT 'prepared', extract(epoch FROM max(now() - prepared))::float, max(age(transaction))
        FROM pg_prepared_xacts WHERE database = current_database()
        UNION ALL
        SELECT 'slot', NULL, max(greatest(age(xmin), age(catalog_xmin))) FROM pg_replication_slots
    """)


@cache
def table_rows() -> Executable:
    """(name, live, dead): PostgreSQL's estimate of the rows of the tables that change most."""
    return text("""
        SELECT relname AS name, n_live_tup AS live, n_dead_tup AS dead FROM pg_stat_user_tables
        WHERE schemaname = current_schema() AND relname IN ('outbox', 'task', 'task_attempt', 'task_history')
    """)


def _seconds(interval: ColumnElement[Any]) -> ColumnElement[float]:
    return func.date_part(const_text("epoch"), interval, type_=Float)
