"""A minimal HTTP client with almost no overhead: requests are prebuilt bytes, responses are hardly parsed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

LARGEST_HEAD = 65_536


class Connection:
    """A keep-alive connection that sends one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, url: str) -> Connection:
        parts = urlsplit(url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port, limit=LARGEST_HEAD))

    async def post(self, request: bytes) -> None:
        """Send `request` and read the response. Raise RuntimeError when its status is not 201."""
        status, body = await self.request(request)
        if status != 201:
            raise RuntimeError(f"{status}: {body.decode()}")

    async def request(self, request: bytes) -> tuple[int, bytes]:
        """Send `request` and return the status and the body of the response."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        body = await self._reader.readexactly(_content_length(head))
        return int(head.split(maxsplit=2)[1]), body

    async def close(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


async def post_all(url: str, requests: Sequence[bytes], connections: int) -> None:
    """Send `requests` over this many connections, each as soon as the one before is answered."""
    waiting = iter(requests)

    async def feed() -> None:
        connection = await Connection.open(url)
        for request in waiting:
            await connection.post(request)
        await connection.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(feed())


def post_request(url: str, path: str, body: bytes, key: str = "") -> bytes:
    """Return the bytes of a POST request, with an Idempotency-Key if `key` is given."""
    head = f"POST {path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\nContent-Type: application/json\r\n"
    if key:
        head += f"Idempotency-Key: {key}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise RuntimeError(f"a response without Content-Length: {head.decode()}")
