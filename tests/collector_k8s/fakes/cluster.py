"""A fake Kubernetes API server over real HTTP, as far as events go: lists in pages, watches, bookmarks, both groups.

Tests make it refuse requests, cut connections, fall silent, forget versions, and expire tokens.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from harness.ports import free_port
from tests.collector_k8s.fakes.event_json import Event
from tests.collector_k8s.fakes.event_log import EventLog
from tests.collector_k8s.fakes.http_server import Server
from tests.collector_k8s.fakes.responses import Request, RequestKind, Response, error_line, error_response
from tests.collector_k8s.fakes.watch_stream import WatchStream


class FakeCluster:
    """Watches get a bookmark every `bookmark_interval_s`; with `None` they get none, as in some real clusters."""

    def __init__(self, directory: Path, *, bookmark_interval_s: float | None = 1.0) -> None:
        self.events = EventLog()
        self.bookmark_interval_s = bookmark_interval_s
        self.requests: list[Request] = []
        self.pods: dict[tuple[str, str], dict[str, str]] = {}
        self.pod_statuses: dict[tuple[str, str], Event] = {}
        self.forbidden: set[str] = set()  # namespaces whose events cannot be read
        self.streams: list[WatchStream] = []
        self.closing = threading.Event()
        self._directory = directory
        self._port = free_port()
        self._server: Server | None = None
        self._responses: dict[RequestKind, deque[Response]] = defaultdict(deque)
        self._token = ""
        self.renew_token()
        self._write_kubeconfig()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def kubeconfig(self) -> Path:
        return self._directory / "kubeconfig.yaml"

    # Changes in the cluster.

    def put(self, *events: Event) -> list[Event]:
        """Create or replace events, and return them as stored."""
        return self.events.put_all(events)

    def put_unnoticed(self, *events: Event) -> list[Event]:
        """Create or replace events without delivering them to watches."""
        return self.events.put_all(events, is_visible=False)

    def delete(self, *events: Event) -> None:
        for event in events:
            self.events.delete(event["metadata"]["namespace"], event["metadata"]["name"])

    def kill_for_memory(self, namespace: str, name: str, container: str, restarts: int) -> None:
        """Write into the pod's status that its container was killed and has been restarted."""
        self.pods.setdefault((namespace, name), {})
        terminated = {"reason": "OOMKilled", "exitCode": 137, "finishedAt": f"2026-03-01T10:0{restarts}:00Z"}
        status = {"name": container, "restartCount": restarts, "lastState": {"terminated": terminated}}
        self.pod_statuses[namespace, name] = {"containerStatuses": [status]}

    def label_pod(self, namespace: str, name: str, **labels: str) -> None:
        self.pods[namespace, name] = labels

    # The behaviour of the API server.

    def respond_next(self, kind: RequestKind, *responses: Response) -> None:
        """Give these responses to the next requests of that kind, one each."""
        self._responses[kind].extend(responses)

    def respond_normally(self) -> None:
        self._responses.clear()

    def cut_streams(self, *, within_a_line: bool = False) -> None:
        """Break the connection of every watch."""
        self._for_each_stream(
            lambda stream: stream.cut(b'{"type":"ADDED","object":{"kind":"Ev' if within_a_line else b"")
        )

    def silence_streams(self) -> None:
        """Send nothing more over the connections of the watches, as if they were half-open."""
        self._for_each_stream(WatchStream.silence)

    def fail_streams(self, status: int = 410) -> None:
        """End every watch with an error in its stream."""
        self._for_each_stream(lambda stream: stream.end(error_line(status)))

    def expire_token(self) -> None:
        """Refuse the token in the file."""
        self._token = uuid4().hex

    def renew_token(self) -> None:
        """Write a new token to the file."""
        self._token = uuid4().hex
        (self._directory / "token").write_text(self._token)

    def start(self, tls: ssl.SSLContext | None = None) -> None:
        """Listen, at the same address each time."""
        self._server = Server(self, self._port, tls)

    def stop(self) -> None:
        """Stop listening and cut all connections. Does nothing when it is stopped already."""
        if self._server is not None:
            self.closing.set()
            self._for_each_stream(WatchStream.cut)
            self._server.close()
            self._server = None
            self.closing = threading.Event()

    # What clients have requested.

    def requests_of(self, kind: RequestKind) -> list[Request]:
        return [request for request in list(self.requests) if request.kind == kind]

    @property
    def open_streams(self) -> list[WatchStream]:
        """The watches that deliver changes. A client that hung up is noticed at the next write."""
        return [stream for stream in list(self.streams) if stream.is_open]

    def scripted(self, request: Request) -> Response | None:
        """Record the request, and return the response that a test has scripted for it, if any."""
        self.requests.append(request)
        if responses := self._responses[request.kind]:
            return responses.popleft()
        return None if request.token == self._token else error_response(401, "Unauthorized")

    def _for_each_stream(self, action: Callable[[WatchStream], None]) -> None:
        with self.events.changed:
            for stream in self.streams:
                action(stream)
            self.events.changed.notify_all()

    def _write_kubeconfig(self) -> None:
        token_file = str(self._directory / "token")
        user_and_cluster = {"cluster": "fake", "user": "collector"}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "collector", "user": {"tokenFile": token_file}}],
            "contexts": [{"name": "fake", "context": user_and_cluster}],
            "current-context": "fake",
        }
        self.kubeconfig.write_text(json.dumps(document))  # JSON is YAML


@contextmanager
def running_cluster(directory: Path, *, bookmark_interval_s: float | None = 1.0) -> Iterator[FakeCluster]:
    cluster = FakeCluster(directory, bookmark_interval_s=bookmark_interval_s)
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


def names(events: Iterable[Event]) -> list[str]:
    return [event["metadata"]["name"] for event in events]
