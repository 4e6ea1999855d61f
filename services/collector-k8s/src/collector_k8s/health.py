"""How this copy is doing, for `/readyz` and the metrics: what it waits for, or when each stream was heard last."""

from __future__ import annotations

import threading
import time
from enum import StrEnum

from collector_k8s.metrics import IS_LEADER, STALENESS


class CollectorState(StrEnum):
    STARTING = "starting"
    NO_CLUSTER = "no cluster"  # nothing is broken: there is nothing to collect
    STANDBY = "standby"  # another copy is at work
    LEADER = "leader"


class CollectorStatus:
    """Written by the threads that work, read by whoever asks."""

    def __init__(self, cluster: str, stale_after_s: float) -> None:
        self._stale_after_s = stale_after_s
        self._lock = threading.Lock()
        self._state = CollectorState.STARTING
        self._why = ""
        self._heard: dict[str, float | None] = {}
        self._troubles: dict[str, str] = {}
        self._with_bookmarks: set[str] = set()
        self.has_database = True
        STALENESS.labels(cluster).set_function(self.staleness_s)
        IS_LEADER.labels(cluster).set_function(lambda: float(self.state == CollectorState.LEADER))

    @property
    def state(self) -> CollectorState:
        return self._state

    def enter(self, state: CollectorState, reason: str = "", scopes: tuple[str, ...] = ()) -> None:
        """`scopes`: the streams that are to be heard from now on."""
        with self._lock:
            self._state, self._why, self._heard, self._troubles = state, reason, dict.fromkeys(scopes), {}
            self._with_bookmarks = set()

    def connected(self, scope: str) -> None:
        """The silence begins to count with the first connection. A later one is no sign that anything will come."""
        with self._lock:
            if scope in self._heard and self._heard[scope] is None:
                self._heard[scope] = time.monotonic()

    def seen(self, scope: str) -> None:
        """An event or a bookmark came, or the end of a watch in order."""
        with self._lock:
            if scope in self._heard:
                self._heard[scope] = time.monotonic()
                self._troubles.pop(scope, None)

    def bookmark_seen(self, scope: str) -> None:
        """As `heard`. From now on it is known that bookmarks come."""
        self._with_bookmarks.add(scope)
        self.seen(scope)

    def listed(self, scope: str) -> None:
        """A whole list came. That is as much as there is to be heard of a quiet cluster that sends no bookmarks."""
        if self.has_bookmarks(scope):
            self.connected(scope)
        else:
            self.seen(scope)

    def has_bookmarks(self, scope: str) -> bool:
        """Whether one ever came: API servers send none for what is not in their watch cache, as events usually."""
        return scope in self._with_bookmarks

    def failed(self, scope: str, error: str) -> None:
        """It stands until the stream is heard again."""
        with self._lock:
            self._troubles[scope] = error

    def staleness_s(self) -> float:
        """Of the stream that was not heard for the longest; 0 where none is to be heard."""
        with self._lock:
            heard = [at for at in self._heard.values() if at is not None]
        return max((time.monotonic() - at for at in heard), default=0.0)

    def is_ready(self) -> bool:
        if self._state == CollectorState.STARTING or not self.has_database:
            return False
        return self._state != CollectorState.LEADER or not self._unheard()

    def details(self) -> dict[str, object]:
        """What `/readyz` says beside whether this copy is ready."""
        told: dict[str, object] = {"kubernetes": str(self._state), "database": self.has_database}
        if self._why:
            told["reason"] = self._why
        if self._state == CollectorState.LEADER and (unheard := self._unheard()):
            told["deaf"] = {scope or "all namespaces": self._troubles.get(scope, "silence") for scope in unheard}
        return told

    def _unheard(self) -> list[str]:
        now = time.monotonic()
        with self._lock:
            return [scope for scope, at in self._heard.items() if at is None or now - at >= self._stale_after_s]
