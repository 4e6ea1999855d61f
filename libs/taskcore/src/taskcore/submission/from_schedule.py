"""Firing a schedule: one transaction in which its times are dealt with and its tasks submitted, or nothing happens.

The caller opens it (READ COMMITTED) and, once it is committed, wakes whoever sends tasks on.
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

#: Of the span in which its tasks are submitted.
SCHEDULE_ID_ATTRIBUTE = "taskcore.schedule.id"


@dataclass(frozen=True, slots=True)
class FiredTask:
    """What a schedule submitted for `due_at`."""

    task_id: int
    due_at: datetime


@dataclass(frozen=True, slots=True)
class OverlapConflict:
    """A task that the schedule submitted before is not over, and its policy allows no other beside it."""

    task_id: int


@dataclass(frozen=True, slots=True)
class FireResult:
    """What became of a schedule's times. `fired` are the tasks."""

    name: str
    plan: FirePlan
    fired: tuple[FiredTask, ...]


@dataclass(frozen=True, slots=True)
class _UnknownTypeDefaults:
    """Of a type that no worker has brought yet: its tasks wait for one."""

    queue: str = DEFAULT_QUEUE
    max_attempts: int = RetryPolicy().max_attempts
    timeout_s: float | None = None


class AlreadyFired(TaskcoreError):
    """A time was dealt with before. Nobody can who keeps to the lock; the key is there in case that somebody does."""


async def fire_due(connection: AsyncConnection, schedule_id: int, now: datetime | None = None) -> FireResult | None:
    """Deal with all times of the schedule that are due, and with those that wait.

    `moment` counts as now; None: the database's own. None is answered when there is nothing to do: somebody else was
    faster or is at it, or the schedule is paused or gone.
    """
    row = (await connection.execute(fires.try_lock_schedule(), {"of": schedule_id, "moment": now})).first()
    if row is None:
        return None
    schedule = LockedSchedule.from_row(row)
    times = _recurrence(schedule)
    due = _due(schedule, times)
    known = {"of": schedule_id, "times": list(due.times)}
    state = fires.FireState._make((await connection.execute(fires.fire_state(), known)).one())
    due = DueTimes(tuple(time for time in due.times if time not in state.taken), due.earlier_count)
    made = plan_fires(due, state.waiting, schedule.moment, _policy(schedule), has_active_task=state.busy is not None)
    is_due = schedule.next_at is not None and schedule.next_at <= schedule.moment
    if not is_due and list(made.waits) == state.waiting:
        return None
    following = times.after(schedule.moment) if is_due else schedule.next_at
    fired = await _submit(connection, schedule, made.fires, _actor(schedule), schedule.jitter_s)
    await _record_plan(connection, schedule, made, fired, following)
    return FireResult(schedule.name, made, fired)


async def run_now(
    connection: AsyncConnection, schedule_id: int, actor: str | None = None
) -> FiredTask | OverlapConflict | None:
    """Submit its task at once, beside its times, paused or not. None: there is no such schedule.

    `by` signs the task's history, where somebody asked for it; otherwise the schedule does.
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
    made: FirePlan,
    fired: Sequence[FiredTask],
    following: datetime | None,
) -> None:
    rows = fires.fire_rows([(one.due_at, one.task_id) for one in fired], made.skips, made.waits)
    recorded = (await connection.execute(fires.record_fires(), {"of": schedule.id, "rows": rows})).all()
    kept = (*made.fires, *made.skips, *made.waits)
    if len(recorded) != len(kept):
        raise AlreadyFired(f"schedule {schedule.id}: one of {', '.join(map(str, kept))} was dealt with before")
    if made.dropped:
        await connection.execute(fires.delete_waiting(), {"of": schedule.id, "times": list(made.dropped)})
    values = {"of": schedule.id, "following": following, "fired": max(kept, default=None), "more_missed": made.missed}
    await connection.execute(fires.advance_schedule(), values)


async def _submit(
    connection: AsyncConnection, schedule: LockedSchedule, times: Sequence[datetime], by: str, jitter_s: float
) -> tuple[FiredTask, ...]:
    if not times:
        return ()
    asked = msgspec.convert({"name": schedule.name, **schedule.task}, TaskSpec)
    rows = (await connection.execute(workers.get_type(), {"type_name": asked.type})).all()
    known: TypeDefaults = rows[0] if rows else _UnknownTypeDefaults()
    task = new_task(asked, known, request_id=None, idempotency_key=None)
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
    """What has not been dealt with: `next_at` itself, which need not be one of `times`, and what came since."""
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
    """What fires at once is no larger than a batch may be."""
    size = len(msgspec.json.encode(schedule.task))
    limit = min(schedule.catch_up_limit, max(1, MAX_BATCH_BYTES // size))
    return FirePolicy(schedule.overlap, schedule.catch_up, limit)
