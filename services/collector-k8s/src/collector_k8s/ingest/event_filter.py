"""The choice of events to store, each with the id of the task that it is about."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import structlog
from msgspec import Struct

from collector_k8s.cluster.client import ClusterClient
from collector_k8s.events.event_document import MalformedEvent, ObjectMeta, parse_event, task_id_of
from collector_k8s.ingest.oom_kills import OomKills
from collector_k8s.ingest.pod_reader import PodReader, PodUnreadable
from collector_k8s.metrics import EVENTS_REJECTED
from taskcore.domain.kubernetes_events import Event
from taskcore.settings import KubernetesSettings

PodKey = tuple[str, str, str]  # namespace, name, uid

MAX_PODS = 10_000

log = structlog.stdlib.get_logger(__name__)


class EventFilter:
    """Parses events and drops unwanted ones. Thread-safe."""

    def __init__(self, settings: KubernetesSettings, cluster: ClusterClient) -> None:
        self._cluster_name = settings.cluster
        self._reasons = frozenset(settings.reasons)
        pods = PodReader(cluster)
        self._pods = PodTasks(pods) if settings.read_pods else None
        self._oom_kills = OomKills(pods) if settings.read_pods else None

    def accept(self, raw: msgspec.Raw) -> list[Event]:
        """Return the event to store, after those that its pod's status tells of.

        Unwanted and malformed events are left out. Malformed events are logged.
        """
        try:
            event = parse_event(raw, datetime.now(UTC))
        except MalformedEvent as exc:
            EVENTS_REJECTED.labels(self._cluster_name).inc()
            log.warning("event.malformed", cluster=self._cluster_name, error=str(exc))
            return []
        kills = [] if self._oom_kills is None else self._oom_kills.found_by(event)
        return [self._with_task(one) for one in (*kills, event) if not self._reasons or one.reason in self._reasons]

    def _with_task(self, event: Event) -> Event:
        if self._pods is not None and event.task_id is None and event.kind == "Pod":
            return replace(event, task_id=self._pods.task_id(event))
        return event


class _Pod(Struct):
    metadata: ObjectMeta


class PodTasks:
    """Which task a pod ran, by its label. Looks up each pod once. Thread-safe.

    While pods cannot be read, events are stored without their task.
    """

    def __init__(self, pods: PodReader) -> None:
        self._pods = pods
        self._lock = threading.Lock()
        self._known: OrderedDict[PodKey, int | None] = OrderedDict()

    def task_id(self, event: Event) -> int | None:
        """Return the task of the pod that `event` is about. `None` when it ran no task, or the lookup fails."""
        pod = (event.namespace, event.name, event.involved_uid)
        with self._lock:
            if pod in self._known:
                self._known.move_to_end(pod)
                return self._known[pod]
        return self._look_up(*pod)

    def _look_up(self, namespace: str, name: str, uid: str) -> int | None:
        try:
            pod = self._pods.read(namespace, name, _Pod)
        except PodUnreadable:
            return None
        is_another = pod is not None and uid and pod.metadata.uid not in ("", uid)  # a newer pod of the same name
        labels = None if pod is None or is_another else pod.metadata.labels
        return self._remember((namespace, name, uid), task_id_of(labels))

    def _remember(self, pod: PodKey, task_id: int | None) -> int | None:
        with self._lock:
            self._known[pod] = task_id
            while len(self._known) > MAX_PODS:
                self._known.popitem(last=False)
        return task_id
