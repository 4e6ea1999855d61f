"""`http_request`: make one HTTP request to a public address, or to a network that the operator allows.

At least once: if the worker dies before the result is stored, the request is made again. An interrupt closes the
connection; the server may still act on what it has received by then.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

import httpcore
import httpx
import msgspec

from taskcore.plugins import Fail, Parameters, Plugin, RetryAfter, TaskContext
from taskcore.plugins.network.guarded_network import ForbiddenAddress
from taskworker.types.http.response import Response, send_request
from taskworker.types.patterns import END_OF_TEXT

RETRYABLE_STATUSES = frozenset({408, 425, 429})
MAX_RETRY_AFTER_S = 3_600

HeaderName = Annotated[str, msgspec.Meta(pattern=rf"^[A-Za-z0-9!#$%&'*+.^_`|~-]+{END_OF_TEXT}", max_length=256)]
HeaderValue = Annotated[str, msgspec.Meta(pattern=rf"^[\t\x20-\x7e]*{END_OF_TEXT}", max_length=8_192)]
Url = Annotated[
    str, msgspec.Meta(pattern=rf"^[Hh][Tt][Tt][Pp][Ss]?://[^\s\x00-\x20\x7f]+{END_OF_TEXT}", max_length=8_192)
]
Headers = Annotated[dict[HeaderName, HeaderValue], msgspec.Meta(max_length=64)]
Text = Annotated[str, msgspec.Meta(max_length=65_536)]
Statuses = Annotated[
    tuple[Annotated[int, msgspec.Meta(ge=100, le=599)], ...], msgspec.Meta(min_length=1, max_length=100)
]
Timeout = Annotated[float, msgspec.Meta(gt=0, le=86_400)]

# Headers that the client sets itself, because they frame the message or name the host.
RESERVED_HEADERS = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)


class Method(StrEnum):
    GET = "GET"
    HEAD = "HEAD"
    OPTIONS = "OPTIONS"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


class HttpRequestParameters(Parameters, frozen=True):
    url: Annotated[Url, msgspec.Meta(description="http or https URL")]
    method: Method = Method.GET
    headers: Annotated[Headers, msgspec.Meta(description="Request headers, except those that frame the message")] = (
        msgspec.field(default_factory=dict)
    )
    body: Annotated[Text | None, msgspec.Meta(description="Request body as text")] = None
    json: Annotated[Any, msgspec.Meta(description="Request body as a JSON value, instead of `body`")] = None
    expected_status: Annotated[
        Statuses | None, msgspec.Meta(description="Statuses that count as success; any 2xx by default")
    ] = None
    timeout_s: Annotated[Timeout | None, msgspec.Meta(description="Time limit, redirects included")] = None
    follow_redirects: Annotated[bool, msgspec.Meta(description="Whether to follow up to ten redirects")] = True

    def __post_init__(self) -> None:
        if self.body is not None and self.json is not None:
            raise ValueError("give body or json, not both")
        if refused := RESERVED_HEADERS & {name.lower() for name in self.headers}:
            raise ValueError(f"headers that cannot be set: {', '.join(sorted(refused))}")
        _check_url(self.url)


class HttpRequest(Plugin[HttpRequestParameters]):
    name = "http_request"
    description = "Makes one HTTP request."

    def run(self, ctx: TaskContext, params: HttpRequestParameters) -> object:
        """Return the status, headers and body of the response, and its URL after redirects."""
        try:
            answer = _send(ctx, params)
        except ForbiddenAddress as exc:
            return Fail(str(exc), reason="forbidden_address")
        except (httpx.TooManyRedirects, httpx.RemoteProtocolError, httpcore.UnsupportedProtocol) as exc:
            return Fail(f"cannot follow a redirect: {exc}", reason="bad_redirect")
        except (httpx.HTTPError, httpcore.NetworkError, httpcore.ProtocolError):
            ctx.check()  # raises if the connection was closed by an interrupt
            raise
        return to_outcome(answer, params.expected_status)


def to_outcome(answer: Response, expected: tuple[int, ...] | None) -> object:
    """Return the result for an expected status, otherwise the outcome that the status means."""
    if answer.status in expected if expected else 200 <= answer.status < 300:
        return answer.to_result()
    if answer.status < 500 and answer.status not in RETRYABLE_STATUSES:
        return Fail(answer.error_message(), reason="unexpected_status")
    wait_s = answer.retry_after_s()
    if wait_s is not None and wait_s <= MAX_RETRY_AFTER_S:
        return RetryAfter(timedelta(seconds=wait_s), error=answer.error_message())
    raise UnexpectedStatus(answer.error_message())


class UnexpectedStatus(Exception):
    """The server sent a status that may be different next time."""


def _send(ctx: TaskContext, params: HttpRequestParameters) -> Response:
    with ctx.http(params.timeout_s) as client:
        max_bytes = ctx.settings.http.max_body_bytes
        return send_request(client, _request(client, params), params.follow_redirects, max_bytes)


def _request(client: httpx.Client, params: HttpRequestParameters) -> httpx.Request:
    # Some servers send what they keep compressed as it is, whatever the client accepts.
    headers = httpx.Headers({"Accept-Encoding": "identity", **params.headers})
    content: str | bytes | None = params.body
    if params.json is not None:
        content = msgspec.json.encode(params.json)
        headers.setdefault("Content-Type", "application/json")
    return client.build_request(params.method, params.url, headers=headers, content=content)


def _check_url(text: str) -> None:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as exc:
        raise ValueError(f"url: {exc}") from exc
    if not url.host:
        raise ValueError("url: has no host")
    if not 0 < (url.port or 80) < 65_536:
        raise ValueError("url: the port must be between 1 and 65535")
