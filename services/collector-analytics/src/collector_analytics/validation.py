"""The check of the configured metrics at start, so that a mistake does not wait for the first collection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import structlog
from psycopg.errors import LockNotAvailable, QueryCanceled

from collector_analytics.configured.queries import require_numeric_columns
from taskcore.db.deadlines import DeadlineConnection
from taskcore.errors import InvalidSettings, PrivilegedRole, first_line
from taskcore.metrics import load_sources
from taskcore.plugins.databases import open_connection
from taskcore.settings import PREFIX, QueryMetric, Settings

#: The limit for one query. A locked table, or a paused pooler, must not keep the collector from starting.
CHECK_TIMEOUT_S = 5.0

log = structlog.stdlib.get_logger(__name__)


def validate_configured_metrics(settings: Settings, timeout_s: float = CHECK_TIMEOUT_S) -> None:
    """Check the names of metrics, and have the databases parse the queries without running them.

    A query that cannot be checked in time is logged and accepted. Raises `InvalidSettings` with a line for each error.
    """
    errors = [*_name_conflicts(settings), *_query_errors(settings, timeout_s)]
    if errors:
        raise InvalidSettings("\n".join(errors))


def _name_conflicts(settings: Settings) -> Iterator[str]:
    analytics = settings.analytics
    installed = (metric.name for source in load_sources() for metric in source.describe())
    uses = Counter([*installed, *analytics.queries, *analytics.counters])
    for section, names in (("QUERIES", analytics.queries), ("COUNTERS", analytics.counters)):
        for name in names:
            if uses[name] > 1:
                yield f"{_variable(section, name)}: there is another metric of this name"


def _query_errors(settings: Settings, timeout_s: float) -> Iterator[str]:
    unavailable: set[str] = set()
    for name, query in settings.analytics.queries.items():
        if query.database not in settings.databases:
            known = ", ".join(sorted(settings.databases)) or "none"
            yield (
                f"{_variable('QUERIES', name, 'DATABASE')}: no database is configured as {query.database!r}; "
                f"configured: {known}"
            )
        elif query.database not in unavailable and (error := _query_error(settings, query, timeout_s, unavailable)):
            yield f"{_variable('QUERIES', name, 'SQL')}: {error}"


def _query_error(settings: Settings, query: QueryMetric, timeout_s: float, unavailable: set[str]) -> str | None:
    """Return what is wrong with the query. A database that does not answer is added to `unavailable`."""

    def connect(**parameters: Any) -> DeadlineConnection:
        connection = DeadlineConnection.connect(**parameters)
        connection.deadline_s = 2 * timeout_s
        return connection

    name = query.database
    try:
        with closing(open_connection(name, settings.databases[name], 0, connect)) as connection:
            require_numeric_columns(connection, query.sql, timeout_s)
    except (ConnectionError, psycopg.OperationalError) as exc:
        log.warning("metric.unchecked", database=name, error=first_line(exc))
        if not isinstance(exc, QueryCanceled | LockNotAvailable):
            unavailable.add(name)
    except (psycopg.Error, PrivilegedRole, ValueError) as exc:
        return first_line(exc)
    return None


def _variable(*parts: str) -> str:
    return f"{PREFIX}ANALYTICS__" + "__".join(parts).upper()
