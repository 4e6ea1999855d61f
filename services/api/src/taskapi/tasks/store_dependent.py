"""Storing tasks that depend on others, in one transaction.

What they depend on is locked first, so that it neither ends nor goes before they are stored: its end finds them. The
keys of the batch were looked at before; whoever stores the same at the same time makes this one start again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from psycopg.errors import DeadlockDetected
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from taskapi.http.field_errors import Path, field_error
from taskapi.http.problems import ProblemError, concurrent_update, invalid, merge_problems
from taskapi.runtime.database import Database
from taskapi.schemas import FieldError, Problem
from taskapi.tasks.store import ATTEMPTS, Stored, existing_by_key, match_existing
from taskcore.db.tasks import dependencies
from taskcore.db.tasks.submit_dependent import add_dependencies, submit_planned
from taskcore.domain.dependencies import DependencyState, plan_start, state_of
from taskcore.domain.states import Status
from taskcore.domain.tasks import NewTask
from taskcore.observability.metrics import TASKS_SUBMITTED
from taskcore.observability.tracing.propagation import current_traceparent


@dataclass(frozen=True, slots=True)
class Dependent:
    """A task to store, and what it depends on: ids, and refs of such as come before it. `path`: where it stands."""

    task: NewTask
    depends_on: Sequence[int | str] = ()
    ref: str | None = None
    path: Path = ()


class _KeyTaken(Exception):
    """Somebody stored a task with one of our keys meanwhile."""


async def store_dependent(database: Database, tasks: Sequence[Dependent], by: str, is_atomic: bool) -> list[Stored]:
    """Store `tasks`, signed `by`. Atomic: if one cannot be, none is."""
    for _ in range(ATTEMPTS):
        try:
            async with database.transaction() as connection:
                stored = await _store(connection, tasks, by, is_atomic)
        except _KeyTaken:
            continue
        except DBAPIError as exc:
            if not isinstance(exc.orig, DeadlockDetected):
                raise
            continue
        TASKS_SUBMITTED.inc(sum(one.row is not None for one in stored))
        return stored
    raise concurrent_update()


class _Plan:
    """What becomes of each task, by its place in the batch, and how all that they name stands, by id or ref."""

    def __init__(self, standings: dict[int | str, DependencyState], missing: Mapping[int, str]) -> None:
        self.stored: dict[int, Stored] = {}
        self.starts: dict[int, DependencyState] = {}
        self._standings = standings
        self._missing = missing

    def add(self, place: int, one: Dependent) -> None:
        if errors := list(self._errors(one)):
            self.stored[place] = Stored(problem=invalid(errors))
            return
        self.starts[place] = start = plan_start([self._standings[name] for name in one.depends_on])
        if one.ref is not None:
            self._standings[one.ref] = start

    def problems(self) -> list[Problem]:
        return [one.problem for one in self.stored.values() if one.problem is not None]

    def _errors(self, one: Dependent) -> Iterator[FieldError]:
        for number, name in enumerate(one.depends_on):
            if name not in self._standings:
                what = "is the ref of a task that is refused" if isinstance(name, str) else self._missing[name]
                yield field_error((*one.path, "depends_on", number), f"{name!r} {what}")


async def _store(connection: AsyncConnection, tasks: Sequence[Dependent], by: str, is_atomic: bool) -> list[Stored]:
    others = await existing_by_key(connection, [one.task.idempotency_key for one in tasks])
    known = {i: match_existing(one.task, others[key]) for i, one in enumerate(tasks) if (key := _key(one)) in others}
    ids = {ref: known[i].id for i, one in enumerate(tasks) if i in known and (ref := one.ref) and known[i].id}
    plan = await _plan(connection, [one for i, one in enumerate(tasks) if i not in known], ids)
    plan.stored |= known
    for place, one in enumerate(tasks):
        if place not in known:
            plan.add(place, one)
    is_empty = not plan.starts and not any(one.id for one in known.values())
    if (is_atomic or is_empty) and (problems := plan.problems()):
        raise ProblemError(merge_problems(problems))
    await _insert(connection, tasks, plan, ids, by)
    return [plan.stored[place] for place in range(len(tasks))]


async def _plan(connection: AsyncConnection, tasks: Sequence[Dependent], ids: Mapping[str, int]) -> _Plan:
    """How what `tasks` depend on stands, which it will do until the end of the transaction. `ids`: by ref."""
    wanted = {name for one in tasks for name in one.depends_on if isinstance(name, int)} | set(ids.values())
    rows = (await connection.execute(dependencies.lock_tasks(), {"ids": sorted(wanted)})).all() if wanted else []
    standings: dict[int | str, DependencyState] = {row.id: state_of(row.id, Status(row.status)) for row in rows}
    missing = {task_id: "is the id of no task" for task_id in wanted if task_id not in standings}
    if missing:
        for row in await connection.execute(dependencies.deleted_outcomes(), {"ids": sorted(missing)}):
            missing[row.task_id] = "is the id of a task that is gone, and had not succeeded"
            if row.had_succeeded:
                standings[row.task_id] = DependencyState(Status.SUCCEEDED)
    standings |= {ref: standings[task_id] for ref, task_id in ids.items() if task_id in standings}
    return _Plan(standings, missing)


async def _insert(
    connection: AsyncConnection, tasks: Sequence[Dependent], plan: _Plan, ids: dict[str, int], by: str
) -> None:
    """Store what is to start. Raises `_Raced`."""
    if not plan.starts:
        return
    planned = [(tasks[place].task, start) for place, start in plan.starts.items()]
    statement, values = submit_planned(planned, by, current_traceparent())
    rows = (await connection.execute(statement, values)).all()
    if len(rows) != len(plan.starts):
        raise _KeyTaken
    for place, row in zip(plan.starts, rows, strict=True):
        plan.stored[place] = Stored(row.id, row)
        if (ref := tasks[place].ref) is not None:
            ids[ref] = row.id
    edges = [
        (plan.stored[place].id, name if isinstance(name, int) else ids[name])
        for place in plan.starts
        for name in dict.fromkeys(tasks[place].depends_on)
    ]
    await connection.execute(*add_dependencies(dict.fromkeys(edges)))


def _key(one: Dependent) -> str:
    return str(one.task.idempotency_key)
