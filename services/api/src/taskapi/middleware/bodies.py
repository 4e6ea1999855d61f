"""Bound the bodies of requests: how slowly they may come, and how much of them is in memory at once.

The server closes a connection whose request body was not read to its end, and the response says so.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from litestar.types.asgi_types import HTTPRequestEvent, ReceiveMessage

from taskapi.http.problems import body_timeout, too_many_large_bodies


@dataclass(frozen=True)
class BodyLimits:
    """A body has `grace_s`, and a second more for each `bytes_per_s`.

    Bodies of more than `small_bytes` share `shared_bytes`; one that gets no share for `patience_s` is refused.
    """

    grace_s: float = 10
    bytes_per_s: float = 16 * 1024
    small_bytes: int = 64 * 1024
    shared_bytes: int = 64 * 1024 * 1024
    patience_s: float = 10


DEFAULT_LIMITS = BodyLimits()


class BodyMiddleware:
    """A request keeps its share until its response, because its body becomes other objects until then."""

    def __init__(self, app: ASGIApp, limits: BodyLimits) -> None:
        self._app = app
        self._limits = limits
        self._budget = _Budget(limits.shared_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        body = _Body(self._limits, self._budget, receive, _content_length(scope))

        async def respond(message: Message) -> None:
            if message["type"] == "http.response.start" and not body.is_complete:
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        try:
            await self._app(scope, body.receive, respond)
        finally:
            await self._budget.release(body.share)


@dataclass(slots=True)
class _Body:
    """A body as it arrives. Its length is not `announced` when it comes in chunks."""

    limits: BodyLimits
    budget: _Budget
    source: Receive
    announced: int | None
    deadline: float | None = None
    received: int = 0
    share: int = 0
    is_complete: bool = field(init=False)

    def __post_init__(self) -> None:
        self.is_complete = self.announced == 0

    async def receive(self) -> ReceiveMessage:
        """Return the next message. Raise `ProblemError` when the body comes too slowly, or gets no share."""
        if self.is_complete:  # this waits for a disconnect
            return await self.source()
        await self._take_share()
        now = asyncio.get_running_loop().time()
        self.deadline = self.deadline or now + self.limits.grace_s
        try:
            async with asyncio.timeout_at(self.deadline):
                message = await self.source()
        except TimeoutError as exc:
            raise body_timeout() from exc
        if message["type"] == "http.request":
            self._count(message)
        return message

    def _count(self, message: HTTPRequestEvent) -> None:
        size = len(message["body"])
        self.received += size
        self.deadline = (self.deadline or 0) + size / self.limits.bytes_per_s
        self.is_complete = not message.get("more_body", False)

    async def _take_share(self) -> None:
        size = self.received if self.announced is None else self.announced
        if self.share or size <= self.limits.small_bytes:
            return
        share = self.limits.shared_bytes // 2 if self.announced is None else self.announced
        try:
            async with asyncio.timeout(self.limits.patience_s):
                await self.budget.take(share)
        except TimeoutError as exc:
            raise too_many_large_bodies() from exc
        self.share = share
        self.deadline = None if self.deadline is None else asyncio.get_running_loop().time() + self.limits.grace_s


@dataclass(slots=True)
class _Budget:
    left: int
    freed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self, size: int) -> None:
        async with self.freed:
            await self.freed.wait_for(lambda: self.left >= size)
            self.left -= size

    async def release(self, size: int) -> None:
        if size:
            async with self.freed:
                self.left += size
                self.freed.notify_all()


def _content_length(scope: HTTPScope) -> int | None:
    """Return 0 without a body, and None for a body that comes in chunks."""
    headers = dict(scope["headers"])
    if b"transfer-encoding" in headers:
        return None
    text = headers.get(b"content-length", b"")
    return int(text) if text.isdigit() else 0
