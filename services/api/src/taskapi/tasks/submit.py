"""Handing in tasks: one, or up to 10,000."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec

from taskapi.http.parameters import IdempotencyKey, User, actor, problem_responses
from taskapi.http.problems import ProblemError, concurrent_update, invalid, invalid_field, merge_problems
from taskapi.http.request_body import read_json_body
from taskapi.middleware.request import request_id_of
from taskapi.runtime.services import Services
from taskapi.runtime.type_cache import KnownType
from taskapi.schemas import BatchAnswer, BatchResult, Task
from taskapi.tasks import presenters
from taskapi.tasks.batch_refs import order_by_dependencies
from taskapi.tasks.parse import ParsedBatch, RequestOrigin, check_types, new_task, parse_batch, parse_task, type_errors
from taskapi.tasks.store import Stored, store_task, store_tasks
from taskapi.tasks.store_dependent import Dependent, store_dependent
from taskcore.db.tasks import queries
from taskcore.domain.tasks import MAX_BATCH_BYTES, MAX_TASK_BYTES, NewTask
from taskcore.observability.tracing.propagation import current_traceparent

MAX_KEY_LENGTH = 255


@post(
    "/tasks",
    operation_id="submit_task",
    summary="Submit a task",
    tags=["tasks"],
    request_max_body_size=MAX_TASK_BYTES,
    response_description="Stored.",
    responses={200: ResponseSpec(Task, description="It was there already."), **problem_responses(409, 413, 415)},
)
async def submit_task(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    idempotency_key: IdempotencyKey = None,
    user: User = None,
) -> Response[Task]:
    """Once it is answered with 201 the task is stored for good."""
    submission = parse_task(await read_json_body(request))
    types = await services.type_cache.get([submission.type])
    if errors := list(type_errors(submission, types)):
        raise ProblemError(invalid(errors))
    task = new_task(submission, types[submission.type], RequestOrigin(request_id_of(request.scope), idempotency_key))
    if submission.depends_on:
        dependent = Dependent(task, submission.depends_on)
        (stored,) = await store_dependent(services.database, [dependent], actor(user), is_atomic=True)
    else:
        stored = await store_task(services.database, task, actor(user))
    if stored.problem is not None:
        raise ProblemError(stored.problem)
    if stored.row is None:
        return Response(await _existing(services, stored), status_code=200)
    services.notifier.notify()
    if submission.depends_on:
        answer = await _existing(services, stored)
    else:
        answer = presenters.stored_task(task, stored.row, current_traceparent(), services.traces.links)
    return Response(answer, headers={"Location": f"/api/v1/tasks/{stored.id}"})


@post(
    "/tasks/batch",
    operation_id="submit_batch",
    summary="Submit many tasks",
    tags=["tasks"],
    request_max_body_size=MAX_BATCH_BYTES,
    response_description="Some were stored.",
    responses={
        200: ResponseSpec(BatchAnswer, description="None was stored now."),
        **problem_responses(409, 413, 415),
    },
)
async def submit_batch(
    request: Request[Any, Any, Any],
    services: NamedDependency[Services],
    idempotency_key: IdempotencyKey = None,
    user: User = None,
) -> Response[BatchAnswer]:
    """All or nothing, unless `atomic` is false: then those are stored that can be. `results` tells of each."""
    body = await read_json_body(request)
    sifted = await asyncio.to_thread(parse_batch, body)  # a large one must not hold up everybody else
    types = await services.type_cache.get({submission.type for submission in sifted.valid.values()})
    await asyncio.to_thread(check_types, sifted, types)
    order = await asyncio.to_thread(order_by_dependencies, sifted)
    if sifted.problems and (sifted.is_atomic or not sifted.valid):
        raise ProblemError(merge_problems([sifted.problems[index] for index in sorted(sifted.problems)]))
    origin = RequestOrigin(request_id_of(request.scope), idempotency_key)
    new_tasks = await asyncio.to_thread(_new_tasks, sifted, order, types, origin)
    stored = await _store(services, sifted, order, new_tasks, actor(user))
    if stored[0].problem is not None and all(one.problem is not None for one in stored):
        raise ProblemError(stored[0].problem)
    answer = _batch_answer(sifted, order, stored)
    if answer.created:
        services.notifier.notify()
    return Response(answer, status_code=201 if answer.created else 200)


async def _store(
    services: Services, sifted: ParsedBatch, order: list[int], new_tasks: list[NewTask], by: str
) -> list[Stored]:
    if not any(sifted.valid[index].depends_on for index in order):
        return await store_tasks(services.database, new_tasks, by, sifted.is_atomic)
    dependents = [
        Dependent(task, sifted.valid[index].depends_on, sifted.valid[index].ref, ("tasks", index))
        for index, task in zip(order, new_tasks, strict=True)
    ]
    return await store_dependent(services.database, dependents, by, sifted.is_atomic)


async def _existing(services: Services, stored: Stored) -> Task:
    rows = await services.database.read(queries.get_task(), {"task_id": stored.id})
    if not rows:
        raise concurrent_update()
    types = await services.type_cache.get([rows[0].type])
    return presenters.task(rows[0]._mapping, types, services.traces.links)


def _new_tasks(
    sifted: ParsedBatch, order: list[int], types: Mapping[str, KnownType], origin: RequestOrigin
) -> list[NewTask]:
    key = origin.idempotency_key
    if key is not None and len(f"{key}/{max(order, default=0)}") > MAX_KEY_LENGTH:
        raise invalid_field("Idempotency-Key", "is too long for a batch: each task adds its number to it")
    return [
        new_task(
            sifted.valid[index],
            types[sifted.valid[index].type],
            RequestOrigin(origin.request_id, key and f"{key}/{index}"),
        )
        for index in order
    ]


def _batch_answer(sifted: ParsedBatch, order: list[int], stored: list[Stored]) -> BatchAnswer:
    results = [BatchResult(index, problem=problem) for index, problem in sifted.problems.items()]
    for index, one in zip(order, stored, strict=True):
        if one.problem is not None:
            results.append(BatchResult(index, problem=one.problem))
        else:
            results.append(BatchResult(index, one.id, existing=one.row is None))
    results.sort(key=lambda result: result.index)
    created = sum(one.row is not None for one in stored)
    refused = sum(result.problem is not None for result in results)
    return BatchAnswer(created, len(results) - created - refused, refused, results)
