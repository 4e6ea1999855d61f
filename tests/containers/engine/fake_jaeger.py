"""A fake Jaeger in a container: accepts traces and serves them on the same ports as Jaeger.

It runs in one of Taskcore's images. `GET /requests` returns the bodies of all requests, concatenated, which merges the
messages of the protocol. `GET /api/v3/traces/ID` returns one trace as Jaeger does.
"""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

OTLP, PAGES, HEALTH = 4318, 16686, 13133
BODIES: list[bytes] = []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        BODIES.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        self._answer(b"")

    def do_GET(self) -> None:
        _, is_trace, trace_id = self.path.partition("/api/v3/traces/")
        self._answer(_trace(bytes.fromhex(trace_id)) if is_trace else b"".join(BODIES))

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _trace(trace_id: bytes) -> bytes:
    received = ExportTraceServiceRequest.FromString(b"".join(BODIES))
    for resource_spans in received.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            wanted = [span for span in scope_spans.spans if span.trace_id == trace_id]
            del scope_spans.spans[:]
            scope_spans.spans.extend(wanted)
    return json.dumps({"result": MessageToDict(received)}).encode()


if __name__ == "__main__":
    servers = [ThreadingHTTPServer(("", port), Handler) for port in (OTLP, PAGES, HEALTH)]
    for server in servers[1:]:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()
