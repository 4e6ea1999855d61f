"""`/livez`, `/readyz`, `/healthcheck` and `/metrics` on a port of their own, for processes without an HTTP API."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from taskcore.settings import HealthSettings


@dataclass(eq=False)
class HealthServer:
    """Serves on a thread of its own.

    Each `/readyz` calls `is_ready` and `details`, which must be quick; `details` are added to the JSON response.
    """

    settings: HealthSettings
    registry: CollectorRegistry
    is_ready: Callable[[], bool]
    details: Callable[[], Mapping[str, object]] = dict
    _started: float = field(default_factory=time.monotonic, init=False)
    _server: ThreadingHTTPServer | None = field(default=None, init=False)

    def start(self) -> None:
        """Start to listen, unless the port is set to 0. Raises `OSError` when the port is taken."""
        if self.settings.port == 0:
            return
        self._server = ThreadingHTTPServer((self.settings.host, self.settings.port), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def respond(self, path: str) -> tuple[int, str, bytes]:
        """Return the status, content type and body for a GET of `path`."""
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest(self.registry)
        if path == "/livez":
            return _json(200, {"status": "ok"})
        if path == "/healthcheck":
            return _json(200, {"uptime": time.monotonic() - self._started})
        if path == "/readyz":
            is_ready = self.is_ready()
            return _json(200 if is_ready else 503, {"status": "ok" if is_ready else "not ready", **self.details()})
        return _json(404, {"status": "not found"})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        health = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, content_type, body = health.respond(self.path.partition("?")[0])
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Log nothing: health checks come every few seconds."""

        return Handler


def _json(status: int, body: dict[str, object]) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps(body).encode()
