"""Fire a schedule: submit the tasks of its due times and record those times, in one transaction.

The caller opens the transaction (READ COMMITTED), and wakes the relay after the commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec
from opentelemetry import trace
from sqlalchemy.ext.asyncio import AsyncConnection

from taskcore.db.schedules import fires
from taskcore.db.schedules.fires import LockedSchedule
from taskcore.db.tasks import submit
from taskcore.db.workers import workers
from taskcore.domain.retry import RetryPolicy
from taskcore.domain.schedules import (
    SCHEDULE_LABEL,
    DueTimes,
    FirePlan,
    FirePolicy,
    Overlap,
    jittered_run_at,
    plan_fires,
)
from taskcore.domain.tasks import DEFAULT_QUEUE, MAX_BATCH_BYTES, NewTask
from taskcore.errors import TaskcoreError
from taskcore.observability.tracing.propagation import current_traceparent
from taskcore.submission.recurrence import Recurrence, recurrence
from taskcore.submission.spec import TaskSpec, TypeDefaults, new_task

#: An attribute of the span in which the tasks are submitted.
SCHEDULE_ID_ATTRIBUTE = "taskcore.schedule.id"


@dataclass(frozen=True, slots=True)
class FiredTask:
    """The task that a schedule submitted for `due_at`."""

    task_id: int
    due_at: datetime


@dataclass(frozen=True, slots=True)
class OverlapConflict:
    """An earlier task of the schedule is not finished, and the overlap policy allows no second one."""

    task_id: int


@dataclass(frozen=True, slots=True)
class FireResult:
    """What was done with the due times of a schedule."""

    name: str
    plan: FirePlan
    fired: tuple[FiredTask, ...]


@dataclass(frozen=True, slots=True)
class _UnknownTypeDefaults:
    """For a type that no worker has registered yet. Its tasks wait for such a worker."""

    queue: str = DEFAULT_QUEUE
    max_attempts: int = RetryPolicy().max_attempts
    timeout_s: float | None = None


class AlreadyFired(TaskcoreError):
    """A due time was recorded before. The lock prevents this; the primary key is the second defence."""


async def fire_due(connection: AsyncConnection, schedule_id: int, now: datetime | None = None) -> FireResult | None:
    """Fire what is due and what waits, by the database's clock unless `now` is given.

    Returns `None` when there is nothing to do: the schedule is paused or deleted, or another coordinator fires it.
    """
    row = (await connection.execute(fires.try_lock_schedule(), {"of": schedule_id, "moment": now})).first()
    if row is None:
        return None
    schedule = LockedSchedule.from_row(row)
    times = _recurrence(schedule)
    due = _due(schedule, times)
    due_times = {"of": schedule_id, "times": list(due.times)}
    state = fires.FireState._make((await connection.execute(fires.fire_state(), due_times)).one())
    due = DueTimes(tuple(time for time in due.times if time not in state.taken), due.earlier_count)
    plan = plan_fires(due, state.waiting, schedule.moment, _policy(schedule), has_active_task=state.busy is not None)
    is_due = schedule.next_at is not None and schedule.next_at <= schedule.moment
    if not is_due and list(plan.waits) == state.waiting:
        return None
    next_at = times.after(schedule.moment) if is_due else schedule.next_at
    fired = await _submit(connection, schedule, plan.fires, _actor(schedule), schedule.jitter_s)
    await _record_plan(connection, schedule, plan, fired, next_at)
    return FireResult(schedule.name, plan, fired)


async def run_now(
    connection: AsyncConnection, schedule_id: int, actor: str | None = None
) -> FiredTask | OverlapConflict | None:
    """Submit the schedule's task now, apart from its due times, even if it is paused. `None` if there is no schedule.

    `actor` signs the task's history. [default: the schedule]
    """
    row = (await connection.execute(fires.lock_schedule(), {"of": schedule_id})).first()
    if row is None:
        return None
    schedule = LockedSchedule.from_row(row)
    rows = await connection.execute(fires.fire_state(), {"of": schedule_id, "times": []})
    state = fires.FireState._make(rows.one())
    if state.busy is not None and schedule.overlap != Overlap.ALLOW:
        return OverlapConflict(state.busy)
    fired = await _submit(connection, schedule, [schedule.moment], actor or _actor(schedule), jitter_s=0.0)
    await _record_plan(connection, schedule, FirePlan(fires=(schedule.moment,)), fired, schedule.next_at)
    return fired[0]


async def _record_plan(
    connection: AsyncConnection,
    schedule: LockedSchedule,
    plan: FirePlan,
    fired: Sequence[FiredTask],
    next_at: datetime | None,
) -> None:
    rows = fires.fire_rows([(one.due_at, one.task_id) for one in fired], plan.skips, plan.waits)
    recorded = (await connection.execute(fires.record_fires(), {"of": schedule.id, "rows": rows})).all()
    kept = (*plan.fires, *plan.skips, *plan.waits)
    if len(recorded) != len(kept):
        raise AlreadyFired(f"schedule {schedule.id}: one of {', '.join(map(str, kept))} was fired before")
    if plan.dropped:
        await connection.execute(fires.delete_waiting(), {"of": schedule.id, "times": list(plan.dropped)})
    values = {"of": schedule.id, "following": next_at, "fired": max(kept, default=None), "more_missed": plan.missed}
    await connection.execute(fires.advance_schedule(), values)


async def _submit(
    connection: AsyncConnection, schedule: LockedSchedule, times: Sequence[datetime], by: str, jitter_s: float
) -> tuple[FiredTask, ...]:
    if not times:
        return ()
    spec = msgspec.convert({"name": schedule.name, **schedule.task}, TaskSpec)
    row = (await connection.execute(workers.get_type(), {"type_name": spec.type})).first()
    defaults: TypeDefaults = workers.RegisteredType.from_row(row) if row else _UnknownTypeDefaults()
    task = new_task(spec, defaults, request_id=None, idempotency_key=None)
    tasks = [_task(task, schedule, due_at, jitter_s) for due_at in times]
    with trace.get_tracer("taskcore").start_as_current_span(
        "fire schedule",
        attributes={SCHEDULE_ID_ATTRIBUTE: schedule.id},
        record_exception=False,
        set_status_on_exception=False,
    ):
        stored = (await connection.execute(*submit.submit(tasks, by, current_traceparent()))).all()
    return tuple(FiredTask(row.id, due_at) for row, due_at in zip(stored, times, strict=True))


def _task(task: NewTask, schedule: LockedSchedule, due_at: datetime, jitter_s: float) -> NewTask:
    labels = {**task.labels, SCHEDULE_LABEL: schedule.name}
    return replace(task, labels=labels, run_at=jittered_run_at(schedule.id, due_at, jitter_s))


def _due(schedule: LockedSchedule, times: Recurrence) -> DueTimes:
    """Return `next_at`, which need not be one of `times`, and the due times after it."""
    if schedule.next_at is None or schedule.next_at > schedule.moment:
        return DueTimes()
    limit = _policy(schedule).limit
    later = times.between(schedule.next_at, schedule.moment, limit)
    if len(later.times) == limit:
        return DueTimes(later.times, later.earlier_count + 1)
    return DueTimes((schedule.next_at, *later.times))


def _actor(schedule: LockedSchedule) -> str:
    return f"schedule:{schedule.id}"


def _recurrence(schedule: LockedSchedule) -> Recurrence:
    return recurrence(
        cron=schedule.cron, every_s=schedule.every_s, timezone=schedule.timezone, anchor_at=schedule.anchor_at
    )


def _policy(schedule: LockedSchedule) -> FirePolicy:
    """Return the policy, with a limit that keeps the tasks of one firing below the size of a batch."""
    size = len(msgspec.json.encode(schedule.task))
    limit = min(schedule.catch_up_limit, max(1, MAX_BATCH_BYTES // size))
    return FirePolicy(schedule.overlap, schedule.catch_up, limit)
