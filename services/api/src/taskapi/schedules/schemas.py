"""What goes over HTTP of schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from taskapi.schemas import ActionReason
from taskcore.domain import tasks as limits
from taskcore.domain.schedules import DEFAULT_CATCH_UP_LIMIT, MAX_CATCH_UP_LIMIT, CatchUp, Overlap
from taskcore.submission.recurrence import MAX_CRON_LENGTH, MAX_EVERY_S, MIN_EVERY_S
from taskcore.submission.spec import Identifier, LabelKey, LabelValue, Name

MAX_JITTER_S = 86_400.0
MAX_PREVIEW = 100

Cron = Annotated[str, Meta(min_length=1, max_length=MAX_CRON_LENGTH)]
EveryS = Annotated[float, Meta(ge=MIN_EVERY_S, le=MAX_EVERY_S)]
Timezone = Annotated[str, Meta(min_length=1, max_length=255)]
JitterS = Annotated[float, Meta(ge=0, le=MAX_JITTER_S)]
Limit = Annotated[int, Meta(ge=1, le=MAX_CATCH_UP_LIMIT)]
Description = Annotated[str, Meta(max_length=limits.MAX_DESCRIPTION)]


class ScheduledTask(msgspec.Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """The task to submit at each time, as for `POST /tasks`. Without a name it has the schedule's."""

    type: Identifier
    name: Name | None = None
    parameters: dict[str, Any] = {}
    queue: Identifier | None = None
    priority: Annotated[int, Meta(ge=limits.MIN_PRIORITY, le=limits.MAX_PRIORITY)] = 0
    max_attempts: Annotated[int, Meta(ge=1, le=100)] | None = None
    timeout: Annotated[float, Meta(gt=0, le=limits.MAX_TIMEOUT_S)] | None = None
    delete_after: Annotated[float, Meta(ge=0, le=limits.MAX_DELETE_AFTER_S)] | None = None
    labels: Annotated[dict[LabelKey, LabelValue], Meta(max_length=limits.MAX_LABELS)] = {}
    description: Description | None = None


class ScheduleSubmission(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A schedule to make: at the times of `cron` in `timezone`, or each `every_s` seconds.

    `jitter_s` puts each task off by up to so many seconds. `overlap`: what becomes of a time while the task before is
    not over; `catch_up`: of times for which nobody was there, at most `catch_up_limit`.
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
    """What is left out stays. `cron` takes the place of `every_s`, and the other way round; `task` is given whole."""

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
    """A schedule, and how it stands.

    `next_at` is the earliest time that was not dealt with, null if none comes; `last_at` the last one that was, and
    `last_task_id` the task that was submitted last. `missed` counts times that were given up. `managed_by` is the
    service that keeps it: such a schedule can be paused and run, not changed.
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
    """By id. `next_after` goes on behind the last one, as `after`; null when there is no more."""

    items: list[Schedule]
    total: int
    next_after: int | None


class ScheduleRun(msgspec.Struct, frozen=True):
    """The task that was submitted at once, and the time that it stands for among the schedule's fires."""

    task_id: int
    due_at: datetime


class ScheduleFire(msgspec.Struct, frozen=True):
    """What became of the time `due_at`, and when (`at`): a task, or it `waits` for the one before, or was `skipped`."""

    due_at: datetime
    at: datetime
    task_id: int | None
    waits: bool
    skipped: bool


class ScheduleFirePage(msgspec.Struct, frozen=True):
    """Newest first. `next_before` goes on to older ones, as `before`; null when there are none."""

    items: list[ScheduleFire]
    next_before: datetime | None


class PreviewRequest(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Times to look at without making a schedule; `every_s` counts from now."""

    cron: Cron | None = None
    every_s: EveryS | None = None
    timezone: Timezone = "UTC"
    count: Annotated[int, Meta(ge=1, le=MAX_PREVIEW)] = 10


class PreviewedTime(msgspec.Struct, frozen=True):
    """A time in UTC, and as clocks show it in the schedule's time zone."""

    at: datetime
    local: datetime


class SchedulePreview(msgspec.Struct, frozen=True):
    """The next times, soonest first."""

    timezone: str
    times: list[PreviewedTime]


_NIGHTLY = {"name": "nightly", "cron": "30 2 * * *", "timezone": "Europe/Berlin", "task": {"type": "noop"}}
BODIES = {
    "create_schedule": (ScheduleSubmission, True, _NIGHTLY),
    "change_schedule": (ScheduleChange, True, {"every_s": 600, "overlap": "queue"}),
    "pause_schedule": (ActionReason, False, {"reason": "the mail server is being moved"}),
    "preview_recurrence": (PreviewRequest, True, {"cron": "*/5 8-18 * * MON-FRI", "timezone": "Europe/Berlin"}),
}
