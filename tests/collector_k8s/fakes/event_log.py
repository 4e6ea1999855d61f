"""The events of a fake cluster, the changes with their versions, and the pages of lists."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from tests.collector_k8s.fakes.event_json import Event, encoded

Selector = Callable[[Event], bool]
FIRST_VERSION = 1_000  # as in a real cluster, where other objects have used the versions before


class Expired(Exception):
    """The version or the page is forgotten, which gives status 410."""


@dataclass(frozen=True)
class Change:
    """A change. `event` is never modified. Watches only deliver the change when `is_visible`."""

    version: int
    type: str
    event: Event
    is_visible: bool

    def line(self, group: str) -> bytes:
        return b'{"type":"%b","object":%b}\n' % (self.type.encode(), encoded(self.event, group))


@dataclass(frozen=True)
class Page:
    version: int
    events: list[Event]
    token: str
    remaining: int


class EventLog:
    """A condition, `changed`, is held for each read and write, and is notified of each write."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.version = FIRST_VERSION
        self._events: dict[tuple[str, str], Event] = {}
        self._changes: list[Change] = []
        self._known_from = FIRST_VERSION
        self._pages: dict[str, tuple[int, list[Event]]] = {}

    def put(self, event: Event, *, is_visible: bool = True) -> Event:
        """Create or replace an event."""
        return self.put_all([event], is_visible=is_visible)[0]

    def put_all(self, events: Iterable[Event], *, is_visible: bool = True) -> list[Event]:
        with self.changed:
            stored = [self._put(event, is_visible) for event in events]
            self.changed.notify_all()
            return stored

    def get(self, namespace: str, name: str) -> Event | None:
        with self.changed:
            return self._events.get((namespace, name))

    def delete(self, namespace: str, name: str) -> Event | None:
        with self.changed:
            if event := self._events.pop((namespace, name), None):
                event = self._change("DELETED", event, is_visible=True)
                self.changed.notify_all()
            return event

    def delete_namespace(self, namespace: str) -> None:
        with self.changed:
            for of_namespace, name in list(self._events):
                if of_namespace == namespace:
                    self.delete(namespace, name)

    def forget_changes(self) -> None:
        """Expire all versions before now, and all lists that have been started."""
        with self.changed:
            self.version += 1
            self._known_from = self.version
            self._pages.clear()

    def set_back(self, version: int) -> None:
        """Restore what there was at `version`, as from a backup of etcd. Changes since then never happened."""
        with self.changed:
            self._changes = [change for change in self._changes if change.version <= version]
            self._events.clear()
            for change in self._changes:
                key = change.event["metadata"]["namespace"], change.event["metadata"]["name"]
                self._events.pop(key, None)
                if change.type != "DELETED":
                    self._events[key] = change.event
            self.version = version
            self._pages.clear()

    def lose_events(self) -> None:
        """Delete all events as expired, without any change for watches."""
        with self.changed:
            self._events.clear()
            self.forget_changes()

    def first_page(self, selector: Selector, limit: int) -> Page:
        with self.changed:
            events = [event for _, event in sorted(self._events.items()) if selector(event)]
            return self._page(self.version, events, limit)

    def next_page(self, token: str, limit: int) -> Page:
        """Return the next page, with the version of the first one. Raises: Expired."""
        with self.changed:
            if token not in self._pages:
                raise Expired
            return self._page(*self._pages[token], limit)

    def require_known(self, version: int) -> None:
        """Raises: Expired: the changes after `version` are forgotten."""
        if version < self._known_from:
            raise Expired

    def changes_after(self, version: int) -> list[Change]:
        with self.changed:
            first = len(self._changes)
            while first and self._changes[first - 1].version > version:
                first -= 1
            return [change for change in self._changes[first:] if change.is_visible]

    def _put(self, event: Event, is_visible: bool) -> Event:
        key = event["metadata"]["namespace"], event["metadata"]["name"]
        before = self._events.get(key)
        metadata: dict[str, Any] = {"uid": str(uuid4()), "creationTimestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
        if before is not None:
            metadata = {name: before["metadata"][name] for name in metadata}
        event = {**event, "metadata": metadata | event["metadata"]}
        self._events[key] = self._change("ADDED" if before is None else "MODIFIED", event, is_visible)
        return self._events[key]

    def _change(self, type_: str, event: Event, is_visible: bool) -> Event:
        self.version += 1
        event = {**event, "metadata": event["metadata"] | {"resourceVersion": str(self.version)}}
        self._changes.append(Change(self.version, type_, event, is_visible))
        return event

    def _page(self, version: int, events: list[Event], limit: int) -> Page:
        rest = events[limit:] if limit else []
        token = uuid4().hex if rest else ""
        if rest:
            self._pages[token] = version, rest
        return Page(version, events[: limit or None], token, len(rest))
