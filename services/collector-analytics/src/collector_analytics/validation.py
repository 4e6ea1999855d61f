"""What can be known of the operator's metrics before they are measured: it is refused at start, not each half hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any

import psycopg
import structlog
from psycopg.errors import LockNotAvailable, QueryCanceled

from collector_analytics.configured.queries import require_numeric_columns
from taskcore.db.deadlines import DeadlineConnection
from taskcore.errors import InvalidSettings, first_line
from taskcore.metrics import load_sources
from taskcore.plugins.databases import open_connection
from taskcore.settings import PREFIX, QueryMetric, Settings

#: For an answer about one query: who holds a lock on its table, or has paused a pooler, does not keep us from starting.
CHECK_TIMEOUT_S = 5.0

log = structlog.stdlib.get_logger(__name__)


def validate_configured_metrics(settings: Settings, timeout_s: float = CHECK_TIMEOUT_S) -> None:
    """Queries are described by their databases, not run. What has no answer in time is said, and left.

    Raises:
        InvalidSettings: with a line for each setting at fault.
    """
    faults = [*_taken_names(settings), *_bad_queries(settings, timeout_s)]
    if faults:
        raise InvalidSettings("\n".join(faults))


def _taken_names(settings: Settings) -> Iterator[str]:
    analytics = settings.analytics
    installed = (metric.name for source in load_sources() for metric in source.describe())
    taken = Counter([*installed, *analytics.queries, *analytics.counters])
    for section, names in (("QUERIES", analytics.queries), ("COUNTERS", analytics.counters)):
        for name in names:
            if taken[name] > 1:
                yield f"{_variable(section, name)}: there is another metric of this name"


def _bad_queries(settings: Settings, answer_s: float) -> Iterator[str]:
    away: set[str] = set()
    for name, query in settings.analytics.queries.items():
        if query.database not in settings.databases:
            known = ", ".join(sorted(settings.databases)) or "none"
            yield (
                f"{_variable('QUERIES', name, 'DATABASE')}: no database is configured as {query.database!r}; "
                f"configured: {known}"
            )
        elif query.database not in away and (fault := _fault(settings, query, answer_s, away)):
            yield f"{_variable('QUERIES', name, 'SQL')}: {fault}"


def _fault(settings: Settings, query: QueryMetric, answer_s: float, away: set[str]) -> str | None:
    """A database that does not answer at all becomes one of those that are `away`."""
    name, connect = query.database, partial(_connect, 2 * answer_s)
    try:
        with closing(open_connection(name, settings.databases[name], 0, connect)) as connection:
            require_numeric_columns(connection, query.sql, answer_s)
    except (ConnectionError, psycopg.OperationalError) as exc:
        log.warning("metric.unchecked", database=name, error=first_line(exc))
        if not isinstance(exc, QueryCanceled | LockNotAvailable):
            away.add(name)
    except (psycopg.Error, ValueError) as exc:
        return first_line(exc)
    return None


def _connect(limit_s: float, url: str, **options: Any) -> DeadlineConnection:
    connection = DeadlineConnection.connect(url, **options)
    connection.deadline_s = limit_s
    return connection


def _variable(*parts: str) -> str:
    return f"{PREFIX}ANALYTICS__" + "__".join(parts).upper()
