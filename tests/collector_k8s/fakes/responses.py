"""Scripted responses of a fake cluster, and the errors of an API server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "AlreadyExists",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}

#: A page continues a list; a check asks whether the cluster has reached a version.
RequestKind = Literal["list", "page", "check", "watch", "other"]


@dataclass(frozen=True)
class Request:
    kind: RequestKind
    method: str
    path: str
    query: Mapping[str, str]
    token: str
    at: float  # of the monotonic clock


@dataclass(frozen=True)
class Response:
    """A response, whose body is JSON or bytes. Status 0 closes the connection without one, and -1 never answers."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def raw(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


HANG_UP = Response(0)
NO_ANSWER = Response(-1)


def error_response(status: int, message: str = "as the test demands", retry_after: int | None = None) -> Response:
    """Return an error in the form of an API server, a `Status` object."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Response(status, status_body(status, message), headers)


def status_body(status: int, message: str) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": REASONS[status],
        "code": status,
    }


def error_line(status: int, message: str = "as the test demands") -> bytes:
    """Return the event of a watch that reports an error and ends it."""
    return json.dumps({"type": "ERROR", "object": status_body(status, message)}).encode() + b"\n"
