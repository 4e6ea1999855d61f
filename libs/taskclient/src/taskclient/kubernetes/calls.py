"""The calls about Kubernetes events and alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from taskclient.connection import Connection
from taskclient.kubernetes.models import Alert, AlertPage, EventPage, KubernetesEvent
from taskclient.models import GrowingPage, Page


@dataclass(frozen=True, slots=True)
class ObjectFilter:
    """Selects Kubernetes objects: any of the values of each field. An empty field selects all."""

    cluster: Sequence[str] = ()
    namespace: Sequence[str] = ()
    kind: Sequence[str] = ()
    name: Sequence[str] = ()
    reason: Sequence[str] = ()


ALL_OBJECTS = ObjectFilter()


class KubernetesCalls:
    """The Kubernetes methods of a `Client`."""

    _connection: Connection

    def events(
        self,
        objects: ObjectFilter = ALL_OBJECTS,
        *,
        type: Sequence[str] = (),
        since: datetime | None = None,
        search: str | None = None,
        limit: int | None = None,
        before: str | None = None,
        after: str | None = None,
    ) -> EventPage:
        """Return a page of events, newest first.

        With `after` (the `next_after` of a page), return what was stored since, in that order.
        """
        page = {"limit": limit, "before": before, "after": after}
        return self._connection.get("/events", EventPage, **asdict(objects), type=type, since=since, q=search, **page)

    def event_versions(self, event_id: int) -> Sequence[KubernetesEvent]:
        """Return every stored version of the event that `event_id` is a version of, in the order of storing."""
        return self._connection.get_all(f"/events/{event_id}/versions", Page[KubernetesEvent])

    def task_events(
        self, task_id: int, *, after: int | None = None, limit: int | None = None
    ) -> GrowingPage[KubernetesEvent, int]:
        """Return a page of the events about a task's pods after the id `after`, in the order of their arrival."""
        page = GrowingPage[KubernetesEvent, int]
        return self._connection.get(f"/tasks/{task_id}/events", page, after=after, limit=limit)

    def alerts(
        self,
        objects: ObjectFilter = ALL_OBJECTS,
        *,
        status: str | None = None,
        limit: int | None = None,
        before: str | None = None,
        after: str | None = None,
    ) -> AlertPage:
        """Return a page of alerts, the latest first: open ones, unless `status` is `resolved` or `all`.

        With `after` (the `next_after` of a page), return those that opened since, in that order.
        """
        page = {"limit": limit, "before": before, "after": after}
        return self._connection.get("/alerts", AlertPage, **asdict(objects), status=status, **page)

    def resolve_alert(self, alert_id: int) -> Alert:
        return self._connection.post(f"/alerts/{alert_id}/resolve", Alert)
