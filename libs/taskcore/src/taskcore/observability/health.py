"""`/livez`, `/readyz`, `/healthcheck` and `/metrics` on a port of their own, whatever else the process serves."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from taskcore.observability.bounded_http_server import BoundedHTTPServer
from taskcore.settings import HealthSettings
from taskcore.sockets import listen

#: How long a client may take for its request, and again for reading the response.
CONNECTION_S = 5.0

PATHS = ("/livez", "/readyz", "/healthcheck", "/metrics")


@dataclass(eq=False)
class HealthServer:
    """Serves on threads of its own.

    Each `/livez` calls `is_live` and each `/readyz` calls `is_ready` and `details`, which must be quick; `details` are
    added to the JSON response. With `is_shared`, several processes can serve on the port.
    """

    settings: HealthSettings
    registry: CollectorRegistry
    is_ready: Callable[[], bool]
    details: Callable[[], Mapping[str, object]] = dict
    is_live: Callable[[], bool] = lambda: True
    is_shared: bool = False
    connection_s: float = CONNECTION_S
    _started: float = field(default_factory=time.monotonic, init=False)
    _server: BoundedHTTPServer | None = field(default=None, init=False)

    def start(self) -> None:
        """Start to listen, unless the port is set to 0. Raises `TaskcoreError` when that is not possible."""
        if self.settings.port == 0:
            return
        listener = listen(self.settings.host, self.settings.port, "health", is_shared=self.is_shared)
        self._server = BoundedHTTPServer(listener, self._handler(), self.connection_s)
        threading.Thread(target=self._server.serve, name="health", daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def respond(self, path: str) -> tuple[int, str, bytes]:
        """Return the status, content type and body for a GET of `path`."""
        match path:
            case "/metrics":
                return 200, CONTENT_TYPE_LATEST, generate_latest(self.registry)
            case "/livez":
                return _status(self.is_live(), "not live")
            case "/healthcheck":
                return _json(200, {"uptime": time.monotonic() - self._started})
            case "/readyz":
                return _status(self.is_ready(), "not ready", self.details())
        return _json(404, {"status": "not found", "paths": PATHS})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        health = self

        class Handler(BaseHTTPRequestHandler):
            timeout = health.connection_s
            server: BoundedHTTPServer

            def do_GET(self) -> None:
                body = self._send_head()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_HEAD = do_GET

            def do_OPTIONS(self) -> None:
                self.server.mark_answered(self.connection)
                self.send_response(204)
                self.send_header("Allow", "GET, HEAD, OPTIONS")
                self.end_headers()

            def _send_head(self) -> bytes:
                self.server.mark_answered(self.connection)
                status, content_type, body = health.respond(self.path.partition("?")[0])
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                return body

            def log_message(self, format: str, *args: object) -> None:
                """Log nothing: health checks come every few seconds."""

        return Handler


def _status(is_ok: bool, otherwise: str, details: Mapping[str, object] = {}) -> tuple[int, str, bytes]:
    return _json(200 if is_ok else 503, {"status": "ok" if is_ok else otherwise, **details})


def _json(status: int, body: Mapping[str, object]) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps(body).encode()
