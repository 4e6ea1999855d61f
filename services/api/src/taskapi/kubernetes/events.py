"""Events of Kubernetes clusters: pages of them, what came since, their versions, and those about a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from litestar import get
from litestar.di import NamedDependency

from taskapi.http.paging import parse_time
from taskapi.http.parameters import TaskId, problem_responses
from taskapi.http.problems import ProblemError
from taskapi.kubernetes import schemas
from taskapi.kubernetes.parameters import (
    After,
    AfterId,
    AnyOf,
    Before,
    EventId,
    Limit,
    Search,
    Time,
    decode_after,
    decode_before,
    encode_after,
    encode_before,
    reject_both,
)
from taskapi.runtime.services import Services
from taskapi.schemas import Problem
from taskapi.tasks import presenters
from taskapi.tasks.queries import fetch_task_row
from taskcore.db.kubernetes import event_queries
from taskcore.db.kubernetes.event_queries import EventFilter

MAX_GAPS = 1_000


@dataclass(frozen=True, slots=True)
class _Position:
    """Of an event and of a gap."""

    event_id: int
    gap_id: int


@get(
    "/events",
    operation_id="list_events",
    summary="List Kubernetes events",
    tags=["kubernetes"],
    responses=problem_responses(),
)
async def list_events(
    services: NamedDependency[Services],
    cluster: AnyOf = None,
    namespace: AnyOf = None,
    kind: AnyOf = None,
    name: AnyOf = None,
    reason: AnyOf = None,
    type: AnyOf = None,
    since: Time = None,
    q: Search = None,
    limit: Limit = 100,
    before: Before = None,
    after: After = None,
) -> schemas.EventPage:
    """Each as it is now, newest first, with the gaps of the same time. With `after`: what was stored since.

    Whoever goes on with `next_after` again and again gets every event, and each version at most once.
    """
    reject_both(before, after)
    which = EventFilter(
        clusters=cluster or (),
        namespaces=namespace or (),
        kinds=kind or (),
        names=name or (),
        reasons=reason or (),
        types=type or (),
        since=parse_time("since", since),
        search=q,
    )
    place = None if before is None else decode_before(before)
    behind = None if after is None else _Position(*decode_after(after))
    (row,) = await services.database.read(event_queries.newest_ids())  # first: what is stored from here on comes later
    newest = _Position(row.event_id, row.gap_id)
    if behind is not None:
        return await _since(services, which, limit, behind, newest)
    return await _page(services, which, limit, place, newest)


@get(
    "/events/{event_id:int}/versions",
    operation_id="list_event_versions",
    summary="List an event's versions",
    tags=["kubernetes"],
    responses=problem_responses(404),
)
async def list_event_versions(
    services: NamedDependency[Services], event_id: EventId, after: AfterId = 0, limit: Limit = 1_000
) -> schemas.EventVersionPage:
    """All that were stored of the event of which this is one, in that order."""
    values = {"one": event_id, "after_id": after, "most": limit + 1}
    rows = await services.database.read(event_queries.list_versions(), values)
    if not rows and not after:
        raise _not_found(event_id)
    items = _events(rows[:limit])
    return schemas.EventVersionPage(items, items[-1].id if len(rows) > limit else None)


@get(
    "/tasks/{task_id:int}/events",
    operation_id="list_task_events",
    summary="List the Kubernetes events about a task",
    tags=["tasks"],
    responses=problem_responses(404),
)
async def list_task_events(
    services: NamedDependency[Services], task_id: TaskId, after: AfterId = 0, limit: Limit = 1_000
) -> schemas.TaskEventPage:
    """Those about pods that carry the label `taskcore.io/task-id` with this id, in the order in which they came."""
    values = {"task": task_id, "after_id": after, "most": limit + 1}
    rows = await services.database.read(event_queries.list_task_events(), values)
    if not rows:
        await fetch_task_row(services, task_id)
    items = _events(rows[:limit])
    return schemas.TaskEventPage(items, items[-1].id if items else after or None, has_more=len(rows) > limit)


async def _page(
    services: Services, which: EventFilter, limit: int, place: tuple[datetime, int] | None, newest: _Position
) -> schemas.EventPage:
    """Newest first, behind `place`."""
    statement = event_queries.list_events(which, limit=limit + 1, until_id=newest.event_id, before=place)
    rows = await services.database.read(statement)
    items = _events(rows[:limit])
    has_more = len(rows) > limit
    gaps = await services.database.read(
        event_queries.list_gaps(
            which,
            limit=MAX_GAPS,
            until_id=newest.gap_id,
            since=items[-1].at if has_more else None,
            until=None if place is None else place[0],
        )
    )
    return schemas.EventPage(
        items,
        _gaps(gaps),
        next_before=encode_before(items[-1].at, items[-1].id) if has_more else None,
        next_after=encode_after(newest.event_id, newest.gap_id) if place is None else None,
        has_more=has_more,
    )


async def _since(
    services: Services, which: EventFilter, limit: int, behind: _Position, newest: _Position
) -> schemas.EventPage:
    """What was stored behind those, up to the `newest` and beyond."""
    rows = await services.database.read(
        event_queries.follow_events(which, limit=limit + 1, after_id=behind.event_id),
    )
    found = await services.database.read(
        event_queries.follow_gaps(which, limit=MAX_GAPS + 1, after_id=behind.gap_id),
    )
    items, gaps = _events(rows[:limit]), _gaps(found[:MAX_GAPS])
    more_events, more_gaps = len(rows) > limit, len(found) > MAX_GAPS
    reached = encode_after(
        _reached(items, newest.event_id, behind.event_id, is_all=not more_events),
        _reached(gaps, newest.gap_id, behind.gap_id, is_all=not more_gaps),
    )
    return schemas.EventPage(items, gaps, next_before=None, next_after=reached, has_more=more_events or more_gaps)


def _reached(items: Sequence[Any], newest: int, behind: int, *, is_all: bool) -> int:
    """The id to go on behind. When all were read: at least the newest that there was, whatever matched."""
    last = items[-1].id if items else behind
    return max(last, newest) if is_all else last


def _events(rows: Sequence[Any]) -> list[schemas.KubernetesEvent]:
    return [presenters.from_row(schemas.KubernetesEvent, row._mapping) for row in rows]


def _gaps(rows: Sequence[Any]) -> list[schemas.EventGap]:
    return [presenters.from_row(schemas.EventGap, row._mapping) for row in rows]


def _not_found(event_id: int) -> ProblemError:
    return ProblemError(Problem("No such event", 404, "event_not_found", detail=f"There is no event {event_id}."))
