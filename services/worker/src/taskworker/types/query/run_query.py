"""`run_query`: run one SQL statement on one of the operator's named PostgreSQL databases.

If the database is `read_only`, the statement cannot change data. PostgreSQL itself enforces that: it parses exactly one
statement, which must return rows (this excludes COPY, DO, SET and COMMIT) and runs in a READ ONLY transaction. The
transaction has taken its snapshot, after which it cannot become writable, and is rolled back, because READ ONLY permits
EXPLAIN ANALYZE CREATE TABLE AS.

PostgreSQL leaves out a row that is too large for a result. It cannot where the statement cannot be a part of another:
EXPLAIN, SHOW, CALL, and a WITH that changes data.

An interrupt cancels the statement in the database. Writes happen at least once: if the worker dies after the commit and
before the result is stored, the statement runs again.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import psycopg

from taskcore.errors import PrivilegedRole
from taskcore.observability.tracing.sql_spans import statement_span
from taskcore.plugins import Fail, Parameters, Plugin, TaskContext
from taskcore.settings import DatabaseSettings
from taskworker.types.query import session
from taskworker.types.query.placeholders import Scalar, number_placeholders

# SQLSTATE classes (PostgreSQL's appendix A) for which a retry of the same statement would fail again.
PERMANENT_CLASSES = frozenset({"0A", "21", "22", "23", "26", "2D", "34", "42", "54"})
PERMANENT_STATES = frozenset({"25001", "25006"})


DatabaseName = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Arguments = Annotated[list[Scalar], msgspec.Meta(max_length=1_000)] | dict[str, Scalar]
RowLimit = Annotated[int, msgspec.Meta(ge=1, le=100_000)]


class RunQueryParameters(Parameters, frozen=True):
    query: Annotated[str, msgspec.Meta(min_length=1, max_length=65_536, description="One SQL statement")]
    database: Annotated[DatabaseName, msgspec.Meta(description="The configured name of the database")] = "default"
    arguments: Annotated[
        Arguments | None,
        msgspec.Meta(description="Bound to %s (a list) or %(name)s (an object); write a percent sign as %%"),
    ] = None
    max_rows: Annotated[RowLimit | None, msgspec.Meta(description="Row limit; the configured limit applies too")] = None

    def __post_init__(self) -> None:
        number_placeholders(self.query, self.arguments)


class RunQuery(Plugin[RunQueryParameters]):
    name = "run_query"
    description = "Runs one SQL statement on a configured PostgreSQL database."

    def run(self, ctx: TaskContext, params: RunQueryParameters) -> object:
        """Return the column names, the rows, their number, and whether there were more rows.

        For a statement that returns no rows, such as an UPDATE, the number is that of the affected rows.
        """
        database = ctx.settings.databases.get(params.database)
        if database is None:
            known = ", ".join(sorted(ctx.settings.databases)) or "none"
            return Fail(f"no database is configured as {params.database!r}; configured: {known}", "unknown_database")
        try:
            return _run(ctx, params, database)
        except PrivilegedRole as exc:
            return Fail(str(exc), "privileged_role")
        except psycopg.Error as exc:
            ctx.check()  # raises if the query was cancelled by an interrupt
            if not is_permanent(exc):
                raise
            return Fail(describe_error(exc), reason="query_refused")
        except (ValueError, OverflowError, RecursionError) as exc:  # a value that Python cannot read
            return Fail(f"a value cannot be read: {exc}", reason="query_refused")


def is_permanent(exc: psycopg.Error) -> bool:
    """Return whether a retry would fail too. Lost connections, deadlocks and timeouts are not permanent."""
    if exc.sqlstate is None:  # raised by the driver: a lost connection, or a value that it cannot send or read
        return isinstance(exc, psycopg.ProgrammingError | psycopg.DataError | psycopg.NotSupportedError)
    return exc.sqlstate[:2] in PERMANENT_CLASSES or exc.sqlstate in PERMANENT_STATES


def describe_error(exc: psycopg.Error) -> str:
    """Return PostgreSQL's message, with the SQLSTATE if there is one."""
    return f"{exc} (SQLSTATE {exc.sqlstate})" if exc.sqlstate else str(exc)


def _run(ctx: TaskContext, params: RunQueryParameters, database: DatabaseSettings) -> object:
    query, arguments = number_placeholders(params.query, params.arguments)
    max_rows = min(params.max_rows or database.max_rows, database.max_rows)
    with (
        session.connect(ctx, params.database, database) as connection,
        statement_span(ctx.tracer, connection, query, arguments),
    ):
        columns = session.prepare(connection, query, arguments)
        bounded = session.bound_rows(connection, query, arguments, len(columns))
        if columns or bounded is not None:
            with session.stream(connection, query, bounded, arguments) as rows:
                return session.fetch(connection, rows, columns, max_rows)
        if database.read_only:
            return Fail(
                f"database {params.database!r} is read-only: only a statement that returns rows may run",
                reason="read_only",
            )
        return session.execute(connection, query, arguments)
