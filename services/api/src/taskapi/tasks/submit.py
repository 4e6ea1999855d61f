"""Submitting tasks: one, or a batch of up to 10,000."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from litestar import Response, post
from litestar.openapi.datastructures import ResponseSpec

from taskapi.http.off_loop import off_loop
from taskapi.http.parameters import HttpRequest, IdempotencyKey, User, actor, location, problem_responses
from taskapi.http.problems import ProblemError, concurrent_update, invalid_field
from taskapi.http.request_body import JsonBody, read_json_body
from taskapi.middleware.request import request_id_of
from taskapi.runtime.services import AppServices, Services
from taskapi.runtime.type_cache import KnownType
from taskapi.schemas.batches import BatchAnswer, BatchSubmission
from taskapi.schemas.tasks import Task
from taskapi.tasks import presenters
from taskapi.tasks.batch_item import BatchItem
from taskapi.tasks.batch_refs import order_by_dependencies
from taskapi.tasks.check_queues import check_queues
from taskapi.tasks.parse import Batch, check_types, parse_batch, parse_task
from taskapi.tasks.queries import present_task
from taskapi.tasks.store import store_task, store_tasks
from taskapi.tasks.store_dependent import store_dependent
from taskcore.db.tasks import queries
from taskcore.domain.tasks import MAX_BATCH_BYTES, MAX_TASK_BYTES
from taskcore.observability.tracing.propagation import current_traceparent
from taskcore.submission.spec import TaskSubmission, new_task

MAX_KEY_LENGTH = 255

_EXAMPLE = {"name": "first steps", "type": "noop", "parameters": {}}


@post(
    "/tasks",
    summary="Submit a task",
    response_description="The task was stored.",
    response_headers=[location("task")],
    responses={
        200: ResponseSpec(Task, description="The task was stored before, with the same idempotency key."),
        **problem_responses(409, 413, 415),
    },
    **JsonBody(TaskSubmission, _EXAMPLE, MAX_TASK_BYTES).options,
)
async def submit_task(
    request: HttpRequest, services: AppServices, idempotency_key: IdempotencyKey = None, user: User = None
) -> Response[Task]:
    """Store a task. Once the response is 201, the task is durable."""
    body = await read_json_body(request)
    item = await off_loop(len(body), parse_task, body)
    types = await services.type_cache.get([item.spec.type])
    await check_queues(services.queue_names, [item], types)
    await off_loop(len(body), _prepare_one, item, types, request_id_of(request.scope), idempotency_key)
    if item.problem is None:
        await _store(services, [item], actor(user), is_atomic=True)
    if item.problem is not None:
        raise ProblemError(item.problem)
    if item.row is None:
        return Response(await _fetch_stored(services, item), status_code=200)
    services.notifier.notify()
    if item.spec.depends_on:
        answer = await _fetch_stored(services, item)
    else:
        answer = presenters.stored_task(item.task, item.row, current_traceparent(), services.traces.links)
    return Response(answer, headers={"Location": f"/api/v1/tasks/{item.id}"})


@post(
    "/tasks/batch",
    summary="Submit many tasks",
    response_description="At least one task was stored.",
    responses={
        200: ResponseSpec(BatchAnswer, description="No task was stored: all of them were stored before."),
        **problem_responses(409, 413, 415),
    },
    **JsonBody(BatchSubmission, {"tasks": [_EXAMPLE], "atomic": True}, MAX_BATCH_BYTES).options,
)
async def submit_batch(
    request: HttpRequest, services: AppServices, idempotency_key: IdempotencyKey = None, user: User = None
) -> Response[BatchAnswer]:
    """Store all tasks or none. Unless `atomic`, store those that are valid; `results` has one entry for each task."""
    body = await read_json_body(request)
    batch = await off_loop(len(body), parse_batch, body)
    types = await services.type_cache.get({item.spec.type for item in batch.valid})
    await check_queues(services.queue_names, batch.valid, types)
    items = await off_loop(len(body), _prepare, batch, types, request_id_of(request.scope), idempotency_key)
    await _store(services, items, actor(user), is_atomic=batch.is_atomic)
    batch.check()
    answer = _batch_answer(batch)
    if answer.created:
        services.notifier.notify()
    return Response(answer, status_code=201 if answer.created else 200)


def _prepare_one(item: BatchItem, types: Mapping[str, KnownType], request_id: str, idempotency_key: str | None) -> None:
    check_types([item], types)
    if item.problem is None:
        item.task = new_task(item.spec, types[item.spec.type], request_id, idempotency_key)


def _prepare(
    batch: Batch, types: Mapping[str, KnownType], request_id: str, idempotency_key: str | None
) -> list[BatchItem]:
    """Return the tasks to store, each after those that it depends on. Raise `ProblemError` when there are none."""
    check_types(batch.valid, types)
    items = order_by_dependencies(batch.valid)
    batch.check()
    last = max(item.index for item in items)
    if idempotency_key is not None and len(f"{idempotency_key}/{last}") > MAX_KEY_LENGTH:
        raise invalid_field("Idempotency-Key", "is too long for a batch, which appends the number of each task to it")
    for item in items:
        key = idempotency_key and f"{idempotency_key}/{item.index}"
        item.task = new_task(item.spec, types[item.spec.type], request_id, key)
    return items


async def _store(services: Services, items: Sequence[BatchItem], by: str, *, is_atomic: bool) -> None:
    if any(item.spec.depends_on for item in items):
        await store_dependent(services.database, items, by, is_atomic)
    elif len(items) == 1:
        await store_task(services.database, items[0], by)
    else:
        await store_tasks(services.database, items, by, is_atomic)


async def _fetch_stored(services: Services, item: BatchItem) -> Task:
    rows = await services.database.read(queries.get_task(), {"task_id": item.id})
    if not rows:
        raise concurrent_update()
    return await present_task(services, rows[0]._mapping)


def _batch_answer(batch: Batch) -> BatchAnswer:
    results = [item.result() for item in batch.items]
    created = sum(item.row is not None for item in batch.items)
    refused = sum(item.problem is not None for item in batch.items)
    return BatchAnswer(created, len(results) - created - refused, refused, results)
