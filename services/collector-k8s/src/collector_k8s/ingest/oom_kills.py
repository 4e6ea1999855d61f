"""Events about containers that were killed for memory. The cluster makes none: only the pod's status shows it.

An event about a restart is the occasion to read the pod's status.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from collector_k8s.events.event_document import MAX_NAME_LENGTH, Time
from collector_k8s.ingest.pod_reader import PodReader, PodUnreadable
from taskcore.domain.kubernetes_events import Event

OOM_KILLED = "OOMKilled"
COMPONENT = "taskcore-collector-k8s"
#: Versions of events whose pod has been read are remembered, up to this number.
MAX_READ = 10_000


class _Terminated(Struct, rename="camel", frozen=True):
    reason: str = ""
    exit_code: int = 0
    finished_at: Time | None = None


class _State(Struct, frozen=True):
    terminated: _Terminated | None = None


class _ContainerStatus(Struct, rename="camel", frozen=True):
    name: str
    restart_count: int = 0
    state: _State = _State()
    last_state: _State = _State()


class _Metadata(Struct, frozen=True):
    uid: str = ""


class _Status(Struct, rename="camel", frozen=True):
    container_statuses: list[_ContainerStatus] | None = None
    init_container_statuses: list[_ContainerStatus] | None = None


class _Pod(Struct, frozen=True):
    metadata: _Metadata
    status: _Status = _Status()


class OomKills:
    """Reads the pods of events about restarts, each version of an event once. Thread-safe."""

    def __init__(self, pods: PodReader) -> None:
        self._pods = pods
        self._lock = threading.Lock()
        self._read: OrderedDict[tuple[str, str], None] = OrderedDict()

    def found_by(self, event: Event) -> list[Event]:
        """Return an event for each container of the pod that was killed for memory last."""
        version = (event.uid, event.resource_version)
        with self._lock:
            if not _tells_of_restart(event) or version in self._read:
                return []
        try:
            pod = self._pods.read(event.namespace, event.name, _Pod)
        except PodUnreadable:
            return []
        self._remember(version)
        return [] if pod is None else list(_oom_events(event, pod))

    def _remember(self, version: tuple[str, str]) -> None:
        with self._lock:
            self._read[version] = None
            while len(self._read) > MAX_READ:
                self._read.popitem(last=False)


def _tells_of_restart(event: Event) -> bool:
    return event.kind == "Pod" and (event.reason == "BackOff" or (event.reason == "Started" and event.count > 1))


def _oom_events(event: Event, pod: _Pod) -> Iterator[Event]:
    """Yield the kills in the status of the pod that `event` is about, unless it is a newer pod of the same name."""
    if not pod.metadata.uid or pod.metadata.uid != event.involved_uid:
        return
    for container in (pod.status.container_statuses or []) + (pod.status.init_container_statuses or []):
        for number, state in enumerate((container.last_state, container.state), start=container.restart_count):
            if state.terminated is not None and state.terminated.reason == OOM_KILLED:
                yield _oom_event(event, container.name, number, state.terminated)


def _oom_event(event: Event, container: str, number: int, terminated: _Terminated) -> Event:
    """Return the event of the end number `number` of a container: versions of one event, as of any that recurs."""
    at: datetime = terminated.finished_at or event.at
    return Event(
        uid=f"{event.involved_uid}/{container}"[:MAX_NAME_LENGTH],
        resource_version=str(number),
        namespace=event.namespace,
        kind=event.kind,
        name=event.name,
        reason=OOM_KILLED,
        type="Warning",
        message=f"Container {container} was killed for memory, with exit code {terminated.exit_code}",
        component=COMPONENT,
        count=1,
        first_at=at,
        at=at,
        involved_uid=event.involved_uid,
    )
