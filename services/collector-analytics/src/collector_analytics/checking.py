"""What can be known of the operator's metrics before they are measured: it is refused at start, not each half hour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import psycopg
import structlog

from collector_analytics.operator.queries import require_numbers
from taskcore.databases import open_connection
from taskcore.errors import InvalidSettings, first_line
from taskcore.metrics import load_sources
from taskcore.settings import PREFIX, QueryMetric, Settings

log = structlog.stdlib.get_logger(__name__)


def check_operator_metrics(settings: Settings) -> None:
    """Queries are described by their databases, not run. A database that is away is said, and left.

    Raises:
        InvalidSettings: with a line for each setting at fault.
    """
    faults = [*_taken_names(settings), *_bad_queries(settings)]
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


def _bad_queries(settings: Settings) -> Iterator[str]:
    for name, query in settings.analytics.queries.items():
        if query.database not in settings.databases:
            known = ", ".join(sorted(settings.databases)) or "none"
            yield (
                f"{_variable('QUERIES', name, 'DATABASE')}: no database is configured as {query.database!r}; "
                f"configured: {known}"
            )
        elif fault := _fault(settings, query):
            yield f"{_variable('QUERIES', name, 'SQL')}: {fault}"


def _fault(settings: Settings, query: QueryMetric) -> str | None:
    try:
        with closing(open_connection(query.database, settings.databases[query.database], 0)) as connection:
            require_numbers(connection, query.sql)
    except (ConnectionError, psycopg.OperationalError) as exc:
        log.warning("metric.not_checked", database=query.database, error=first_line(exc))
    except (psycopg.Error, ValueError) as exc:
        return first_line(exc)
    return None


def _variable(*parts: str) -> str:
    return f"{PREFIX}ANALYTICS__" + "__".join(parts).upper()
