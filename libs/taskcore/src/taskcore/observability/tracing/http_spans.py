"""The spans of a plugin's HTTP requests, by the conventions for HTTP clients, and their `traceparent` header."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import unquote_plus, urlsplit, urlunsplit

from opentelemetry.semconv.attributes import http_attributes as http
from opentelemetry.semconv.attributes import server_attributes as server
from opentelemetry.semconv.attributes import url_attributes
from opentelemetry.trace import Span, Tracer

from taskcore.observability.tracing.client_spans import NO_SPAN, ClientSpan, client_span, set_error
from taskcore.observability.tracing.propagation import is_sampled, traceparent

KNOWN_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "TRACE"})
DEFAULT_PORTS = {"http": 80, "https": 443}
TRACEPARENT = "traceparent"
REDACTED = "REDACTED"
MAX_URL = 2_048

_SECRET = re.compile(r"pass|pwd|secret|token|key|auth|sig|cred|session|code", re.IGNORECASE)

Headers = Sequence[tuple[bytes, bytes]]


def request_span(tracer: Tracer, method: str, url: str) -> ClientSpan:
    """Return a context manager for the span of one request, until its response's headers. A redirect is another."""
    if not is_sampled():
        return NO_SPAN
    parts = urlsplit(url)
    known = method if method in KNOWN_METHODS else "_OTHER"
    attributes: dict[str, str | int] = {
        http.HTTP_REQUEST_METHOD: known,
        url_attributes.URL_FULL: redact_url(url),
        server.SERVER_ADDRESS: parts.hostname or "",
    }
    with suppress(ValueError):  # not a valid port: the client will report it
        attributes[server.SERVER_PORT] = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    return client_span(tracer, known if known == method else "HTTP", attributes)


def inject(span: Span, headers: Headers) -> Headers:
    """Return `headers` with a `traceparent` for `span` if it is sampled, unless they already have one."""
    context = traceparent(span)
    if context is None or any(name.lower() == TRACEPARENT.encode() for name, _ in headers):
        return headers
    return [*headers, (TRACEPARENT.encode(), context.encode())]


def set_status(span: Span, status: int) -> None:
    span.set_attribute(http.HTTP_RESPONSE_STATUS_CODE, status)
    if status >= 400:
        set_error(span, str(status))


def redact_url(url: str) -> str:
    """Return `url` without its user, password and fragment, and without values of parameters with secret names."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = "&".join(_redact_pair(pair) for pair in parts.query.split("&"))
    return urlunsplit((parts.scheme, host, parts.path, query, ""))[:MAX_URL]


def _redact_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={REDACTED}" if equals and _SECRET.search(unquote_plus(name)) else pair
