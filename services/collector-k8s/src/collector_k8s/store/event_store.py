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

from collector_k8s.clock import elapsed_s
from collector_k8s.events import rate_limit
from collector_k8s.events.event import Event, StoredEvent
from collector_k8s.events.versions import Current, Plan, late_tasks, plan, unknown
from collector_k8s.metrics import EVENTS, EVENTS_FLOODED, GAPS
from taskcore.db.engine import is_database_away
from taskcore.db.kubernetes import events as k8s_events
from taskcore.db.kubernetes.collector_leases import fence
from taskcore.errors import TaskcoreError

log = structlog.stdlib.get_logger(__name__)


class FollowUp(Protocol):
    """What follows of events."""

    def note(self, connection: Connection, events: Sequence[StoredEvent]) -> bool:
        """Do what is to be done about versions that are new and current, in the transaction that stores them.

        Answers whether somebody has to `tell` of it.
        """

    def tell(self) -> None:
        """The transaction is committed."""

    def resolve_quiet(self, connection: Connection, cluster: str, scopes: Sequence[str]) -> bool:
        """Called every few seconds, in a transaction of its own. `scopes` are those of the cluster that are read.

        Answers whether there may be more to do.
        """


class Fenced(TaskcoreError):
    """Another copy holds the lease."""


@dataclass(frozen=True, slots=True)
class Lease:
    """What this copy holds, since it became the one at work."""

    name: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Item:
    """Something that was read in `scope` (a namespace; empty: all) at `heard_at`, of the clock `elapsed_s`.

    `position`: everything up to there was read, this included. `is_repeat`: of a list that only looks whether the
    watch missed something. `lost_since`: what happened between then and now may not all be known.
    """

    scope: str
    heard_at: float
    event: Event | None = None
    position: str | None = None
    is_repeat: bool = False
    lost_since: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """`per_minute` events of one reason in a namespace are stored; floods are remembered for `memory`.

    `max_age_s`: what is older is not stored, since retention would delete it, and the next list bring it again.
    """

    per_minute: int
    memory: timedelta
    max_age_s: Callable[[], float | None] = lambda: None


