"""A database connection for one statement: open it, set its limits, read its rows."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
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
from taskworker.types.query.bounded import bounded_forms
from taskworker.types.query.json_rows import SESSION_SETTINGS, RowBuffer, register_loaders
from taskworker.types.query.placeholders import Scalar

MAX_RESULT_CHARS = 512 * 1024

Arguments = Sequence[Scalar] | None
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


def prepare(connection: psycopg.Connection[Any], query: str, arguments: Arguments) -> list[str]:
    """Have PostgreSQL parse `query` without running it. Return its column names; none if it returns no rows.

    Raises:
        psycopg.Error: if it is not one valid statement.
    """
    transformer = Transformer(connection)
    transformer.dump_sequence(arguments or (), [PyFormat.AUTO] * len(arguments or ()))
    _check(connection.pgconn.prepare(b"", query.encode(), transformer.types))
    described = _check(connection.pgconn.describe_prepared(b""))
    return [(described.fname(i) or b"").decode("utf-8", "replace") for i in range(described.nfields)]


def bound_rows(connection: psycopg.Connection[Any], query: str, arguments: Arguments, columns: int) -> str | None:
    """Return the form of a valid `query` that bounds its rows, or None if it has none: see `bounded_forms`."""
    forms = bounded_forms(query, columns, MAX_RESULT_CHARS)
    return next((form for form in forms if _is_valid(connection, form, arguments)), None)


def execute(connection: psycopg.Connection[Any], query: str, arguments: Arguments) -> Result:
    """Run a statement that returns no rows."""
    with psycopg.RawCursor(connection) as cursor:
        cursor.execute(query.encode(), arguments)
        return _result([], RowBuffer(0, 0), max(cursor.rowcount, 0))


def fetch(
    connection: psycopg.Connection[Any], rows: Iterable[Sequence[Any] | None], columns: list[str], max_rows: int
) -> Result:
    """Read the rows to keep, and count them. None stands for a row that is too large.

    In a read-only database the statement is cancelled as soon as the limit is reached. Otherwise it is read to its end,
    since a cancel would roll back its writes.
    """
    buffer = RowBuffer(max_rows, MAX_RESULT_CHARS)
    count = 0
    for row in rows:
        count += 1
        buffer.add(row)
        if buffer.truncated and connection.read_only:
            break
    return _result(columns, buffer, len(buffer.rows) if connection.read_only else count)


@contextmanager
def stream(
    connection: psycopg.Connection[Any], query: str, bounded: str | None, arguments: Arguments
) -> Iterator[Iterator[Sequence[Any] | None]]:
    """Run `query`, in its `bounded` form if it has one, and stream its rows."""
    with psycopg.RawCursor(connection) as cursor:
        statement = query if bounded is None else bounded
        rows = cast("Generator[Sequence[Any], None, None]", cursor.stream(statement.encode(), arguments))
        with closing(rows):
            yield iter(rows) if bounded is None else _without_sizes(rows)


def _without_sizes(rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any] | None]:
    for size, *row in rows:
        yield row if size <= MAX_RESULT_CHARS else None


def _is_valid(connection: psycopg.Connection[Any], statement: str, arguments: Arguments) -> bool:
    """Return whether PostgreSQL can parse the statement. The transaction goes on in either case."""
    connection.execute("SAVEPOINT before")
    try:
        prepare(connection, statement, arguments)
    except (psycopg.ProgrammingError, psycopg.NotSupportedError):
        connection.execute("ROLLBACK TO before")
        return False
    connection.execute("RELEASE before")
    return True


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
