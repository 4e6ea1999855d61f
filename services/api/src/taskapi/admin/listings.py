"""The short lists: task types, workers, queues."""

from __future__ import annotations

from litestar import get
from litestar.di import NamedDependency

from taskapi import schemas
from taskapi.http.parameters import problem_responses
from taskapi.runtime.services import Services
from taskapi.tasks import presenters
from taskcore.db.queues import queues
from taskcore.db.workers import workers


@get(
    "/task-types",
    operation_id="list_task_types",
    summary="List task types",
    tags=["types"],
    responses=problem_responses(),
)
async def list_task_types(services: NamedDependency[Services]) -> schemas.TaskTypes:
    """Every type that a worker has ever brought, by name."""
    rows = await services.database.read(workers.list_types())
    return schemas.TaskTypes([presenters.from_row(schemas.TaskType, row._mapping) for row in rows])


@get("/workers", operation_id="list_workers", summary="List workers", tags=["workers"], responses=problem_responses())
async def list_workers(services: NamedDependency[Services]) -> schemas.Workers:
    """Those that are alive, and those that were a moment ago."""
    rows = await services.database.read(workers.list_workers())
    return schemas.Workers([presenters.from_row(schemas.Worker, row._mapping) for row in rows])


@get("/queues", operation_id="list_queues", summary="List queues", tags=["queues"], responses=problem_responses())
async def list_queues(services: NamedDependency[Services]) -> schemas.Queues:
    """Every queue that a task has ever named, by name."""
    rows = await services.database.read(queues.list_queues())
    return schemas.Queues([presenters.from_row(schemas.Queue, row._mapping) for row in rows])
