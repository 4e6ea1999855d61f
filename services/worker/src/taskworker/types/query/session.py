"""A database connection for one statement: open it, set its limits, read its rows."""

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
    """Open a connection in a transaction that has taken its snapshot; it is READ ONLY if the database is.

    The transaction is committed at the end, or rolled back if the database is read-only.

    Raises:
        ConnectionError: if the database cannot be reached. Only the worker's log names host and user.
    """
    connection = open_connection(name, database, ctx.task_id)
    # The connection's own context manager would leave it open if the commit fails.
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
    """Have PostgreSQL parse `query` without running it. Return its column names; none if it returns no rows.

    Raises:
        psycopg.Error: if it is not one valid statement.
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
    """Run a statement that returns rows, and stream them: only the rows to keep are in memory.

    In a read-only database the statement is cancelled as soon as the limit is reached. Otherwise it is read to its end,
    since a cancel would roll back its writes.
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
    """Run the transaction's first statement. It takes the snapshot, after which READ ONLY cannot be changed."""
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
