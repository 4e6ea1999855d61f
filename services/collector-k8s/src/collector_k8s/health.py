"""The state of this copy for `/readyz` and the metrics: what it waits for, or when each stream was last seen."""

from __future__ import annotations

import threading
import time
from enum import StrEnum

from collector_k8s.metrics import IS_LEADER, STALENESS


class CollectorState(StrEnum):
    STARTING = "starting"
    NO_CLUSTER = "no cluster"  # healthy: there is nothing to collect
    UNUSABLE = "unusable credentials"  # a cluster is named, and its kubeconfig or token cannot be used
    STANDBY = "standby"  # another copy collects
    LEADER = "leader"


class CollectorStatus:
    """Written by the collector's threads and read by the health server's.

    A stream is the events of one scope. It is stale when nothing proved it alive for `stale_after_s`.
    """

    def __init__(self, cluster: str, stale_after_s: float) -> None:
        self._stale_after_s = stale_after_s
        self._lock = threading.Lock()
        self._state = CollectorState.STARTING
        self._entered_at = time.monotonic()
        self._reason = ""
        self._seen_at: dict[str, float | None] = {}
        self._errors: dict[str, str] = {}
        self._with_bookmarks: set[str] = set()
        self.has_database = True
        STALENESS.labels(cluster).set_function(self.staleness_s)
        IS_LEADER.labels(cluster).set_function(lambda: float(self._state == CollectorState.LEADER))

    def enter(self, state: CollectorState, reason: str = "", scopes: tuple[str, ...] = ()) -> None:
        """Change the state. `scopes` are the streams that have to be seen from now on."""
        with self._lock:
            if state != self._state:
                self._entered_at = time.monotonic()
            self._state, self._reason, self._seen_at, self._errors = state, reason, dict.fromkeys(scopes), {}
            self._with_bookmarks = set()

    def connected(self, scope: str) -> None:
        """The stream's first connection starts its clock. A later one is not a sign of life."""
        with self._lock:
            if scope in self._seen_at and self._seen_at[scope] is None:
                self._seen_at[scope] = time.monotonic()

    def seen(self, scope: str) -> None:
        """The stream delivered an event or a bookmark, or its watch ended in order."""
        with self._lock:
            if scope in self._seen_at:
                self._seen_at[scope] = time.monotonic()
                self._errors.pop(scope, None)

    def bookmark_seen(self, scope: str) -> None:
        """The stream delivered a bookmark, so more are expected."""
        self._with_bookmarks.add(scope)
        self.seen(scope)

    def listed(self, scope: str) -> None:
        """A list completed: the only sign of life of a quiet stream without bookmarks."""
        if self.has_bookmarks(scope):
            self.connected(scope)
        else:
            self.seen(scope)

    def has_bookmarks(self, scope: str) -> bool:
        """Return whether any came: API servers send none for what their watch cache lacks, as events by default."""
        return scope in self._with_bookmarks

    def failed(self, scope: str, error: str) -> None:
        """Remember the error until the stream is seen again."""
        with self._lock:
            self._errors[scope] = error

    def staleness_s(self) -> float:
        """Return the time since the stalest stream was seen, or was to be read first; 0 without any stream."""
        with self._lock:
            seen_at = [self._entered_at if at is None else at for at in self._seen_at.values()]
            if self._state == CollectorState.UNUSABLE:
                seen_at.append(self._entered_at)
        return max((time.monotonic() - at for at in seen_at), default=0.0)

    def is_ready(self) -> bool:
        if self._state in (CollectorState.STARTING, CollectorState.UNUSABLE) or not self.has_database:
            return False
        return self._state != CollectorState.LEADER or not self._stale_scopes()

    def details(self) -> dict[str, object]:
        """Return what `/readyz` shows beside whether this copy is ready."""
        details: dict[str, object] = {"kubernetes": str(self._state), "database": self.has_database}
        if self._reason:
            details["reason"] = self._reason
        if self._state == CollectorState.LEADER and (stale := self._stale_scopes()):
            details["stale"] = {scope or "all namespaces": self._errors.get(scope, "silence") for scope in stale}
        return details

    def _stale_scopes(self) -> list[str]:
        now = time.monotonic()
        with self._lock:
            return [scope for scope, at in self._seen_at.items() if at is None or now - at >= self._stale_after_s]
