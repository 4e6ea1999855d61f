"""The choice of events to store, each with the id of the task that it is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import structlog

from collector_k8s.cluster.client import ClusterClient
from collector_k8s.events.event_document import MalformedEvent, parse_event
from collector_k8s.ingest.pod_tasks import PodTasks
from collector_k8s.metrics import EVENTS_REJECTED
from taskcore.domain.kubernetes_events import Event
from taskcore.settings import KubernetesSettings

log = structlog.stdlib.get_logger(__name__)


class EventFilter:
    """Parses events and drops unwanted ones. Thread-safe."""

    def __init__(self, settings: KubernetesSettings, cluster: ClusterClient) -> None:
        self._cluster_name = settings.cluster
        self._reasons = frozenset(settings.reasons)
        self._pods = PodTasks(cluster) if settings.read_pods else None

    def accept(self, raw: msgspec.Raw) -> Event | None:
        """Return the event to store, or `None` when it is unwanted or malformed. Malformed events are logged."""
        try:
            event = parse_event(raw, datetime.now(UTC))
        except MalformedEvent as exc:
            EVENTS_REJECTED.labels(self._cluster_name).inc()
            log.warning("event.malformed", cluster=self._cluster_name, error=str(exc))
            return None
        if self._reasons and event.reason not in self._reasons:
            return None
        if self._pods is not None and event.task_id is None and event.kind == "Pod":
            return replace(event, task_id=self._pods.task_id(event))
        return event
