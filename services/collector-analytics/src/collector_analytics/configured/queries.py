"""A metric from a SQL query on one of the configured databases."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Any

import psycopg
from psycopg.abc import PQGen
from psycopg.errors import error_from_result
from psycopg.generators import execute
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from taskcore.metrics import Metric, MetricContext, MetricSource, Sample
from taskcore.settings import QueryMetric

MAX_ROWS = 1_000

#: The OIDs of the numeric types, which never change: int8, int2, int4, float4, float8, numeric.
NUMERIC_OIDS = frozenset({20, 21, 23, 700, 701, 1700})


class QuerySource(MetricSource):
    """Runs one configured query, always read-only."""

    def __init__(self, metric: str, query: QueryMetric) -> None:
        self.name = f"query:{metric}"
        self._metric = metric
        self._query = query

    def describe(self) -> Iterable[Metric]:
        return [Metric(self._metric, self._query.description)]

    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        """Return one sample, or one for each row with a label. A NULL gives no sample."""
        with ctx.databases(self._query.database) as connection:
            rows = self._rows(connection)
        if rows and len(rows[0]) == 1:
            if len(rows) > 1:
                raise ValueError("the query returns more than one number; return a label before each number")
            return [Sample(self._metric, value) for (value,) in rows if value is not None]
        return [
            Sample(self._metric, value, {self._query.label: "" if name is None else str(name)})
            for name, value in rows
            if value is not None
        ]

    def _rows(self, connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
        _begin_read_only(connection, self._query.timeout_s)
        rows: list[tuple[Any, ...]] = []
        with connection.cursor() as cursor, closing(cursor.stream(self._query.sql.encode())) as stream:  # type: ignore[type-var]
            for row in stream:
                if len(rows) == MAX_ROWS:
                    raise ValueError(f"the query returns more than {MAX_ROWS} rows")
                rows.append(row)
        return rows


def require_numeric_columns(connection: psycopg.Connection[Any], sql: str, timeout_s: float) -> None:
    """Have PostgreSQL parse the query without running it. Even parsing may have to wait for locks.

    Raises:
        psycopg.OperationalError: there was no answer within `timeout_s`.
        psycopg.Error: it is not one valid statement.
        ValueError: it returns neither a number nor a label and a number.
    """
    _begin_read_only(connection, timeout_s)
    description = _describe(connection, sql)
    types = [description.ftype(i) for i in range(description.nfields)]
    if len(types) not in (1, 2):
        raise ValueError(f"the query returns {len(types)} columns; expected are a number, or a label and a number")
    if description.nparams:
        raise ValueError("the query has parameters, which are not supported")
    if types[-1] not in NUMERIC_OIDS:
        column = (description.fname(len(types) - 1) or b"").decode()
        raise ValueError(f"the query's column {column!r} is not a number")


def _begin_read_only(connection: psycopg.Connection[Any], timeout_s: float) -> None:
    """Start a read-only transaction whose statements have a timeout."""
    connection.read_only = True
    connection.execute("SELECT set_config('statement_timeout', %s, true)", [str(max(1, round(timeout_s * 1000)))])


def _describe(connection: psycopg.Connection[Any], sql: str) -> PGresult:
    """Describe the query by `connection.wait`, which may have a deadline; the driver's `prepare` waits for ever."""
    connection.pgconn.send_prepare(b"", sql.encode())
    _checked(connection.wait(_last_result(connection)))
    connection.pgconn.send_describe_prepared(b"")
    return _checked(connection.wait(_last_result(connection)))


def _last_result(connection: psycopg.Connection[Any]) -> PQGen[PGresult]:
    results: list[PGresult] = yield from execute(connection.pgconn)
    return results[-1]


def _checked(result: PGresult) -> PGresult:
    if result.status != ExecStatus.COMMAND_OK:
        raise error_from_result(result)
    return result
