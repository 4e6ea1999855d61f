"""What of that which a cluster gave is kept: events that can be read and are wanted, each with the task it is about."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import structlog
from msgspec import Struct

from collector_k8s.cluster.client import ClusterClient, ClusterError
from collector_k8s.events.event import Event, MalformedEvent, parse_event, task_id_of
from collector_k8s.metrics import EVENTS_REJECTED
from taskcore.settings import KubernetesSettings

Key = tuple[str, str, str]  # namespace, name, uid

MAX_PODS = 10_000
RETRY_AFTER_S = 30.0

log = structlog.stdlib.get_logger(__name__)


class _Metadata(Struct):
    uid: str = ""
    labels: dict[str, str] | None = None


class _Pod(Struct):
    metadata: _Metadata


class EventFilter:
    """For any number of threads."""

    def __init__(self, settings: KubernetesSettings, cluster: ClusterClient) -> None:
        self._name = settings.cluster
        self._reasons = frozenset(settings.reasons)
        self._pods = PodTasks(cluster) if settings.read_pods else None

    def accept(self, raw: msgspec.Raw) -> Event | None:
        """None: it is not wanted, or cannot be read, which is said."""
        try:
            event = parse_event(raw, datetime.now(UTC))
        except MalformedEvent as exc:
            EVENTS_REJECTED.labels(self._name).inc()
            log.warning("event.malformed", cluster=self._name, error=str(exc))
            return None
        if self._reasons and event.reason not in self._reasons:
            return None
        if self._pods is not None and event.task_id is None and event.kind == "Pod":
            return replace(event, task_id=self._pods.task_id(event))
        return event


class PodTasks:
    """Which pods ran a task, by their label: each is asked for once. Trouble there does not hold up the events."""

    def __init__(self, cluster: ClusterClient) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()
        self._known: OrderedDict[Key, int | None] = OrderedDict()
        self._ask_at = 0.0

    def task_id(self, event: Event) -> int | None:
        """None: it ran none, or that cannot be known."""
        pod = (event.namespace, event.name, event.involved_uid)
        with self._lock:
            if pod in self._known:
                self._known.move_to_end(pod)
                return self._known[pod]
            if time.monotonic() < self._ask_at:
                return None
        return self._ask(*pod)

    def _ask(self, namespace: str, name: str, uid: str) -> int | None:
        try:
            pod = _pod.decode(self._cluster.read_pod(namespace, name))
        except (ClusterError, msgspec.DecodeError) as exc:
            if isinstance(exc, ClusterError) and exc.status == 404:
                return self._remember((namespace, name, uid), None)
            self._ask_at = time.monotonic() + RETRY_AFTER_S
            log.warning("pod.lookup_failed", namespace=namespace, pod=name, error=str(exc))
            return None
        is_later = bool(uid and pod.metadata.uid) and pod.metadata.uid != uid  # another one of the same name
        return self._remember((namespace, name, uid), None if is_later else task_id_of(pod.metadata.labels))

    def _remember(self, pod: Key, task_id: int | None) -> int | None:
        with self._lock:
            self._known[pod] = task_id
            while len(self._known) > MAX_PODS:
                self._known.popitem(last=False)
        return task_id


_pod = msgspec.json.Decoder(_Pod)
