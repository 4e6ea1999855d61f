"""One transaction for what was read: new versions, how far that is, what is not there in full, and what follows of it.

It begins by holding the lease, so a copy that was replaced writes nothing. It may be repeated: what is stored already
is left as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec
import structlog
from sqlalchemy import Connection, Engine

from collector_k8s.clock import monotonic_s
from collector_k8s.events import rate_limit
from collector_k8s.events.event import Event, StoredEvent
from collector_k8s.events.versions import CurrentVersion, VersionPlan, missing_task_ids, new_versions, plan_versions
from collector_k8s.metrics import EVENTS, EVENTS_RATE_LIMITED, GAPS
from taskcore.db.engine import is_database_unavailable
from taskcore.db.kubernetes import events as k8s_events
from taskcore.db.kubernetes.collector_leases import fence
from taskcore.errors import TaskcoreError

log = structlog.stdlib.get_logger(__name__)


class EventHook(Protocol):
    """What follows of events."""

    def on_stored(self, connection: Connection, events: Sequence[StoredEvent]) -> bool:
        """Do what is to be done about versions that are new and current, in the transaction that stores them.

        Answers whether somebody has to `tell` of it.
        """

    def after_commit(self) -> None:
        """The transaction is committed."""

    def resolve_inactive(self, connection: Connection, cluster: str, scopes: Sequence[str]) -> bool:
        """Called every few seconds, in a transaction of its own. `scopes` are those of the cluster that are read.

        Answers whether there may be more to do.
        """


class LeaseLost(TaskcoreError):
    """Another copy holds the lease."""


@dataclass(frozen=True, slots=True)
class Lease:
    """What this copy holds, since it became the one at work."""

    name: str
    epoch: int


@dataclass(frozen=True, slots=True)
class BufferItem:
    """Something that was read in `scope` (a namespace; empty: all) at `seen_at`, of the clock `elapsed_s`.

    `position`: everything up to there was read, this included. `is_repeat`: of a list that only looks whether the
    watch missed something. `lost_since`: what happened between then and now may not all be known.
    """

    scope: str
    seen_at: float
    event: Event | None = None
    position: str | None = None
    is_relist: bool = False
    gap_since: float | None = None


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """`per_minute` events of one reason in a namespace are stored; floods are remembered for `memory`.

    `max_age_s`: what is older is not stored, since retention would delete it, and the next list bring it again.
    """

    max_per_minute: int
    memory: timedelta
    max_age_s: Callable[[], float | None] = lambda: None


class EventStore:
    """For one thread, and one term of holding the lease."""

    def __init__(self, engine: Engine, cluster: str, lease: Lease, limits: StoreLimits, hook: EventHook) -> None:
        self._engine = engine.execution_options(isolation_level="READ COMMITTED")
        self._cluster = cluster
        self._lease = {"lease": lease.name, "mine": lease.epoch}
        self._limits = limits
        self._hook = hook
        self._tally = rate_limit.RateState(datetime.min.replace(tzinfo=UTC))

    def store(self, items: Sequence[BufferItem]) -> None:
        """All of `items`, or nothing.

        Raises:
            Fenced: when the lease is another's.
        """
        with self._engine.begin() as connection:
            now = self._hold(connection)
            live, repeated = self._recent(items, now)
            known = self._known(connection, [*live, *repeated])
            admitted, flooded, tally = self._admit(new_versions(live, known), new_versions(repeated, known), now)
            planned = plan_versions(admitted, known)
            stored = self._add(connection, planned)
            self._add_tasks(connection, missing_task_ids([*live, *repeated], known))
            self._note_gaps(connection, items, flooded)
            self._move_cursors(connection, items)
            has_news = self._note(connection, stored)
        self._tally = tally
        self._count(planned, flooded, items)
        if has_news:
            self._hook.after_commit()

    def resolve_inactive(self, scopes: Sequence[str]) -> None:
        """Raises `Fenced`, as `store` does."""
        has_more = True
        while has_more:
            with self._engine.begin() as connection:
                self._hold(connection)
                has_more = self._hook.resolve_inactive(connection, self._cluster, scopes)

    def _hold(self, connection: Connection) -> datetime:
        row = connection.execute(fence(), self._lease).one_or_none()
        if row is None:
            raise LeaseLost
        now: datetime = row.now
        return now

    def _recent(self, items: Sequence[BufferItem], now: datetime) -> tuple[list[Event], list[Event]]:
        """What the watch told, and what the lists beside it did."""
        max_age_s = self._limits.max_age_s()
        oldest = None if max_age_s is None else now - timedelta(seconds=max_age_s)
        recent = [i for i in items if i.event is not None and (oldest is None or i.event.at >= oldest)]
        live = [i.event for i in recent if i.event is not None and not i.is_relist]
        return live, [i.event for i in recent if i.event is not None and i.is_relist]

    def _known(self, connection: Connection, events: Iterable[Event]) -> dict[str, CurrentVersion]:
        uids = sorted({event.uid for event in events})
        if not uids:
            return {}
        rows = connection.execute(k8s_events.current_versions(), {"of_cluster": self._cluster, "uids": uids})
        return {row.uid: CurrentVersion(row.id, row.resource_version, row.task_id) for row in rows}

    def _admit(
        self, live: Sequence[Event], repeated: Sequence[Event], now: datetime
    ) -> tuple[list[Event], Counter[rate_limit.RateKey], rate_limit.RateState]:
        tally = rate_limit.advance(self._tally, now, self._limits.memory)
        admitted, flooded, tally = rate_limit.admit(tally, live, self._limits.max_per_minute)
        return new_versions([*admitted, *rate_limit.drop_limited(tally, repeated)], {}), flooded, tally

    def _add(self, connection: Connection, planned: VersionPlan) -> list[StoredEvent]:
        if planned.superseded:
            connection.execute(k8s_events.mark_superseded(), {"ids": planned.superseded})
        rows = [_row(event, True) for event in planned.current] + [_row(event, False) for event in planned.earlier]
        if not rows:
            return []
        given = {"of_cluster": self._cluster, "rows": msgspec.json.encode(rows).decode()}
        answer = connection.execute(k8s_events.add_versions(), given)
        added = {(row.uid, row.resource_version): row.id for row in answer}
        return [
            StoredEvent(**asdict(event), id=added[event.uid, event.resource_version], cluster=self._cluster)
            for event in planned.current
        ]

    def _add_tasks(self, connection: Connection, found: Mapping[int, int]) -> None:
        if found:
            connection.execute(k8s_events.set_task_ids(), {"ids": list(found), "tasks": list(found.values())})

    def _note_gaps(
        self, connection: Connection, items: Sequence[BufferItem], flooded: Counter[rate_limit.RateKey]
    ) -> None:
        for item in items:
            if item.gap_since is not None:
                given = {"in_namespace": item.scope, "ago_s": monotonic_s() - item.gap_since}
                connection.execute(k8s_events.record_lost(), {"of_cluster": self._cluster, **given})
        for (namespace, reason, minute), count in flooded.items():
            source = {"of_cluster": self._cluster, "in_namespace": namespace, "for_reason": reason}
            connection.execute(k8s_events.record_rate_limited(), {**source, "minute": minute, "more": count})

    def _move_cursors(self, connection: Connection, items: Sequence[BufferItem]) -> None:
        reached = {item.scope: item for item in items if item.position is not None}
        for scope, item in reached.items():
            given = {"of_scope": scope, "version": item.position, "ago_s": monotonic_s() - item.seen_at}
            connection.execute(k8s_events.set_cursor(), {"of_cluster": self._cluster, **given})

    def _note(self, connection: Connection, stored: Sequence[StoredEvent]) -> bool:
        """What goes wrong there must not keep events from being stored, nor one event the others from being noted."""
        if not stored:
            return False
        try:
            with connection.begin_nested():
                return self._hook.on_stored(connection, stored)
        except Exception as exc:
            if is_database_unavailable(exc):
                raise
            return self._note_apart(connection, stored, exc)

    def _note_apart(self, connection: Connection, stored: Sequence[StoredEvent], exc: Exception) -> bool:
        if len(stored) == 1:
            log.error("event.hook_failed", uid=stored[0].uid, version=stored[0].resource_version, exc_info=exc)
            return False
        middle = len(stored) // 2
        told = [self._note(connection, half) for half in (stored[:middle], stored[middle:])]
        return any(told)

    def _count(self, planned: VersionPlan, flooded: Counter[rate_limit.RateKey], items: Sequence[BufferItem]) -> None:
        for event in [*planned.current, *planned.earlier]:
            type_ = event.type if event.type in ("Normal", "Warning") else "other"
            EVENTS.labels(self._cluster, type_).inc()
        EVENTS_RATE_LIMITED.labels(self._cluster).inc(flooded.total())
        GAPS.labels(self._cluster).inc(sum(item.gap_since is not None for item in items))


def _row(event: Event, is_current: bool) -> dict[str, object]:
    return {**asdict(event), "is_current": is_current}
