"""HTTP responses: read up to a size limit, and converted into a result or an error message."""

from __future__ import annotations

import codecs
from dataclasses import asdict, dataclass
from typing import Any

import httpx

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
        """Return the task's result. The values of a repeated header are joined by commas."""
        return asdict(self) | {"headers": dict(self.headers)}

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

    The body is decoded by the charset of its type, or as UTF-8, with replacement characters for invalid bytes.

    Raises:
        httpx.TooManyRedirects: after ten redirects.
        httpx.RemoteProtocolError: if a redirect has no valid URL.
    """
    response = client.send(request, stream=True, follow_redirects=False)
    if follow_redirects:
        response = _follow(client, response)
    try:
        body, truncated = _read(response, max_bytes)
    finally:
        response.close()
    text = body.decode(_charset(response), "replace")
    return Response(response.status_code, response.headers, text, truncated, str(response.url))


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


def _read(response: httpx.Response, max_bytes: int) -> tuple[bytes, bool]:
    body = bytearray()
    for chunk in response.iter_raw():
        body += chunk
        if len(body) > max_bytes:
            return bytes(body[:max_bytes]), True
    return bytes(body), False


def _charset(response: httpx.Response) -> str:
    try:
        return codecs.lookup(response.charset_encoding or "utf-8").name
    except LookupError:
        return "utf-8"
