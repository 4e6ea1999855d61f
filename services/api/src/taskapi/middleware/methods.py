"""HEAD is GET without the body, and OPTIONS returns the methods of a path. Handlers know nothing of either."""

from __future__ import annotations

from typing import Any, cast

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

#: A method that no path has. The response to it, a 405, has the methods of the path.
_NO_METHOD = "NONE"


class MethodsMiddleware:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        handled = {"HEAD": "GET", "OPTIONS": _NO_METHOD}.get(str(method), method)

        async def respond(message: Message) -> None:
            await send(_converted(message, str(method)))

        scope["method"] = cast("Any", handled)
        try:
            await self._app(scope, receive, respond)
        finally:
            scope["method"] = method


def _converted(message: Message, method: str) -> Message:
    if message["type"] == "http.response.start" and message["status"] == 405:
        message["headers"] = [_allow(name, value) for name, value in message["headers"]]
        if method == "OPTIONS":
            message["status"] = 204
            message["headers"] = [pair for pair in message["headers"] if not pair[0].startswith(b"content-")]
    elif message["type"] == "http.response.body" and method in ("HEAD", "OPTIONS"):
        message["body"] = b""
    return message


def _allow(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Return the header. `Allow` gets HEAD, if it has GET, and OPTIONS."""
    if name != b"allow":
        return name, value
    methods = {*value.decode().split(", "), "OPTIONS"}
    return name, ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods)).encode()
