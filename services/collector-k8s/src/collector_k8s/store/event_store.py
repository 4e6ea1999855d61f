"""Storing what was read in one transaction: new versions, cursors, gaps, and what the hook does with the events.

The transaction starts by locking the lease, so a copy that was replaced writes nothing. Storing the same items again
changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import msgspec
import structlog
from sqlalchemy import Connection, Engine, Executable, Result

from collector_k8s.clock import monotonic_s
from collector_k8s.events import rate_limit
from collector_k8s.events.buffer_item import BufferItem
from collector_k8s.events.versions import CurrentVersion, VersionPlan, missing_task_ids, new_versions, plan_versions
from collector_k8s.lease import Lease, LeaseLost
from collector_k8s.metrics import EVENTS, EVENTS_RATE_LIMITED, GAPS
from taskcore.db.engine import is_database_unavailable
from taskcore.db.kubernetes import events as k8s_events
from taskcore.db.kubernetes.collector_leases import fence
from taskcore.domain.kubernetes_events import Event, StoredEvent

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """`max_per_minute` events of one reason and namespace are stored. A limited minute is remembered for `memory`.

    Events older than `max_age_s` are not stored: retention would delete them, and the next list bring them back.
    """

    max_per_minute: int
    memory: timedelta
    max_age_s: Callable[[], float | None] = lambda: None


class EventHook(Protocol):
    """What reacts to stored events."""

    def on_stored(self, connection: Connection, events: Sequence[StoredEvent]) -> bool:
        """React to new current versions, in the transaction that stores them.

        Return whether `after_commit` has to be called.
        """

    def after_commit(self) -> None:
        """Follow up once the transaction has been committed."""

    def resolve_inactive(self, connection: Connection, cluster: str, scopes: Sequence[str]) -> bool:
        """Resolve a batch of inactive alerts. Called every few seconds, in a transaction of its own.

        `scopes` are those of the cluster that are being read. Return whether there may be more.
        """


class EventStore:
    """Stores the events of one cluster, in one thread, for as long as one lease is held."""

    def __init__(self, engine: Engine, cluster: str, lease: Lease, limits: StoreLimits, hook: EventHook) -> None:
        self._engine = engine.execution_options(isolation_level="READ COMMITTED")
        self._cluster = cluster
        self._lease = {"lease": lease.name, "mine": lease.epoch}
        self._limits = limits
        self._hook = hook
        self._rates = rate_limit.RateState(datetime.min.replace(tzinfo=UTC))

    def store(self, items: Sequence[BufferItem]) -> None:
        """Store all `items` or none. Raises `LeaseLost`."""
        with self._engine.begin() as connection:
            now = self._lock_lease(connection)
            self._record_set_back(connection, items)
            live, relisted = self._recent(items, now)
            known = self._known(connection, [*live, *relisted])
            admitted, limited, rates = self._admit(new_versions(live, known), new_versions(relisted, known), now)
            planned = plan_versions(admitted, known)
            stored = self._add_versions(connection, planned)
            self._set_task_ids(connection, missing_task_ids([*live, *relisted], known))
            self._record_gaps(connection, items, limited)
            self._set_cursors(connection, items)
            needs_commit_hook = self._call_hook(connection, stored)
        self._rates = rates
        self._count(planned, limited, items)
        if needs_commit_hook:
            self._hook.after_commit()

    def resolve_inactive(self, scopes: Sequence[str]) -> None:
        """Resolve the alerts that have become inactive. Raises `LeaseLost`."""
        has_more = True
        while has_more:
            with self._engine.begin() as connection:
                self._lock_lease(connection)
                has_more = self._hook.resolve_inactive(connection, self._cluster, scopes)

    def _lock_lease(self, connection: Connection) -> datetime:
        """Return the database's time."""
        row = connection.execute(fence(), self._lease).one_or_none()
        if row is None:
            raise LeaseLost
        now: datetime = row.now
        return now

    def _recent(self, items: Sequence[BufferItem], now: datetime) -> tuple[list[Event], list[Event]]:
        """Return the events that are young enough: those that were watched or first listed, and the relisted ones."""
        max_age_s = self._limits.max_age_s()
        oldest = None if max_age_s is None else now - timedelta(seconds=max_age_s)
        events: tuple[list[Event], list[Event]] = ([], [])
        for item in items:
            if item.event is not None and (oldest is None or item.event.at >= oldest):
                events[item.is_relist].append(item.event)
        return events

    def _known(self, connection: Connection, events: Iterable[Event]) -> dict[str, CurrentVersion]:
        uids = sorted({event.uid for event in events})
        if not uids:
            return {}
        rows = self._execute(connection, k8s_events.current_versions(), uids=uids)
        return {
            row.uid: CurrentVersion(row.id, row.resource_version, row.task_id, frozenset(row.outdated or ()))
            for row in rows
        }

    def _admit(
        self, live: Sequence[Event], relisted: Sequence[Event], now: datetime
    ) -> tuple[list[Event], Counter[rate_limit.RateKey], rate_limit.RateState]:
        rates = rate_limit.advance(self._rates, now, self._limits.memory)
        admitted, limited, rates = rate_limit.admit(rates, live, self._limits.max_per_minute)
        return new_versions([*admitted, *rate_limit.drop_limited(rates, relisted)], {}), limited, rates

    def _add_versions(self, connection: Connection, planned: VersionPlan) -> list[StoredEvent]:
        """Return the new current versions."""
        if planned.superseded:
            connection.execute(k8s_events.mark_superseded(), {"ids": planned.superseded})
        rows = [asdict(event) | {"is_current": True} for event in planned.current]
        rows += [asdict(event) | {"is_current": False} for event in planned.earlier]
        if not rows:
            return []
        added = self._execute(connection, k8s_events.add_versions(), rows=msgspec.json.encode(rows).decode())
        ids = {(row.uid, row.resource_version): row.id for row in added}
        return [
            StoredEvent(**asdict(event), id=ids[event.uid, event.resource_version], cluster=self._cluster)
            for event in planned.current
        ]

    def _set_task_ids(self, connection: Connection, task_ids: Mapping[int, int]) -> None:
        if task_ids:
            connection.execute(k8s_events.set_task_ids(), {"ids": list(task_ids), "tasks": list(task_ids.values())})

    def _record_set_back(self, connection: Connection, items: Sequence[BufferItem]) -> None:
        for item in items:
            if item.is_set_back:
                self._execute(connection, k8s_events.record_set_back(), of_scope=item.scope)

    def _record_gaps(
        self, connection: Connection, items: Sequence[BufferItem], limited: Counter[rate_limit.RateKey]
    ) -> None:
        for item in items:
            if item.gap_since is not None:
                ago_s = monotonic_s() - item.gap_since
                self._execute(connection, k8s_events.record_lost(), in_namespace=item.scope, ago_s=ago_s)
        for (namespace, reason, minute), count in limited.items():
            gap = {"in_namespace": namespace, "for_reason": reason, "minute": minute, "more": count}
            self._execute(connection, k8s_events.record_rate_limited(), **gap)

    def _set_cursors(self, connection: Connection, items: Sequence[BufferItem]) -> None:
        last = {item.scope: item for item in items if item.position is not None}
        for scope, item in last.items():
            ago_s = monotonic_s() - item.seen_at
            self._execute(connection, k8s_events.set_cursor(), of_scope=scope, version=item.position, ago_s=ago_s)

    def _call_hook(self, connection: Connection, stored: Sequence[StoredEvent]) -> bool:
        """Call the hook in a savepoint: its errors must not keep events from being stored."""
        if not stored:
            return False
        try:
            with connection.begin_nested():
                return self._hook.on_stored(connection, stored)
        except Exception as exc:
            if is_database_unavailable(exc):
                raise
            return self._bisect_hook(connection, stored, exc)

    def _bisect_hook(self, connection: Connection, stored: Sequence[StoredEvent], exc: Exception) -> bool:
        """Call the hook with the halves of a batch that failed, down to the one event that it cannot handle."""
        if len(stored) == 1:
            log.error("event.hook_failed", uid=stored[0].uid, version=stored[0].resource_version, exc_info=exc)
            return False
        middle = len(stored) // 2
        results = [self._call_hook(connection, half) for half in (stored[:middle], stored[middle:])]
        return any(results)

    def _execute(self, connection: Connection, statement: Executable, **parameters: object) -> Result[Any]:
        return connection.execute(statement, {"of_cluster": self._cluster, **parameters})

    def _count(self, planned: VersionPlan, limited: Counter[rate_limit.RateKey], items: Sequence[BufferItem]) -> None:
        for event in [*planned.current, *planned.earlier]:
            type_ = event.type if event.type in ("Normal", "Warning") else "other"
            EVENTS.labels(self._cluster, type_).inc()
        EVENTS_RATE_LIMITED.labels(self._cluster).inc(limited.total())
        GAPS.labels(self._cluster).inc(sum(item.gap_since is not None for item in items))
