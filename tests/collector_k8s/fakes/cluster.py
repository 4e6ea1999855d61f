"""A fake Kubernetes API server over real HTTP, as far as events go: lists in pages, watches, bookmarks, both groups.

It does as it is told to: refuses, cuts connections, falls silent, forgets, and lets tokens expire.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from harness.ports import free_port
from tests.collector_k8s.fakes.event_json import Event
from tests.collector_k8s.fakes.event_log import EventLog
from tests.collector_k8s.fakes.http_server import Server
from tests.collector_k8s.fakes.responses import Request, RequestKind, Response, error_line, error_response
from tests.collector_k8s.fakes.watch_stream import WatchStream


class FakeCluster:
    """`bookmark_interval_s`: how often a watch is sent a bookmark; None: never, as clusters may."""

    def __init__(self, directory: Path, *, bookmark_interval_s: float | None = 1.0) -> None:
        self.store = EventLog()
        self.bookmark_interval_s = bookmark_interval_s
        self.requests: list[Request] = []
        self.pods: dict[tuple[str, str], dict[str, str]] = {}
        self.forbidden: set[str] = set()  # namespaces whose events may not be read
        self.streams: list[WatchStream] = []
        self.closing = threading.Event()
        self._directory = directory
        self._port = free_port()
        self._server: Server | None = None
        self._answers: dict[RequestKind, deque[Response]] = defaultdict(deque)
        self._token = ""
        self.renew_token()
        self._write_kubeconfig()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def kubeconfig(self) -> Path:
        return self._directory / "kubeconfig.yaml"

    # What happens in the cluster.

    def put(self, *events: Event) -> list[Event]:
        """Events are made, or replaced if they are there already. Answers them as they are kept."""
        return self.store.put_all(events)

    def put_unnoticed(self, *events: Event) -> list[Event]:
        """No watch is told of these."""
        return self.store.put_all(events, is_told=False)

    def delete(self, *events: Event) -> None:
        for event in events:
            self.store.delete(event["metadata"]["namespace"], event["metadata"]["name"])

    def label_pod(self, namespace: str, name: str, **labels: str) -> None:
        self.pods[namespace, name] = labels

    # What the API server does to those who ask it.

    def respond_next(self, ask: RequestKind, *answers: Response) -> None:
        """Do this to the next requests of that kind, one each."""
        self._answers[ask].extend(answers)

    def respond_normally(self) -> None:
        self._answers.clear()

    def cut_streams(self, *, within_a_line: bool = False) -> None:
        """Every watch's connection breaks."""
        self._tell_streams(lambda stream: stream.cut(b'{"type":"ADDED","object":{"kind":"Ev' if within_a_line else b""))

    def silence_streams(self) -> None:
        """The connections of the watches stay as they are, and nothing comes any more: they are half-open."""
        self._tell_streams(WatchStream.silence)

    def fail_streams(self, status: int = 410) -> None:
        """Every watch is told an error in its stream, and ends."""
        self._tell_streams(lambda stream: stream.end(error_line(status)))

    def expire_token(self) -> None:
        """The token that is in the file is not taken any more."""
        self._token = uuid4().hex

    def renew_token(self) -> None:
        """There is a new token in the file."""
        self._token = uuid4().hex
        (self._directory / "token").write_text(self._token)

    def start(self, tls: ssl.SSLContext | None = None) -> None:
        """At the same address each time."""
        self._server = Server(self, self._port, tls)

    def stop(self) -> None:
        """Nobody listens any more, and all connections are cut. Does nothing when it is stopped already."""
        if self._server is not None:
            self.closing.set()
            self._tell_streams(WatchStream.cut)
            self._server.close()
            self._server = None
            self.closing = threading.Event()

    # What those who ask have done.

    def requests_of(self, ask: RequestKind) -> list[Request]:
        return [request for request in list(self.requests) if request.kind == ask]

    @property
    def open_streams(self) -> list[WatchStream]:
        """The watches that are told of changes. Whether somebody still listens is known once something is sent."""
        return [stream for stream in list(self.streams) if stream.is_open]

    def scripted(self, request: Request) -> Response | None:
        """What was told to be done to this request."""
        self.requests.append(request)
        if answers := self._answers[request.kind]:
            return answers.popleft()
        return None if request.token == self._token else error_response(401, "Unauthorized")

    def _tell_streams(self, tell: Any) -> None:
        with self.store.changed:
            for stream in self.streams:
                tell(stream)
            self.store.changed.notify_all()

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
