"""The calls about Kubernetes events and alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from taskclient.connection import Call, Connection
from taskclient.kubernetes.models import Alert, AlertPage, EventPage, EventVersionPage, KubernetesEvent, TaskEventPage


@dataclass(frozen=True, slots=True)
class ObjectFilter:
    """Selects Kubernetes objects: any of the values of each field. An empty field selects all."""

    cluster: Sequence[str] = ()
    namespace: Sequence[str] = ()
    kind: Sequence[str] = ()
    name: Sequence[str] = ()
    reason: Sequence[str] = ()

    def query(self) -> list[tuple[str, str]]:
        fields = ("cluster", "namespace", "kind", "name", "reason")
        return [(field, value) for field in fields for value in getattr(self, field)]


ALL_OBJECTS = ObjectFilter()


class KubernetesCalls:
    """The Kubernetes methods of a `Client`."""

    _connection: Connection

    def events(
        self,
        about: ObjectFilter = ALL_OBJECTS,
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
        pairs = [*about.query(), *(("type", value) for value in type)]
        at = None if since is None else since.isoformat()
        pairs += _given(since=at, q=search, limit=limit, before=before, after=after)
        return self._connection.request(Call("GET", "/events", pairs), EventPage)

    def event_versions(self, event_id: int) -> Sequence[KubernetesEvent]:
        """Return every stored version of the event that `event_id` is a version of, in the order of storing."""
        path, items, after = f"/events/{event_id}/versions", list[KubernetesEvent](), 0
        while True:
            page = self._connection.request(Call("GET", path, [("after", str(after))]), EventVersionPage)
            items += page.items
            if page.next_after is None:
                return items
            after = page.next_after

    def task_events(self, task_id: int, *, after: int | None = None, limit: int | None = None) -> TaskEventPage:
        """Return a page of the events about a task's pods after the id `after`, in the order of their arrival."""
        pairs = _given(after=after, limit=limit)
        return self._connection.request(Call("GET", f"/tasks/{task_id}/events", pairs), TaskEventPage)

    def alerts(
        self,
        about: ObjectFilter = ALL_OBJECTS,
        *,
        status: str | None = None,
        limit: int | None = None,
        before: str | None = None,
        after: str | None = None,
    ) -> AlertPage:
        """Return a page of alerts, the latest first: open ones, unless `status` is `resolved` or `all`.

        With `after` (the `next_after` of a page), return those that opened since, in that order.
        """
        pairs = about.query() + _given(status=status, limit=limit, before=before, after=after)
        return self._connection.request(Call("GET", "/alerts", pairs), AlertPage)

    def resolve_alert(self, alert_id: int) -> Alert:
        return self._connection.request(Call("POST", f"/alerts/{alert_id}/resolve"), Alert)


def _given(**values: str | int | None) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in values.items() if value is not None]
