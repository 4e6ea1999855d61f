"""Give every request an id, a span, its metrics and a log line."""

from __future__ import annotations

import re
import time
from uuid import uuid4

import structlog
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from taskapi.runtime.request_spans import record_response, request_span
from taskapi.runtime.services import Services
from taskcore.observability.metrics import REQUEST_SECONDS, REQUESTS

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")

#: The route and method labels of unknown paths: clients must not be able to add time series.
UNMATCHED = ("unmatched", "any")

log = structlog.stdlib.get_logger(__name__)


def request_id_of(scope: Scope) -> str:
    return str(scope["state"]["request_id"])


class RequestMiddleware:
    """Wraps the whole application, so that a 404 is counted as well."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        services: Services = self._state.services
        started = time.perf_counter()
        request_id = _request_id(scope)
        scope["state"]["request_id"] = request_id
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                close = [(b"connection", b"close")] if services.draining.is_set() else []
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode()), *close]
            await send(message)

        with bound_contextvars(request_id=request_id), request_span(services.tracing, scope) as span:
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                record_response(span, scope, status)
                _record(scope, status, time.perf_counter() - started)


def _request_id(scope: Scope) -> str:
    """Return the client's request id if it is safe in a log line and a header, otherwise a new one."""
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else str(uuid4())


def _record(scope: HTTPScope, status: int, seconds: float) -> None:
    route, method = UNMATCHED
    if scope.get("path_template"):
        route, method = scope["path_template"], scope["method"]
    REQUESTS.labels(method, route, str(status)).inc()
    REQUEST_SECONDS.labels(method, route).observe(seconds)
    log.debug("request.answered", method=method, route=route, status=status, seconds=round(seconds, 6))
