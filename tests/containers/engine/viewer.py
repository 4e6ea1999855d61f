"""Stands in for Jaeger in a container: takes traces where it does, and hands them out where its pages are.

It runs in one of our images, on the standard library alone. `GET /requests` answers the bodies of all requests, one
after the other, which is how the protocol's messages are joined to one.
"""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OTLP, PAGES, HEALTH = 4318, 16686, 13133
BODIES: list[bytes] = []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        BODIES.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(b"".join(BODIES))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    servers = [ThreadingHTTPServer(("", port), Handler) for port in (OTLP, PAGES, HEALTH)]
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()
