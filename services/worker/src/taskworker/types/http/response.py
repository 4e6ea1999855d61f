"""HTTP responses: read up to a size limit, and converted into a result or an error message."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import asdict, dataclass
from typing import Any

import httpx
import msgspec

from taskcore.domain.tasks import MAX_TASK_BYTES
from taskworker.types.http.body import read_body

MAX_EXCERPT_CHARS = 500
MAX_REDIRECTS = 10


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response with its body up to the size limit. `truncated` means that there was more."""

    status: int
    headers: httpx.Headers
    body: str
    truncated: bool
    url: str

    def to_result(self) -> dict[str, Any]:
        """Return the task's result. The body is cut to what a result can hold.

        The values of a repeated header are joined by commas, those of Set-Cookie, which may contain commas, by line
        ends.
        """
        result = asdict(self) | {"headers": self._joined_headers()}
        room = MAX_TASK_BYTES - _json_bytes(result | {"body": ""})
        body = _longest_prefix(self.body, room)
        return result | {"body": body, "truncated": self.truncated or len(body) < len(self.body)}

    def _joined_headers(self) -> dict[str, str]:
        headers = dict(self.headers)
        if cookies := self.headers.get_list("Set-Cookie"):
            headers["set-cookie"] = "\n".join(cookies)
        return headers

    def error_message(self) -> str:
        """Return the status and the start of the body."""
        excerpt = self.body[:MAX_EXCERPT_CHARS]
        return f"status {self.status}: {excerpt}" if excerpt else f"status {self.status}"

    def retry_after_s(self) -> int | None:
        """Return the seconds of Retry-After; None if it is a date or absent."""
        value = self.headers.get("Retry-After", "").strip()
        return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None


def send_request(client: httpx.Client, request: httpx.Request, follow_redirects: bool, max_bytes: int) -> Response:
    """Send `request` and read up to `max_bytes` of the response's body.

    Raises:
        httpx.TooManyRedirects: after ten redirects.
        httpx.RemoteProtocolError: if a redirect has no valid URL.
    """
    response = client.send(request, stream=True, follow_redirects=False)
    if follow_redirects:
        response = _follow(client, response)
    try:
        body, truncated = read_body(response, max_bytes)
    finally:
        response.close()
    return Response(response.status_code, response.headers, body, truncated, str(response.url))


def _follow(client: httpx.Client, response: httpx.Response) -> httpx.Response:
    """Return the response after redirects. httpx itself would read their bodies, of any size, into memory."""
    for _ in range(MAX_REDIRECTS):
        if response.next_request is None:
            return response
        response.close()
        response = client.send(response.next_request, stream=True, follow_redirects=False)
    if response.next_request is None:
        return response
    response.close()
    raise httpx.TooManyRedirects(f"more than {MAX_REDIRECTS}", request=response.request)


def _longest_prefix(text: str, max_json_bytes: int) -> str:
    """Return the start of `text` that has up to `max_json_bytes` within a JSON string."""
    start = text[:max_json_bytes]
    if _json_bytes(start) - 2 <= max_json_bytes:
        return start
    lengths = range(len(start) + 1)
    return start[: bisect_right(lengths, max_json_bytes, key=lambda length: _json_bytes(start[:length]) - 2) - 1]


def _json_bytes(value: object) -> int:
    return len(msgspec.json.encode(value))
