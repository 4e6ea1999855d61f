"""Listing Kubernetes events, following new ones, and reading the versions of one and those about a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from litestar import get

from taskapi.http.paging import decode_pair, parse_time
from taskapi.http.parameters import AfterId, Limit, TaskId, problem_responses
from taskapi.http.problems import not_found
from taskapi.kubernetes import schemas
from taskapi.kubernetes.parameters import (
    After,
    AnyOf,
    Before,
    EventId,
    Search,
    Time,
    decode_before,
    encode_before,
    reject_both,
)
from taskapi.runtime.services import AppServices, Services
from taskapi.schemas.problems import ProblemCode
from taskapi.tasks.presenters import first_rows, from_rows
from taskapi.tasks.queries import fetch_task_row
from taskcore.db.kubernetes import event_queries
from taskcore.db.kubernetes.event_queries import EventFilter

MAX_GAPS = 1_000


@dataclass(frozen=True, slots=True)
class _Position:
    """The ids of the last event and the last gap that a reader has seen."""

    event_id: int
    gap_id: int

    def __str__(self) -> str:
        return f"{self.event_id}.{self.gap_id}"


@get("/events", summary="List Kubernetes events", responses=problem_responses())
async def list_events(
    services: AppServices,
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
    """Return the current version of each event, newest first, and the gaps of the same time.

    With `after`, return what has been stored since. A client that keeps asking with the last `next_after` gets every
    event, and each version at most once.
    """
    reject_both(before, after)
    event_filter = EventFilter(
        clusters=cluster or (),
        namespaces=namespace or (),
        kinds=kind or (),
        names=name or (),
        reasons=reason or (),
        types=type or (),
        since=parse_time("since", since),
        search=q,
    )
    until = None if before is None else decode_before(before)
    since_position = None if after is None else _Position(*decode_pair("after", after))
    # Read before the events: what is stored in between has a greater id.
    (row,) = await services.database.read(event_queries.newest_ids())
    newest = _Position(row.event_id, row.gap_id)
    if since_position is not None:
        return await _since(services, event_filter, limit, since_position, newest)
    return await _page(services, event_filter, limit, until, newest)


@get("/events/{event_id:int}/versions", summary="List an event's versions", responses=problem_responses(404))
async def list_event_versions(
    services: AppServices, event_id: EventId, after: AfterId = 0, limit: Limit = 1_000
) -> schemas.EventVersionPage:
    """Return all stored versions of an event, in the order of storing. `event_id` is that of any version."""
    values = {"one": event_id, "after_id": after, "most": limit + 1}
    rows = await services.database.read(event_queries.list_versions(), values)
    if not rows and not after:
        raise not_found(ProblemCode.EVENT_NOT_FOUND, event_id)
    items, has_more = first_rows(schemas.KubernetesEvent, rows, limit)
    return schemas.EventVersionPage(items, items[-1].id if has_more else None)


@get("/tasks/{task_id:int}/events", summary="List the Kubernetes events about a task", responses=problem_responses(404))
async def list_task_events(
    services: AppServices, task_id: TaskId, after: AfterId = 0, limit: Limit = 1_000
) -> schemas.TaskEventPage:
    """Return the events about pods whose label `taskcore.io/task-id` is this id, in the order of storing."""
    values = {"task": task_id, "after_id": after, "most": limit + 1}
    rows = await services.database.read(event_queries.list_task_events(), values)
    if not rows:
        await fetch_task_row(services, task_id)
    items, has_more = first_rows(schemas.KubernetesEvent, rows, limit)
    return schemas.TaskEventPage(items, items[-1].id if items else after or None, has_more)


async def _page(
    services: Services, event_filter: EventFilter, limit: int, before: tuple[datetime, int] | None, newest: _Position
) -> schemas.EventPage:
    """Return the events before `before` [default: now], newest first."""
    statement = event_queries.list_events(event_filter, limit=limit + 1, until_id=newest.event_id, before=before)
    rows = await services.database.read(statement)
    items, has_more = first_rows(schemas.KubernetesEvent, rows, limit)
    gaps = await services.database.read(
        event_queries.list_gaps(
            event_filter,
            limit=MAX_GAPS,
            until_id=newest.gap_id,
            since=items[-1].at if has_more else None,
            until=None if before is None else before[0],
        )
    )
    return schemas.EventPage(
        items,
        from_rows(schemas.EventGap, gaps),
        next_before=encode_before(items[-1].at, items[-1].id) if has_more else None,
        next_after=str(newest) if before is None else None,
        has_more=has_more,
    )


async def _since(
    services: Services, event_filter: EventFilter, limit: int, after: _Position, newest: _Position
) -> schemas.EventPage:
    """Return what has been stored after `after`, even if that was after `newest` was read."""
    rows = await services.database.read(
        event_queries.follow_events(event_filter, limit=limit + 1, after_id=after.event_id)
    )
    found = await services.database.read(
        event_queries.follow_gaps(event_filter, limit=MAX_GAPS + 1, after_id=after.gap_id)
    )
    items, more_events = first_rows(schemas.KubernetesEvent, rows, limit)
    gaps, more_gaps = first_rows(schemas.EventGap, found, MAX_GAPS)
    reached = _Position(
        _reached(items, newest.event_id, after.event_id, is_all=not more_events),
        _reached(gaps, newest.gap_id, after.gap_id, is_all=not more_gaps),
    )
    return schemas.EventPage(items, gaps, next_before=None, next_after=str(reached), has_more=more_events or more_gaps)


def _reached(items: Sequence[Any], newest: int, after: int, *, is_all: bool) -> int:
    """Return the id to continue after. When all were read, that is at least `newest`, even if it does not match."""
    last = items[-1].id if items else after
    return max(last, newest) if is_all else last
