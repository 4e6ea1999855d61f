"""The HTTP server of a fake cluster: paths, bodies, watches in chunks, and connections that break."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from tests.collector_k8s.fakes.event_json import as_core_v1, in_group, pod_uid, selector
from tests.collector_k8s.fakes.event_log import Expired, Selector
from tests.collector_k8s.fakes.responses import Request, RequestKind, Response, error_response
from tests.collector_k8s.fakes.watch_stream import ConnectionCut, WatchStream

if TYPE_CHECKING:
    from tests.collector_k8s.fakes.cluster import FakeCluster

EVENTS = re.compile(r"/(?:api|apis)/(v1|events\.k8s\.io/v1)(?:/namespaces/([^/]+))?/events(?:/([^/]+))?")
POD = re.compile(r"/api/v1/namespaces/([^/]+)/pods/([^/]+)")
NAMESPACE = re.compile(r"/api/v1/namespaces(?:/([^/]+))?")
LONGEST_WATCH_S = 1_800.0


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, cluster: FakeCluster, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.cluster = cluster
        self._connections: set[Any] = set()
        super().__init__(("127.0.0.1", port), Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that hang up: that is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise each response takes 40 ms, since its head and its body are two writes
    server: Server

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        token = (self.headers.get("Authorization") or "").partition(" ")[2]
        kind = _kind_of(url.path, query, self.command)
        request = Request(kind, self.command, url.path, query, token, time.monotonic())
        response = self.server.cluster.scripted(request)
        if response is None:
            response = self._respond(request, json.loads(body) if body else {})
        if response is not None:
            self._send(response)

    def _respond(self, request: Request, body: dict[str, Any]) -> Response | None:
        """Return the response. `None` when a watch has written it already."""
        if match := EVENTS.fullmatch(request.path):
            return self._respond_to_events(request, body, *match.groups())
        if match := POD.fullmatch(request.path):
            return self._pod(*match.groups())
        if match := NAMESPACE.fullmatch(request.path):
            return self._namespace(request, match[1])
        if request.path == "/version":
            return Response(200, {"major": "1", "minor": "36", "gitVersion": "v1.36.0"})
        return error_response(404, "the server could not find the requested resource")

    def _respond_to_events(
        self, request: Request, body: dict[str, Any], group: str, namespace: str | None, name: str | None
    ) -> Response | None:
        store = self.server.cluster.events
        if namespace in self.server.cluster.forbidden:
            return error_response(403, f"events is forbidden in the namespace {namespace}")
        if request.method == "GET" and name is None:
            try:
                selected = _selector(namespace, request.query.get("fieldSelector", ""))
            except ValueError as exc:
                return error_response(400, str(exc))
            if request.kind == "watch":
                self._watch(request, group, selected)
                return None
            return self._list(request, group, selected)
        stored = store.get(namespace or "", name) if name else None
        if request.method == "POST":
            stored = store.put(as_core_v1(body))
        elif stored is None:
            return error_response(404, f"events {name!r} not found")
        elif request.method == "PUT":
            stored = store.put(as_core_v1(body))
        elif request.method == "DELETE":
            store.delete(namespace or "", str(name))
        return Response(201 if request.method == "POST" else 200, _event_document(stored, group))

    def _list(self, request: Request, group: str, selected: Selector) -> Response:
        store, limit = self.server.cluster.events, int(request.query.get("limit", 0))
        token = request.query.get("continue")
        if (wanted := int(request.query.get("resourceVersion", 0))) > store.version:
            return error_response(504, f"Timeout: Too large resource version: {wanted}, current: {store.version}")
        try:
            page = store.next_page(token, limit) if token else store.first_page(selected, limit)
        except Expired:
            return error_response(
                410, "The provided continue parameter is too old to display a consistent list result."
            )
        metadata: dict[str, Any] = {"resourceVersion": str(page.version)}
        if page.token:
            metadata |= {"continue": page.token, "remainingItemCount": page.remaining}
        items = [in_group(event, group) for event in page.events]
        return Response(200, {"kind": "EventList", "apiVersion": group, "metadata": metadata, "items": items})

    def _watch(self, request: Request, group: str, selected: Selector) -> None:
        cluster, query = self.server.cluster, request.query
        version = int(query.get("resourceVersion") or cluster.events.version)
        bookmark_interval_s = (
            cluster.bookmark_interval_s if query.get("allowWatchBookmarks", "").lower() == "true" else None
        )
        ends_after_s = float(query.get("timeoutSeconds") or LONGEST_WATCH_S)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            WatchStream(group, selected, version, bookmark_interval_s, ends_after_s).serve(cluster, self._write_chunk)
            self.wfile.write(b"0\r\n\r\n")
        except (ConnectionCut, OSError):
            self._hang_up()

    def _pod(self, namespace: str, name: str) -> Response:
        labels = self.server.cluster.pods.get((namespace, name))
        if labels is None:
            return error_response(404, f"pods {name!r} not found")
        metadata = {"name": name, "namespace": namespace, "uid": pod_uid(name), "labels": labels}
        status = self.server.cluster.pod_statuses.get((namespace, name), {})
        return Response(200, {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "status": status})

    def _namespace(self, request: Request, name: str | None) -> Response:
        """Pretend that every namespace exists. Deleting one deletes its events."""
        if request.method == "DELETE" and name is not None:
            self.server.cluster.events.delete_namespace(name)
        return Response(200, {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name or "created"}})

    def _send(self, response: Response) -> None:
        if response.status <= 0:
            if response.status < 0:
                self.server.cluster.closing.wait()
            self._hang_up()
            return
        self.send_response(response.status)
        for name, value in {"Content-Type": "application/json", **response.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.raw)))
        self.end_headers()
        self.wfile.write(response.raw)

    def _write_chunk(self, data: bytes) -> None:
        if data:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the log out of the output of the tests."""

    do_GET = do_POST = do_PUT = do_DELETE = handle_any


def _kind_of(path: str, query: dict[str, str], method: str) -> RequestKind:
    match = EVENTS.fullmatch(path)
    if method != "GET" or match is None or match[3]:
        return "other"
    if query.get("watch", "").lower() in ("true", "1"):
        return "watch"
    if "resourceVersionMatch" in query:
        return "check"
    return "page" if "continue" in query else "list"


def _selector(namespace: str | None, text: str) -> Selector:
    """Raises: ValueError."""
    is_selected = selector(text)
    return lambda event: namespace in (None, event["metadata"]["namespace"]) and is_selected(event)


def _event_document(event: dict[str, Any] | None, group: str) -> dict[str, Any]:
    return {"kind": "Event", "apiVersion": group, **in_group(event or {}, group)}
