"""Check that a schedule can fire when it is created or changed, because a later error would go unseen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from taskapi.http.field_errors import Path, field_error
from taskapi.http.problems import invalid_field, raise_if_any
from taskapi.runtime.services import Services
from taskapi.schedules.schemas import ScheduleChange, ScheduledTask, ScheduleSubmission
from taskapi.schemas.problems import FieldError
from taskapi.tasks.parse import type_errors
from taskcore.domain.schedules import RESERVED_PREFIX
from taskcore.errors import InvalidRecurrence
from taskcore.submission.recurrence import Recurrence, recurrence
from taskcore.submission.spec import TaskSubmission, storage_errors

_PREFIX: Path = ("task",)


async def check_schedule(services: Services, schedule: ScheduleSubmission | ScheduleChange) -> None:
    """Raise `ProblemError`, which names each invalid field. `parse_recurrence` checks the times."""
    raise_if_any(_text_errors(schedule))
    if isinstance(schedule.task, ScheduledTask):
        await _check_task(services, schedule.task)


def parse_recurrence(cron: str | None, every_s: float | None, timezone: str, anchor_at: datetime) -> Recurrence:
    """Return the recurrence. Raise `ProblemError` when the times are not valid."""
    if cron is not None and every_s is not None:
        raise invalid_field("every_s", "cannot be given together with cron")
    try:
        return recurrence(cron=cron, every_s=every_s, timezone=timezone, anchor_at=anchor_at)
    except InvalidRecurrence as exc:
        raise invalid_field(exc.field, exc.message) from exc


async def _check_task(services: Services, task: ScheduledTask) -> None:
    """Check the task like `POST /tasks` does."""
    submission = TaskSubmission(
        name=task.name or "-",
        type=task.type,
        parameters=task.parameters,
        queue=task.queue,
        labels=task.labels,
        description=task.description,
    )
    raise_if_any(field_error((*_PREFIX, *path), message) for path, message in storage_errors(submission))
    types = await services.type_cache.get([task.type])
    raise_if_any(type_errors(submission, types, _PREFIX))
    is_named = task.queue is not None and task.queue != types[task.type].queue
    if is_named and await services.queue_names.find_refused([str(task.queue)]):
        raise invalid_field("task.queue", services.queue_names.refusal)


def _text_errors(schedule: ScheduleSubmission | ScheduleChange) -> Iterator[FieldError]:
    for field, text in (("name", schedule.name), ("description", schedule.description)):
        if isinstance(text, str) and "\0" in text:
            yield FieldError(field, "contains a NUL character")
    if isinstance(schedule.name, str) and schedule.name.startswith(RESERVED_PREFIX):
        yield FieldError("name", f"begins with {RESERVED_PREFIX!r}, which is reserved for managed schedules")
