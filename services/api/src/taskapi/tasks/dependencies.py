"""Listing what a task depends on, and what depends on it."""

from __future__ import annotations

from litestar import get
from sqlalchemy import Executable

from taskapi.http.parameters import AfterId, Limit, TaskId, problem_responses
from taskapi.runtime.services import AppServices, Services
from taskapi.schemas.tasks import RelatedTask, RelatedTaskPage
from taskapi.tasks import presenters
from taskapi.tasks.queries import fetch_task_row
from taskcore.db.tasks import dependencies


@get("/tasks/{task_id:int}/dependencies", summary="List what a task depends on", responses=problem_responses(404))
async def list_dependencies(
    services: AppServices, task_id: TaskId, after: AfterId = 0, limit: Limit = 1_000
) -> RelatedTaskPage:
    """Return the tasks that must succeed before this one runs."""
    return await _page(services, task_id, dependencies.list_dependencies(), after, limit)


@get("/tasks/{task_id:int}/dependents", summary="List what depends on a task", responses=problem_responses(404))
async def list_dependents(
    services: AppServices, task_id: TaskId, after: AfterId = 0, limit: Limit = 1_000
) -> RelatedTaskPage:
    """Return the tasks that depend on this one directly."""
    return await _page(services, task_id, dependencies.list_dependents(), after, limit)


async def _page(services: Services, task_id: int, statement: Executable, after: int, limit: int) -> RelatedTaskPage:
    values = {"task": task_id, "after_id": after, "most": limit + 1}
    rows = await services.database.read(statement, values)
    if not rows:
        await fetch_task_row(services, task_id)
    items, has_more = presenters.first_rows(RelatedTask, rows, limit)
    return RelatedTaskPage(items, items[-1].id if has_more else None)
