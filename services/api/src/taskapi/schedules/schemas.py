"""Requests and responses about schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from taskcore.domain import tasks as limits
from taskcore.domain.schedules import DEFAULT_CATCH_UP_LIMIT, MAX_CATCH_UP_LIMIT, CatchUp, Overlap
from taskcore.submission.recurrence import MAX_CRON_LENGTH, MAX_EVERY_S, MIN_EVERY_S
from taskcore.submission.spec import Identifier, LabelKey, LabelValue, Name, QueueName

MAX_JITTER_S = 86_400.0
MAX_PREVIEW = 100

Cron = Annotated[str, Meta(min_length=1, max_length=MAX_CRON_LENGTH)]
EveryS = Annotated[float, Meta(ge=MIN_EVERY_S, le=MAX_EVERY_S)]
Timezone = Annotated[str, Meta(min_length=1, max_length=255)]
JitterS = Annotated[float, Meta(ge=0, le=MAX_JITTER_S)]
Limit = Annotated[int, Meta(ge=1, le=MAX_CATCH_UP_LIMIT)]
Description = Annotated[str, Meta(max_length=limits.MAX_DESCRIPTION)]


class ScheduledTask(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """The task to submit at each time, as in `POST /tasks`. Its name defaults to that of the schedule."""

    type: Identifier
    name: Name | None = None
    parameters: dict[str, Any] = {}
    queue: QueueName | None = None
    priority: Annotated[int, Meta(ge=limits.MIN_PRIORITY, le=limits.MAX_PRIORITY)] = 0
    max_attempts: Annotated[int, Meta(ge=1, le=100)] | None = None
    timeout: Annotated[float, Meta(gt=0, le=limits.MAX_TIMEOUT_S)] | None = None
    delete_after: Annotated[float, Meta(ge=0, le=limits.MAX_DELETE_AFTER_S)] | None = None
    labels: Annotated[dict[LabelKey, LabelValue], Meta(max_length=limits.MAX_LABELS)] = {}
    description: Description | None = None


class ScheduleSubmission(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A schedule to create, which fires at the times of `cron` in `timezone`, or every `every_s` seconds.

    Each task is delayed by a random time of up to `jitter_s` seconds. `overlap` decides what happens at a time at
    which the previous task is not finished. `catch_up` decides how many missed times to make up for, up to
    `catch_up_limit`.
    """

    name: Name
    task: ScheduledTask
    cron: Cron | None = None
    every_s: EveryS | None = None
    timezone: Timezone = "UTC"
    description: Description | None = None
    jitter_s: JitterS = 0.0
    overlap: Overlap = Overlap.SKIP
    catch_up: CatchUp = CatchUp.LAST
    catch_up_limit: Limit = DEFAULT_CATCH_UP_LIMIT
    run_at_start: bool = False


class ScheduleChange(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """Members to change. `cron` replaces `every_s`, and the other way round; `task` is replaced as a whole."""

    name: Name | UnsetType = UNSET
    task: ScheduledTask | UnsetType = UNSET
    cron: Cron | UnsetType | None = UNSET
    every_s: EveryS | UnsetType | None = UNSET
    timezone: Timezone | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    jitter_s: JitterS | UnsetType = UNSET
    overlap: Overlap | UnsetType = UNSET
    catch_up: CatchUp | UnsetType = UNSET
    catch_up_limit: Limit | UnsetType = UNSET
    run_at_start: bool | UnsetType = UNSET


class Schedule(msgspec.Struct, frozen=True):
    """A schedule and its state.

    `next_at` is the next time to fire, null if there is none; `last_at` is the last one, and `last_task_id` the task
    that was submitted last. `missed` counts the times that were not made up for. A schedule that a service manages
    (`managed_by`) can be paused and run, but not changed.
    """

    id: int
    name: str
    description: str | None
    cron: str | None
    every_s: float | None
    timezone: str
    jitter_s: float
    overlap: Overlap
    catch_up: CatchUp
    catch_up_limit: int
    run_at_start: bool
    task: dict[str, Any]
    next_at: datetime | None
    last_at: datetime | None
    last_task_id: int | None
    missed: int
    paused_at: datetime | None
    pause_reason: str | None
    managed_by: str | None
    created_by: str
    created_at: datetime
    changed_at: datetime


class SchedulePage(msgspec.Struct, frozen=True):
    """A page, by id. `next_after` is the `after` of the next page, null on the last one."""

    items: list[Schedule]
    total: int
    next_after: int | None


class ScheduleRun(msgspec.Struct, frozen=True):
    """The submitted task, and its `due_at` among the fires of the schedule."""

    task_id: int
    due_at: datetime


class ScheduleFire(msgspec.Struct, frozen=True):
    """The outcome of a time, decided `at`: a task, or it `waits` for the previous one, or it was `skipped`."""

    due_at: datetime
    at: datetime
    task_id: int | None
    waits: bool
    skipped: bool


class ScheduleFirePage(msgspec.Struct, frozen=True):
    """A page, newest first. `next_before` is the `before` of the next page, null on the last one."""

    items: list[ScheduleFire]
    next_before: datetime | None


class PreviewRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Times to preview without creating a schedule. `every_s` counts from now."""

    cron: Cron | None = None
    every_s: EveryS | None = None
    timezone: Timezone = "UTC"
    count: Annotated[int, Meta(ge=1, le=MAX_PREVIEW)] = 10


class PreviewedTime(msgspec.Struct, frozen=True):
    """A time in UTC (`at`), and as the `local` time in the time zone of the schedule."""

    at: datetime
    local: datetime


class SchedulePreview(msgspec.Struct, frozen=True):
    """The next times, earliest first."""

    timezone: str
    times: list[PreviewedTime]
