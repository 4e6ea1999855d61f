"""A metric that a query on one of the operator's databases measures."""

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

#: The types of numbers, by their OIDs, which never change: int8, int2, int4, float4, float8, numeric.
NUMERIC_OIDS = frozenset({20, 21, 23, 700, 701, 1700})


class QuerySource(MetricSource):
    """Read only, whatever the database is set to be."""

    def __init__(self, metric: str, query: QueryMetric) -> None:
        self.name = f"query:{metric}"
        self._metric = metric
        self._query = query

    def describe(self) -> Iterable[Metric]:
        return [Metric(self._metric, self._query.description)]

    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        """A number that is NULL is no sample."""
        with ctx.databases(self._query.database) as connection:
            rows = self._rows(connection)
        if rows and len(rows[0]) == 1:
            if len(rows) > 1:
                raise ValueError("the query answers more than one number; name each by a label in front of it")
            return [Sample(self._metric, value) for (value,) in rows if value is not None]
        label = self._query.label
        return [Sample(self._metric, value, {label: _text(name)}) for name, value in rows if value is not None]

    def _rows(self, connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
        connection.read_only = True
        timeout_ms = max(1, round(self._query.timeout_s * 1000))
        connection.execute("SELECT set_config('statement_timeout', %s, true)", [str(timeout_ms)])
        rows: list[tuple[Any, ...]] = []
        with connection.cursor() as cursor, closing(cursor.stream(self._query.sql.encode())) as stream:  # type: ignore[type-var]
            for row in stream:
                if len(rows) == MAX_ROWS:
                    raise ValueError(f"the query answers more than {MAX_ROWS} rows")
                rows.append(row)
        return rows


def require_numeric_columns(connection: psycopg.Connection[Any], sql: str, timeout_s: float) -> None:
    """Have PostgreSQL parse the query without running it, for which it may have to wait for locks.

    Raises:
        psycopg.OperationalError: when there is no answer within that time.
        psycopg.Error: when it is not one valid statement.
        ValueError: when it does not answer a number, or a label and a number.
    """
    connection.read_only = True
    connection.execute("SELECT set_config('statement_timeout', %s, true)", [str(max(1, round(timeout_s * 1000)))])
    described = _described(connection, sql)
    types = [described.ftype(i) for i in range(described.nfields)]
    if len(types) not in (1, 2):
        raise ValueError(f"the query answers {len(types)} columns; wanted are a number, or a label and a number")
    if described.nparams:
        raise ValueError("the query has parameters, for which nothing is given")
    if types[-1] not in NUMERIC_OIDS:
        column = (described.fname(len(types) - 1) or b"").decode()
        raise ValueError(f"the query's column {column!r} is not a number")


def _described(connection: psycopg.Connection[Any], sql: str) -> PGresult:
    """By the connection's own waiting, which may be bounded; the driver's `prepare` waits for whatever comes."""
    connection.pgconn.send_prepare(b"", sql.encode())
    _fine(connection.wait(_answer(connection)))
    connection.pgconn.send_describe_prepared(b"")
    return _fine(connection.wait(_answer(connection)))


def _answer(connection: psycopg.Connection[Any]) -> PQGen[PGresult]:
    results: list[PGresult] = yield from execute(connection.pgconn)
    return results[-1]


def _fine(result: PGresult) -> PGresult:
    if result.status != ExecStatus.COMMAND_OK:
        raise error_from_result(result)
    return result


def _text(label: Any) -> str:
    return "" if label is None else str(label)
