"""Trace endpoints for measurements: one that accepts spans, and one that never responds."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _AcceptingHandler(BaseHTTPRequestHandler):
    """Reads requests and discards them: decoding would add load that Taskcore does not cause."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def accepting_endpoint() -> Iterator[str]:
    """Yield the URL of an endpoint that accepts every request."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _AcceptingHandler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def unresponsive_endpoint() -> Iterator[str]:
    """Yield the URL of an endpoint that accepts connections but never reads or responds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_hold, args=(server,), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def _hold(server: socket.socket) -> None:
    held = []
    with suppress(OSError):  # the server is closed
        while True:
            held.append(server.accept()[0])