class Storage:
    """For one thread, and one term of holding the lease."""

    def __init__(self, engine: Engine, cluster: str, lease: Lease, limits: Limits, follow_up: FollowUp) -> None:
        self._engine = engine.execution_options(isolation_level="READ COMMITTED")
        self._cluster = cluster
        self._lease = {"lease": lease.name, "mine": lease.epoch}
        self._limits = limits
        self._follow_up = follow_up
        self._tally = rate_limit.Tally(datetime.min.replace(tzinfo=UTC))

    def store(self, items: Sequence[Item]) -> None:
        """All of `items`, or nothing.

        Raises:
            Fenced: when the lease is another's.
        """
        with self._engine.begin() as connection:
            now = self._hold(connection)
            live, repeated = self._recent(items, now)
            known = self._known(connection, [*live, *repeated])
            admitted, flooded, tally = self._admit(unknown(live, known), unknown(repeated, known), now)
            planned = plan(admitted, known)
            stored = self._add(connection, planned)
            self._add_tasks(connection, late_tasks([*live, *repeated], known))
            self._note_gaps(connection, items, flooded)
            self._move_cursors(connection, items)
            has_news = self._note(connection, stored)
        self._tally = tally
        self._count(planned, flooded, items)
        if has_news:
            self._follow_up.tell()

    def resolve_quiet(self, scopes: Sequence[str]) -> None:
        """Raises `Fenced`, as `store` does."""
        has_more = True
        while has_more:
            with self._engine.begin() as connection:
                self._hold(connection)
                has_more = self._follow_up.resolve_quiet(connection, self._cluster, scopes)

    def _hold(self, connection: Connection) -> datetime:
        row = connection.execute(fence(), self._lease).one_or_none()
        if row is None:
            raise Fenced
        now: datetime = row.now
        return now

    def _recent(self, items: Sequence[Item], now: datetime) -> tuple[list[Event], list[Event]]:
        """What the watch told, and what the lists beside it did."""
        max_age_s = self._limits.max_age_s()
        oldest = None if max_age_s is None else now - timedelta(seconds=max_age_s)
        recent = [i for i in items if i.event is not None and (oldest is None or i.event.at >= oldest)]
        live = [i.event for i in recent if i.event is not None and not i.is_repeat]
        return live, [i.event for i in recent if i.event is not None and i.is_repeat]

    def _known(self, connection: Connection, events: Iterable[Event]) -> dict[str, Current]:
        uids = sorted({event.uid for event in events})
        if not uids:
            return {}
        rows = connection.execute(k8s_events.current_versions(), {"of_cluster": self._cluster, "uids": uids})
        return {row.uid: Current(row.id, row.resource_version, row.task_id) for row in rows}

    def _admit(
        self, live: Sequence[Event], repeated: Sequence[Event], now: datetime
    ) -> tuple[list[Event], Counter[rate_limit.Source], rate_limit.Tally]:
        tally = rate_limit.at_time(self._tally, now, self._limits.memory)
        admitted, flooded, tally = rate_limit.admit(tally, live, self._limits.per_minute)
        return unknown([*admitted, *rate_limit.without_flooded(tally, repeated)], {}), flooded, tally

    def _add(self, connection: Connection, planned: Plan) -> list[StoredEvent]:
        if planned.superseded:
            connection.execute(k8s_events.supersede(), {"ids": planned.superseded})
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
            connection.execute(k8s_events.set_tasks(), {"ids": list(found), "tasks": list(found.values())})

    def _note_gaps(self, connection: Connection, items: Sequence[Item], flooded: Counter[rate_limit.Source]) -> None:
        for item in items:
            if item.lost_since is not None:
                given = {"in_namespace": item.scope, "ago_s": elapsed_s() - item.lost_since}
                connection.execute(k8s_events.add_lost(), {"of_cluster": self._cluster, **given})
        for (namespace, reason, minute), count in flooded.items():
            source = {"of_cluster": self._cluster, "in_namespace": namespace, "for_reason": reason}
            connection.execute(k8s_events.add_flooded(), {**source, "minute": minute, "more": count})

    def _move_cursors(self, connection: Connection, items: Sequence[Item]) -> None:
        reached = {item.scope: item for item in items if item.position is not None}
        for scope, item in reached.items():
            given = {"of_scope": scope, "version": item.position, "ago_s": elapsed_s() - item.heard_at}
            connection.execute(k8s_events.set_cursor(), {"of_cluster": self._cluster, **given})

    def _note(self, connection: Connection, stored: Sequence[StoredEvent]) -> bool:
        """What goes wrong there must not keep events from being stored, nor one event the others from being noted."""
        if not stored:
            return False
        try:
            with connection.begin_nested():
                return self._follow_up.note(connection, stored)
        except Exception as exc:
            if is_database_away(exc):
                raise
            return self._note_apart(connection, stored, exc)

    def _note_apart(self, connection: Connection, stored: Sequence[StoredEvent], exc: Exception) -> bool:
        if len(stored) == 1:
            log.error("event.not_followed_up", uid=stored[0].uid, version=stored[0].resource_version, exc_info=exc)
            return False
        middle = len(stored) // 2
        told = [self._note(connection, half) for half in (stored[:middle], stored[middle:])]
        return any(told)

    def _count(self, planned: Plan, flooded: Counter[rate_limit.Source], items: Sequence[Item]) -> None:
        for event in [*planned.current, *planned.earlier]:
            type_ = event.type if event.type in ("Normal", "Warning") else "other"
            EVENTS.labels(self._cluster, type_).inc()
        EVENTS_FLOODED.labels(self._cluster).inc(flooded.total())
        GAPS.labels(self._cluster).inc(sum(item.lost_since is not None for item in items))


def _row(event: Event, is_current: bool) -> dict[str, object]:
    return {**asdict(event), "is_current": is_current}
