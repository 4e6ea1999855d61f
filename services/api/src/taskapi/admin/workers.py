"""Listing workers and task types."""

from __future__ import annotations

from litestar import get

from taskapi.http.parameters import problem_responses
from taskapi.runtime.services import AppServices
from taskapi.schemas.workers import TaskType, TaskTypes, Worker, Workers
from taskapi.tasks.presenters import from_rows
from taskcore.db.workers import workers


@get("/task-types", summary="List task types", responses=problem_responses())
async def list_task_types(services: AppServices) -> TaskTypes:
    """Return every type that a worker has registered, by name."""
    rows = await services.database.read(workers.list_types())
    return TaskTypes(from_rows(TaskType, rows))


@get("/workers", summary="List workers", responses=problem_responses())
async def list_workers(services: AppServices) -> Workers:
    """Return the live workers, and those that were live a moment ago."""
    rows = await services.database.read(workers.list_workers())
    return Workers(from_rows(Worker, rows))
