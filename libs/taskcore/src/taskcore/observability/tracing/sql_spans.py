"""The spans of a plugin's SQL statements, by the conventions for databases. They contain no values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
from opentelemetry.semconv.attributes import db_attributes as db
from opentelemetry.semconv.attributes import server_attributes as server
from opentelemetry.trace import Tracer
from psycopg.sql import Composable

from taskcore.observability.tracing.client_spans import NO_SPAN, ClientSpan, class_name, client_span
from taskcore.observability.tracing.propagation import is_sampled

MAX_QUERY_TEXT = 4_096

#: The first word after white space, comments and parentheses.
_OPERATION = re.compile(r"(?:\s|\(|--[^\n]*(?:\n|$)|/\*.*?\*/)*([A-Za-z]+)", re.DOTALL)


def statement_span(tracer: Tracer, connection: psycopg.Connection[Any], query: object, arguments: object) -> ClientSpan:
    """Return a context manager for the span of `query`. Its text is recorded only if its values are in `arguments`."""
    if not is_sampled():
        return NO_SPAN
    text = _text(query)
    found = _OPERATION.match(text)
    operation = found.group(1).upper() if found else "QUERY"
    info = connection.info
    attributes: dict[str, str | int] = {
        db.DB_SYSTEM_NAME: "postgresql",
        db.DB_NAMESPACE: info.dbname,
        db.DB_OPERATION_NAME: operation,
        server.SERVER_ADDRESS: info.host,
        server.SERVER_PORT: info.port,
    }
    if arguments is not None and isinstance(query, str | bytes):
        attributes[db.DB_QUERY_TEXT] = text[:MAX_QUERY_TEXT]
    return client_span(tracer, f"{operation} {info.dbname}", attributes, _error_type)


def traced_cursor(tracer: Tracer) -> type[psycopg.Cursor[Any]]:
    """Return a cursor class for `connection.cursor_factory` that makes a span for each statement."""

    class TracedCursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            with statement_span(tracer, self.connection, query, params):
                return super().execute(query, params, **options)

        def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
            with statement_span(tracer, self.connection, query, ()):
                super().executemany(query, params_seq, **options)

        def stream(self, query: Any, params: Any = None, **options: Any) -> Iterator[Any]:
            with statement_span(tracer, self.connection, query, params):
                yield from super().stream(query, params, **options)

    return TracedCursor


def _text(query: object) -> str:
    match query:
        case str():
            return query
        case bytes():
            return query.decode("utf-8", "replace")
        case Composable():
            return query.as_string()
    return ""


def _error_type(exc: BaseException) -> str:
    """Return the SQLSTATE, or the class name of an error without one."""
    return (isinstance(exc, psycopg.Error) and exc.sqlstate) or class_name(exc)
