"""HTTP exchanges with a server: send a request, retry it where that is safe, decode the response or raise an error.

The calls themselves are in `taskclient.client`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, TypeVar

import httpx
import msgspec

from taskclient.environment import find_authorities, find_proxy
from taskclient.errors import ApiError, ServerUnreachable, TaskClientError, UnexpectedResponse
from taskclient.models import Page, Problem
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
    """One request. `timeout_s` bounds the wait for the server's response."""

    method: str
    path: str
    query: QueryParameters = ()
    body: Any = None
    idempotency_key: str | None = None
    timeout_s: float = TIMEOUT_S

    @property
    def is_retryable(self) -> bool:
        """Whether the request may be sent again although the first one may have been carried out."""
        return self.method in {"GET", "PUT"} or self.idempotency_key is not None


@dataclass(frozen=True, slots=True)
class _FailedTry:
    """A try that failed. `retry_after_s` is the pause that the server asked for."""

    error: TaskClientError
    is_retryable: bool
    retry_after_s: float | None = None
    cause: Exception | None = None


class Connection:
    """A pool of connections to the server at `address`. Raise InvalidEnvironment: see `taskclient.environment`."""

    def __init__(
        self, address: str, user: str | None, retry_policy: RetryPolicy, sleep: Callable[[float], None]
    ) -> None:
        self.address = parse_address(address)
        self._retry_policy = retry_policy
        self._sleep = sleep
        headers = {"Accept": "application/json"} | ({} if user is None else {USER_HEADER: parse_user(user)})
        url = httpx.URL(self.address)
        self._http = httpx.Client(
            base_url=self.address + BASE_PATH,
            headers=headers,
            proxy=find_proxy(url),
            verify=find_authorities(url),
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def request(self, call: Call, response_type: type[T]) -> T:
        """Return the decoded response. Raise ApiError, ServerUnreachable or UnexpectedResponse."""
        response = self.send(call)
        try:
            return msgspec.json.decode(response.content, type=response_type)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UnexpectedResponse(self.address, str(error)) from error

    def get(self, path: str, response_type: type[T], /, **query: Any) -> T:
        """Return the decoded response to a GET request, with the `query` of `build_query`."""
        return self.request(Call("GET", path, build_query(**query)), response_type)

    def post(self, path: str, response_type: type[T], body: Any = None) -> T:
        return self.request(Call("POST", path, body=body), response_type)

    def get_all(self, path: str, page_type: type[Page[T]], /, *, after: int = 0, **query: Any) -> Sequence[T]:
        """Return the items of all pages of a list that come after `after`."""
        items = list[T]()
        while True:
            page = self.get(path, page_type, after=after, **query)
            items += page.items
            if page.next_after is None:
                return items
            after = page.next_after

    def send(self, call: Call) -> httpx.Response:
        """Return a successful response, after as many tries as the retry policy allows."""
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
        is_unavailable = response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        retry_after_s = parse_retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
        return _FailedTry(ApiError(_decode_problem(response)), call.is_retryable and is_unavailable, retry_after_s)

    def _build(self, call: Call) -> httpx.Request:
        headers = {} if call.idempotency_key is None else {IDEMPOTENCY_KEY_HEADER: call.idempotency_key}
        content = None
        if call.body is not None:
            headers["Content-Type"] = "application/json"
            content = msgspec.json.encode(call.body)
        return self._http.build_request(
            call.method,
            call.path,
            params=httpx.QueryParams(list(call.query)),
            headers=headers,
            content=content,
            timeout=httpx.Timeout(call.timeout_s, connect=5.0),
        )


def build_query(**values: Any) -> QueryParameters:
    """Return query parameters without those that are None. Sequences repeat a parameter; times become ISO 8601."""
    pairs = [(name, item) for name, value in values.items() for item in (value if _is_many(value) else [value])]
    return [(name, _to_text(item)) for name, item in pairs if item is not None]


def parse_address(text: str) -> str:
    """Return `http://host:port[/prefix]` without a trailing slash. The default scheme is http. Raise ValueError."""
    address = text if "://" in text else f"http://{text}"
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL as error:
        raise ValueError(f"{text!r} is not an address: {error}") from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError(f"{text!r} is not an address such as http://127.0.0.1:8080")
    return str(url.copy_with(query=None, fragment=None)).rstrip("/")


def _is_many(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _to_text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _decode_problem(response: httpx.Response) -> Problem:
    """Return the problem in the response, or one made of its status when a proxy answered instead of Taskcore."""
    try:
        return msgspec.json.decode(response.content, type=Problem)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        title = response.reason_phrase or "The server refused the request"
        return Problem(title=title, status=response.status_code, code=f"http_{response.status_code}")
