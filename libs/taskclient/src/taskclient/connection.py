"""One HTTP exchange with a server: sent, repeated where that is safe, its answer decoded or its refusal raised.

Which calls there are is `taskclient.client`'s business.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import msgspec

from taskclient.errors import ApiError, ServerUnreachable, TaskClientError, UnexpectedResponse
from taskclient.models import Problem
from taskclient.retry import RetryPolicy, parse_retry_after, plan_retry
from taskclient.users import parse_user

T = TypeVar("T")
QueryParameters = Sequence[tuple[str, str]]

BASE_PATH = "/api/v1"
IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"
USER_HEADER = "X-Taskcore-User"
TIMEOUT_S = 30.0
WARNING_PAUSE_S = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `timeout_s` is how long the server may think about it."""

    method: str
    path: str
    query: QueryParameters = ()
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = TIMEOUT_S

    @property
    def is_retryable(self) -> bool:
        """A second one does no harm even when the first was carried out."""
        return self.method in {"GET", "PUT"} or IDEMPOTENCY_KEY_HEADER in self.headers


@dataclass(frozen=True, slots=True)
class _FailedTry:
    """Why an attempt brought nothing. `asked_s` is the pause that the server asked for."""

    error: TaskClientError
    is_retryable: bool
    retry_after_s: float | None = None
    cause: Exception | None = None


class Connection:
    """A server at `address`, over a pool of connections. Close it, or use it in a `with`."""

    def __init__(
        self, address: str, user: str | None, retry_policy: RetryPolicy, sleep: Callable[[float], None]
    ) -> None:
        self.address = parse_address(address)
        self._retry_policy = retry_policy
        self._sleep = sleep
        headers = {"Accept": "application/json"} | ({} if user is None else {USER_HEADER: parse_user(user)})
        self._http = httpx.Client(base_url=self.address + BASE_PATH, headers=headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def request(self, call: Call, response_type: type[T]) -> T:
        """The server's answer as `answer`. Raises ServerRefused, ServerUnreachable or UnexpectedAnswer."""
        response = self.send(call)
        try:
            return msgspec.json.decode(response.content, type=response_type)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UnexpectedResponse(self.address, str(error)) from error

    def send(self, call: Call) -> httpx.Response:
        """A successful response, after as many attempts as patience allows."""
        request = self._build(call)
        attempt = 1
        while True:
            outcome = self._try_once(call, request)
            if isinstance(outcome, httpx.Response):
                return outcome
            pause_s = plan_retry(self._retry_policy, attempt, outcome.retry_after_s) if outcome.is_retryable else None
            if pause_s is None:
                raise outcome.error from outcome.cause
            level = logging.WARNING if pause_s >= WARNING_PAUSE_S else logging.INFO
            log.log(level, "request.retried after_s=%g reason=%s", pause_s, outcome.error)
            self._sleep(pause_s)
            attempt += 1

    def _try_once(self, call: Call, request: httpx.Request) -> httpx.Response | _FailedTry:
        try:
            response = self._http.send(request)
        except httpx.RequestError as error:
            reason = str(error) or type(error).__name__
            never_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
            return _FailedTry(ServerUnreachable(self.address, reason), call.is_retryable or never_sent, cause=error)
        if response.is_success:
            return response
        is_away = response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        asked_s = parse_retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
        return _FailedTry(ApiError(_decode_problem(response)), call.is_retryable and is_away, asked_s)

    def _build(self, call: Call) -> httpx.Request:
        headers = dict(call.headers)
        content = None
        if call.body is not None:
            headers["Content-Type"] = "application/json"
            content = msgspec.json.encode(call.body)
        timeout = httpx.Timeout(call.timeout_s, connect=5.0)
        return self._http.build_request(
            call.method,
            call.path,
            params=httpx.QueryParams(list(call.query)),
            headers=headers,
            content=content,
            timeout=timeout,
        )


def parse_address(text: str) -> str:
    """`http://host:port[/prefix]` without a slash at its end; a missing scheme means http. Raises ValueError."""
    address = text if "://" in text else f"http://{text}"
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL as error:
        raise ValueError(f"{text!r} is not an address: {error}") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError(f"{text!r} is not an address such as http://127.0.0.1:8080")
    return str(url.copy_with(query=None, fragment=None)).rstrip("/")


def _decode_problem(response: httpx.Response) -> Problem:
    """The problem in the response; one made from its status where a proxy, not Taskcore, answered."""
    try:
        return msgspec.json.decode(response.content, type=Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        title = response.reason_phrase or "The server refused"
        return Problem(title=title, status=response.status_code, code=f"http_{response.status_code}")
