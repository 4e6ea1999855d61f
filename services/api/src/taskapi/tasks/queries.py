"""Reading tasks, their history and their attempts, and waiting for them to finish."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated

from litestar import get
from litestar.params import FromQuery, QueryParameter
from sqlalchemy import Executable, RowMapping

from taskapi.http.paging import decode_cursor, encode_cursor, parse_labels, parse_time
from taskapi.http.parameters import AfterId, Limit, TaskId, problem_responses
from taskapi.http.problems import invalid_field, not_found
from taskapi.runtime.database import Rows
from taskapi.runtime.services import AppServices, Services
from taskapi.schemas.history import AttemptPage, HistoryEntry, HistoryPage
from taskapi.schemas.problems import ProblemCode
from taskapi.schemas.tasks import StatusCounts, Task, TaskPage
from taskapi.tasks import presenters
from taskcore.db.tasks import queries
from taskcore.db.tasks.queries import TOTAL_LIMIT, TaskFilter
from taskcore.domain.states import HELD, Status

MAX_WAIT_S = 60
MAX_OFFSET = 100_000

_Limit = Annotated[int, QueryParameter(ge=1, le=200)]
_Offset = Annotated[
    int,
    QueryParameter(ge=0, le=MAX_OFFSET, schema_extra={"minimum": 0}, description="Not together with `cursor`."),
]
_Cursor = Annotated[str | None, QueryParameter(max_length=64, description="`next_cursor` of the previous page.")]
_Label = Annotated[
    list[str] | None, QueryParameter(description="`key=value`. With several, a task must have all of them.")
]
_Time = Annotated[str | None, QueryParameter(schema_extra={"format": "date-time"})]
_Search = Annotated[str | None, QueryParameter(max_length=255, description="Part of the name, case-insensitive.")]
_Timeout = Annotated[
    float, QueryParameter(name="timeout", ge=0, le=MAX_WAIT_S, schema_extra={"minimum": 0}, description="Seconds.")
]


@get("/tasks", summary="List tasks", responses=problem_responses())
async def list_tasks(
    services: AppServices,
    status: FromQuery[list[Status] | None] = None,
    type: FromQuery[list[str] | None] = None,
    queue: FromQuery[list[str] | None] = None,
    label: _Label = None,
    q: _Search = None,
    created_after: _Time = None,
    created_before: _Time = None,
    limit: _Limit = 30,
    cursor: _Cursor = None,
    offset: _Offset = 0,
) -> TaskPage:
    """Return a page of tasks, newest first. A cursor neither repeats nor misses a task while others are added."""
    if cursor is not None and offset:
        raise invalid_field("offset", "cannot be given together with cursor")
    task_filter = TaskFilter(
        statuses=status or (),
        types=type or (),
        queues=queue or (),
        labels=parse_labels(label or ()),
        search=q,
        created_after=parse_time("created_after", created_after),
        created_before=parse_time("created_before", created_before),
    )
    before_id = None if cursor is None else decode_cursor(cursor)
    rows = await services.database.read(
        queries.list_tasks(task_filter, limit=limit + 1, before_id=before_id, offset=offset)
    )
    ((total,),) = await services.database.read(queries.count_tasks(task_filter))
    page = rows[:limit]
    types = await services.type_cache.get({row.type for row in page})
    return TaskPage(
        items=[presenters.task(row._mapping, types, services.traces.links) for row in page],
        total=min(total, TOTAL_LIMIT),
        total_is_capped=total > TOTAL_LIMIT,
        next_cursor=encode_cursor(page[-1].id) if len(rows) > limit else None,
    )


@get("/tasks/status", summary="Count per status", responses=problem_responses())
async def count_tasks(services: AppServices) -> StatusCounts:
    """Return how many tasks have each status. The total includes statuses of a newer version."""
    rows = await services.database.read(queries.count_by_status())
    counts: dict[str, int] = dict(rows)
    return StatusCounts(**{status: counts.get(status, 0) for status in Status}, total=sum(counts.values()))


@get("/tasks/{task_id:int}", summary="Get a task", responses=problem_responses(404))
async def get_task(services: AppServices, task_id: TaskId) -> Task:
    """Return the task with its current status, progress and result."""
    return await fetch_task(services, task_id)


@get("/tasks/{task_id:int}/history", summary="Get a task's history", responses=problem_responses(404))
async def get_task_history(
    services: AppServices, task_id: TaskId, after: AfterId = 0, limit: Limit = 1_000
) -> HistoryPage:
    """Return each transition of the task, oldest first. The history outlives the task."""
    rows = await _read_after(services, queries.list_history(), task_id, after, limit + 1)
    if not rows and not await _read_after(services, queries.list_history(), task_id, 0, 1):
        raise not_found(ProblemCode.TASK_NOT_FOUND, task_id)
    items, has_more = presenters.first_rows(HistoryEntry, rows, limit)
    return HistoryPage(items, items[-1].id if has_more else None)


@get("/tasks/{task_id:int}/attempts", summary="Get a task's attempts", responses=problem_responses(404))
async def get_task_attempts(
    services: AppServices, task_id: TaskId, after: AfterId = 0, limit: Limit = 1_000
) -> AttemptPage:
    """Return each attempt, oldest first; a running one is the last."""
    task = await fetch_task_row(services, task_id)
    rows = await _read_after(services, queries.list_attempts(), task_id, after, limit + 1)
    items = [presenters.attempt(row._mapping, services.traces.links) for row in rows]
    is_running = task["status"] in HELD and task["attempt"] > after
    if is_running and all(item.attempt != task["attempt"] for item in items):
        items.append(presenters.running_attempt(task, services.traces.links))
    return AttemptPage(items[:limit], items[limit - 1].attempt if len(items) > limit else None)


async def _read_after(services: Services, statement: Executable, task_id: int, after: int, most: int) -> Rows:
    return await services.database.read(statement, {"task_id": task_id, "after": after, "most": most})


@get("/tasks/{task_id:int}/wait", summary="Wait for a task to finish", responses=problem_responses(404))
async def wait_for_task(services: AppServices, task_id: TaskId, timeout_s: _Timeout = 30) -> Task:
    """Return the task as soon as it is finished, or after `timeout` seconds with whatever status it has then."""
    with services.completion_waiters.waiting_for(task_id) as finished:
        task = await fetch_task(services, task_id)
        if task.status.is_terminal or timeout_s == 0:
            return task
        services.completion_waiters.start_watching()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await finished.wait()
    return await fetch_task(services, task_id)


async def fetch_task(services: Services, task_id: int) -> Task:
    """Raise `ProblemError` when there is no such task."""
    return await present_task(services, await fetch_task_row(services, task_id))


async def present_task(services: Services, row: RowMapping) -> Task:
    return presenters.task(row, await services.type_cache.get([row["type"]]), services.traces.links)


async def fetch_task_row(services: Services, task_id: int) -> RowMapping:
    """Raise `ProblemError` when there is no such task."""
    rows = await services.database.read(queries.get_task(), {"task_id": task_id})
    if not rows:
        raise not_found(ProblemCode.TASK_NOT_FOUND, task_id)
    return rows[0]._mapping
