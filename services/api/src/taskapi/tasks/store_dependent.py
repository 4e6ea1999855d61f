"""Store tasks that depend on others, in one transaction.

It locks what they depend on first, so that none of it finishes or is deleted before they are stored. The idempotency
keys are looked up before the insert: when another request stores a task with the same key in between, it starts again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from psycopg.errors import DeadlockDetected
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from taskapi.http.field_errors import field_error
from taskapi.http.problems import ProblemError, concurrent_update, merge_problems
from taskapi.runtime.database import Database
from taskapi.schemas.problems import FieldError
from taskapi.tasks.batch_item import BatchItem
from taskapi.tasks.store import MAX_TRIES, count_submitted, existing_by_key
from taskcore.db.stored_values import stored
from taskcore.db.tasks import dependencies
from taskcore.db.tasks.submit_dependent import add_dependencies, submit_planned
from taskcore.domain.dependencies import DependencyState, plan_start, state_of
from taskcore.domain.states import Status
from taskcore.observability.tracing.propagation import current_traceparent

Planned = Sequence[tuple[BatchItem, DependencyState]]


class _KeyTaken(Exception):
    """Another request stored a task with one of the keys."""


async def store_dependent(database: Database, items: Sequence[BatchItem], by: str, is_atomic: bool) -> None:
    """Store the tasks as the actor `by`: in an atomic batch either all of them or none."""
    for _ in range(MAX_TRIES):
        try:
            async with database.transaction() as connection:
                await _store(connection, items, by, is_atomic)
        except _KeyTaken:
            pass
        except DBAPIError as exc:
            if not isinstance(exc.orig, DeadlockDetected):
                raise
        else:
            return count_submitted(items)
        for item in items:
            item.reset()
    raise concurrent_update()


async def _store(connection: AsyncConnection, items: Sequence[BatchItem], by: str, is_atomic: bool) -> None:
    others = await existing_by_key(connection, items)
    new = [item for item in items if item.task.idempotency_key not in others]
    existing = [item for item in items if item.task.idempotency_key in others]
    for item in existing:
        item.mark_existing(others[str(item.task.idempotency_key)])
    ids = {item.ref: item.id for item in existing if item.ref is not None and item.id is not None}
    parents = await _lock_parents(connection, new, ids)
    planned = [(item, start) for item in new if (start := parents.plan(item)) is not None]
    problems = [item.problem for item in items if item.problem is not None]
    if problems and (is_atomic or len(problems) == len(items)):
        raise ProblemError(merge_problems(problems))
    if planned:
        await _insert(connection, planned, ids, by)


@dataclass(frozen=True, slots=True)
class _Parents:
    """The states of what the tasks depend on, by id or ref, and why an id has none."""

    states: dict[int | str, DependencyState]
    missing: Mapping[int, str]

    def plan(self, item: BatchItem) -> DependencyState | None:
        """Return the state to start in, on which later tasks may depend. Reject the task when a parent is missing."""
        if errors := list(self._errors(item)):
            item.reject(errors)
            return None
        start = plan_start([self.states[name] for name in item.spec.depends_on])
        if item.ref is not None:
            self.states[item.ref] = start
        return start

    def _errors(self, item: BatchItem) -> Iterator[FieldError]:
        for number, name in enumerate(item.spec.depends_on):
            if name not in self.states:
                message = f"{name!r} is the ref of a rejected task" if isinstance(name, str) else self.missing[name]
                yield field_error((*item.path, "depends_on", number), message)


async def _lock_parents(connection: AsyncConnection, new: Sequence[BatchItem], ids: Mapping[str, int]) -> _Parents:
    """Lock all existing tasks that `new` depends on, so that their states hold. `ids` are those of refs."""
    wanted = {name for item in new for name in item.spec.depends_on if isinstance(name, int)} | set(ids.values())
    if not wanted:
        return _Parents({}, {})
    rows = await connection.execute(dependencies.lock_tasks(), {"ids": sorted(wanted)})
    states: dict[int | str, DependencyState] = {row.id: state_of(row.id, stored(Status, row.status)) for row in rows}
    missing = {task_id: f"there is no task {task_id}" for task_id in wanted if task_id not in states}
    if missing:
        for row in await connection.execute(dependencies.deleted_outcomes(), {"ids": sorted(missing)}):
            missing[row.task_id] = f"task {row.task_id} was deleted, and had not succeeded"
            if row.had_succeeded:
                states[row.task_id] = DependencyState(Status.SUCCEEDED)
    states |= {ref: states[task_id] for ref, task_id in ids.items() if task_id in states}
    return _Parents(states, missing)


async def _insert(connection: AsyncConnection, planned: Planned, ids: dict[str, int], by: str) -> None:
    """Store the planned tasks and their dependencies. Raise `_KeyTaken` when a key has been taken."""
    statement = submit_planned([(item.task, start) for item, start in planned], by, current_traceparent())
    rows = (await connection.execute(*statement)).all()
    if len(rows) != len(planned):
        raise _KeyTaken
    for (item, _), row in zip(planned, rows, strict=True):
        item.mark_inserted(row)
        if item.ref is not None:
            ids[item.ref] = row.id
    edges = {
        (item.row.id, name if isinstance(name, int) else ids[name]): None
        for item, _ in planned
        for name in item.spec.depends_on
    }
    await connection.execute(*add_dependencies(edges))
