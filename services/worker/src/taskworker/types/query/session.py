"""One connection for one statement: how it is opened, bounded, read from and ended."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, cast

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from taskcore.plugins import TaskContext
from taskcore.plugins.databases import CANCEL_TIMEOUT_S, open_connection
from taskcore.settings import DatabaseSettings
from taskworker.types.query.json_rows import SESSION_SETTINGS, RowBuffer, register_loaders
from taskworker.types.query.placeholders import Scalar

MAX_RESULT_CHARS = 512 * 1024

Result = dict[str, Any]


@contextmanager
def connect(ctx: TaskContext, name: str, database: DatabaseSettings) -> Iterator[psycopg.Connection[Any]]:
    """A connection in a transaction that has its snapshot, READ ONLY where the database is.

    At the end it is committed, or rolled back where the database is read-only.

    Raises:
        ConnectionError: when the database cannot be reached. Hosts and users stay in the worker's log.
    """
    connection = open_connection(name, database, ctx.task_id)
    # The connection's own context would stay open where the commit fails.
    with closing(connection), ctx.on_interrupt(lambda: connection.cancel_safe(timeout=CANCEL_TIMEOUT_S)):
        register_loaders(connection)
        connection.read_only = database.read_only
        _begin(connection, database.timeout_s)
        yield connection
        if database.read_only:
            connection.rollback()
        else:
            connection.commit()


def prepare(connection: psycopg.Connection[Any], query: str, arguments: Sequence[Scalar] | None) -> list[str]:
    """Have PostgreSQL parse `query`, without running it. Returns its columns' names; none when it returns no rows.

    Raises:
        psycopg.Error: when it is not one valid statement.
    """
    transformer = Transformer(connection)
    transformer.dump_sequence(arguments or (), [PyFormat.AUTO] * len(arguments or ()))
    _check(connection.pgconn.prepare(b"", query.encode(), transformer.types))
    described = _check(connection.pgconn.describe_prepared(b""))
    return [(described.fname(i) or b"").decode() for i in range(described.nfields)]


def execute(connection: psycopg.Connection[Any], query: str, arguments: Sequence[Scalar] | None) -> Result:
    """Run a statement that returns no rows."""
    with psycopg.RawCursor(connection) as cursor:
        cursor.execute(query.encode(), arguments)
        return _result([], RowBuffer(0, 0), max(cursor.rowcount, 0))


def fetch(
    connection: psycopg.Connection[Any],
    query: str,
    arguments: Sequence[Scalar] | None,
    columns: list[str],
    max_rows: int,
) -> Result:
    """Run a statement that returns rows, row by row: no more are in memory than are kept.

    A reading statement is cancelled as soon as enough is kept. A writing one is read to its end, since a cancel would
    take its writes back.
    """
    buffer = RowBuffer(max_rows, MAX_RESULT_CHARS)
    count = 0
    with psycopg.RawCursor(connection) as cursor:
        stream = cast("Generator[Sequence[Any], None, None]", cursor.stream(query.encode(), arguments))
        with closing(stream):
            for row in stream:
                count += 1
                buffer.add(row)
                if buffer.truncated and connection.read_only:
                    break
    return _result(columns, buffer, len(buffer.rows) if connection.read_only else count)


def _begin(connection: psycopg.Connection[Any], timeout_s: float) -> None:
    """The first statement of the transaction: it takes the snapshot, behind which READ ONLY is fixed."""
    values = {**SESSION_SETTINGS, "statement_timeout": str(max(1, round(timeout_s * 1000)))}
    pairs = [part for pair in values.items() for part in pair]
    settings = ", ".join(["set_config(%s, %s, true)"] * len(values))
    connection.execute(f"SELECT {settings}".encode(), pairs)


def _check(result: PGresult) -> PGresult:
    if result.status != ExecStatus.COMMAND_OK:
        raise error_from_result(result)
    return result


def _result(columns: list[str], buffer: RowBuffer, row_count: int) -> Result:
    return {"columns": columns, "rows": buffer.rows, "row_count": row_count, "truncated": buffer.truncated}
