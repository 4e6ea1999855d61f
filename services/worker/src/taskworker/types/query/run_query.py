"""`run_query`: one SQL statement on one of the operator's named PostgreSQL databases.

Where the database is `read_only`, the statement cannot change data. PostgreSQL itself enforces why: it is parsed as
exactly one statement; it must be one that returns rows (which leaves out COPY, DO, SET and COMMIT); it runs in a
READ ONLY transaction that has taken its snapshot, after which it cannot be made writable; and that is rolled back
(READ ONLY overlooks EXPLAIN ANALYZE CREATE TABLE AS).

An interrupt cancels the statement in the database. Writes happen at least once: a
worker that dies behind the commit has the statement run again.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import psycopg

from taskcore.observability.tracing.sql_spans import statement_span
from taskcore.plugins import Fail, Parameters, Plugin, TaskContext
from taskcore.settings import DatabaseSettings
from taskworker.types.query import session
from taskworker.types.query.placeholders import Scalar, number_placeholders

# SQLSTATE classes (PostgreSQL's appendix A) that the same statement would only meet again.
PERMANENT_CLASSES = frozenset({"0A", "21", "22", "23", "26", "2D", "34", "42"})
PERMANENT_STATES = frozenset({"25001", "25006"})


DatabaseName = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Arguments = Annotated[list[Scalar], msgspec.Meta(max_length=1_000)] | dict[str, Scalar]
RowLimit = Annotated[int, msgspec.Meta(ge=1, le=100_000)]


class RunQueryParameters(Parameters, frozen=True):
    query: Annotated[str, msgspec.Meta(min_length=1, max_length=65_536, description="One SQL statement")]
    database: Annotated[DatabaseName, msgspec.Meta(description="The configured name of the database")] = "default"
    arguments: Annotated[
        Arguments | None,
        msgspec.Meta(description="Bound to %s (a list) or %(name)s (an object); a per cent sign is then written %%"),
    ] = None
    max_rows: Annotated[RowLimit | None, msgspec.Meta(description="At most this many, and what is configured")] = None

    def __post_init__(self) -> None:
        number_placeholders(self.query, self.arguments)


class RunQuery(Plugin[RunQueryParameters]):
    name = "run_query"
    description = "Runs one SQL statement on a configured PostgreSQL database."

    def run(self, ctx: TaskContext, params: RunQueryParameters) -> object:
        """Returns the columns' names, the rows, their number, and whether there were more than are given.

        Where nothing is returned, as by an UPDATE, the number is that of the rows concerned.
        """
        database = ctx.settings.databases.get(params.database)
        if database is None:
            return _unknown_database(params.database, sorted(ctx.settings.databases))
        try:
            return _run(ctx, params, database)
        except psycopg.Error as exc:
            ctx.check()  # a query that was cancelled because the attempt is to stop
            if not is_permanent(exc):
                raise
            return Fail(describe_error(exc), reason="query_refused")


def is_permanent(exc: psycopg.Error) -> bool:
    """Whether the same statement would end the same; not so for lost connections, deadlocks and timeouts."""
    if exc.sqlstate is None:  # raised by the driver: by a lost connection, or by what it cannot send or read
        return isinstance(exc, psycopg.ProgrammingError | psycopg.DataError | psycopg.NotSupportedError)
    return exc.sqlstate[:2] in PERMANENT_CLASSES or exc.sqlstate in PERMANENT_STATES


def describe_error(exc: psycopg.Error) -> str:
    """PostgreSQL's words, with the SQLSTATE where there is one."""
    return f"{exc} (SQLSTATE {exc.sqlstate})" if exc.sqlstate else str(exc)


def _run(ctx: TaskContext, params: RunQueryParameters, database: DatabaseSettings) -> object:
    query, arguments = number_placeholders(params.query, params.arguments)
    max_rows = min(params.max_rows or database.max_rows, database.max_rows)
    with (
        session.connect(ctx, params.database, database) as connection,
        statement_span(ctx.tracer, connection, query, arguments),
    ):
        columns = session.prepare(connection, query, arguments)
        if not columns and database.read_only:
            return Fail(
                f"database {params.database!r} is read-only, where only a statement that returns rows may run",
                reason="read_only",
            )
        if not columns:
            return session.execute(connection, query, arguments)
        return session.fetch(connection, query, arguments, columns, max_rows)


def _unknown_database(name: str, configured: list[str]) -> Fail:
    known = ", ".join(configured) or "none"
    return Fail(f"no database is configured as {name!r}; configured: {known}", reason="unknown_database")
