"""Spans of requests and of their SQL statements. Health checks and metrics are too frequent to be traced."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any
from weakref import WeakKeyDictionary

from litestar.types import HTTPScope
from opentelemetry import trace
from opentelemetry.semconv.attributes import http_attributes, network_attributes, server_attributes, url_attributes
from opentelemetry.semconv.attributes.user_agent_attributes import USER_AGENT_ORIGINAL
from opentelemetry.trace import Span, SpanKind
from sqlalchemy import Executable
from sqlalchemy.dialects.postgresql import dialect

from taskcore.observability.tracing import conventions
from taskcore.observability.tracing.client_spans import client_span, set_error
from taskcore.observability.tracing.propagation import parse_traceparent
from taskcore.observability.tracing.provider import Tracing

TRACED_PREFIX = "/api/"
METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})

_TABLE = re.compile(r"\b(INSERT) INTO (\w+)|\b(UPDATE) (\w+)|\b(DELETE) FROM (\w+)")
_READ = re.compile(r"\bFROM (\w+)")
_DIALECT = dialect()  # type: ignore[no-untyped-call]
#: By statement. The cached ones stay; those that are built for their values are collected with them.
_KNOWN: WeakKeyDictionary[Executable, tuple[str, str]] = WeakKeyDictionary()


@contextmanager
def request_span(tracing: Tracing, scope: HTTPScope) -> Iterator[Span]:
    """Start the span of a request, below the caller's if that is sampled. `record_response` completes it."""
    span: Span = trace.INVALID_SPAN
    if tracing.is_enabled and scope["path"].startswith(TRACED_PREFIX):
        span = _begin(tracing, scope)
    if not span.is_recording():
        yield span
        return
    with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        yield span


def record_response(span: Span, scope: HTTPScope, status: int) -> None:
    if not span.is_recording():
        return
    if route := scope.get("path_template"):
        span.set_attribute(http_attributes.HTTP_ROUTE, str(route))
        span.update_name(f"{scope['method']} {route}")
    if status:
        span.set_attribute(http_attributes.HTTP_RESPONSE_STATUS_CODE, status)
    if status >= 500 or status == 0:
        set_error(span, str(status or "not_answered"))


def statement_span(tracing: Tracing, statement: Executable) -> AbstractContextManager[Any]:
    """Return the span of a statement, or no span when the request is not sampled."""
    if not trace.get_current_span().is_recording():
        return nullcontext()
    operation, table = _describe(statement)
    return client_span(tracing.tracer, f"{operation} {table}", conventions.statement_attributes(operation, table))


def transaction_span(tracing: Tracing) -> AbstractContextManager[Any]:
    """As `statement_span`, for a transaction."""
    if not trace.get_current_span().is_recording():
        return nullcontext()
    attributes = {"db.system.name": "postgresql", "db.operation.name": "TRANSACTION"}
    return client_span(tracing.tracer, "TRANSACTION", attributes)


def _begin(tracing: Tracing, scope: HTTPScope) -> Span:
    """Return the span, or an invalid one when the request is not sampled; most are not, so that path is cheap."""
    method = scope["method"] if scope["method"] in METHODS else "_OTHER"
    parent = parse_traceparent(_header(scope, b"traceparent"))
    context = tracing.sample_root(method) if parent is None else tracing.sample_remote(method, parent)
    if context is None:
        return trace.INVALID_SPAN
    return tracing.tracer.start_span(method, context, SpanKind.SERVER, _attributes(scope, method))


def _header(scope: HTTPScope, name: bytes) -> str:
    return next((value for key, value in scope["headers"] if key == name), b"").decode("latin-1")


def _attributes(scope: HTTPScope, method: str) -> conventions.Attributes:
    host, port = scope["server"] or ("", None)
    found: dict[str, str | int] = {
        http_attributes.HTTP_REQUEST_METHOD: method,
        url_attributes.URL_PATH: scope["path"],
        url_attributes.URL_SCHEME: scope["scheme"],
        server_attributes.SERVER_ADDRESS: host,
        server_attributes.SERVER_PORT: int(port or 0),  # Granian passes it as text
        network_attributes.NETWORK_PROTOCOL_VERSION: str(scope["http_version"]),
        USER_AGENT_ORIGINAL: _header(scope, b"user-agent"),
    }
    return {name: value for name, value in found.items() if value}


def _describe(statement: Executable) -> tuple[str, str]:
    """Return operation and table: those of the first change, or of the first read when nothing is changed."""
    if (known := _KNOWN.get(statement)) is None:
        known = _KNOWN[statement] = _named(str(statement.compile(dialect=_DIALECT)))  # type: ignore[attr-defined]
    return known


def _named(sql: str) -> tuple[str, str]:
    if (found := _TABLE.search(sql)) is not None:
        operation, table = (group for group in found.groups() if group)
        return operation, table
    read = _READ.search(sql)
    return "SELECT", read.group(1) if read else "nothing"
