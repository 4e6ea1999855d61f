"""What came back: read up to a bound, and told as a result or as a complaint."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Any

import httpx

MAX_EXCERPT_CHARS = 500
MAX_REDIRECTS = 10


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response whose body has been read as far as it is kept."""

    status: int
    headers: httpx.Headers
    body: str
    truncated: bool
    url: str

    def to_result(self) -> dict[str, Any]:
        """As JSON. A header that came more than once has its values joined by commas."""
        return {
            "status": self.status,
            "headers": dict(self.headers),
            "body": self.body,
            "truncated": self.truncated,
            "url": self.url,
        }

    def error_message(self) -> str:
        """The status and the start of the body."""
        excerpt = self.body[:MAX_EXCERPT_CHARS]
        return f"status {self.status}: {excerpt}" if excerpt else f"status {self.status}"

    def retry_after_s(self) -> int | None:
        """The seconds that the server asks to wait; None where it names a date, or nothing."""
        value = self.headers.get("Retry-After", "").strip()
        return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None


def send_request(client: httpx.Client, request: httpx.Request, follow_redirects: bool, max_bytes: int) -> Response:
    """Send `request` and read no more than `max_bytes` of the answer's body.

    The body becomes text by the charset that its type names, or UTF-8; what is no text becomes replacement characters.

    Raises:
        httpx.TooManyRedirects: after ten.
        httpx.RemoteProtocolError: when a redirect names no URL.
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
    """The answer behind the redirects. httpx's own following would read their bodies, of any size, into memory."""
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
