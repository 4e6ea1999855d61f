"""Models of the calls about schedules. Policies are plain text, so that one from a newer server stays readable."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from taskclient.models import Page


class ScheduledTask(msgspec.Struct, frozen=True, omit_defaults=True):
    """The task to submit at each time, with the fields of `NewTask`. `name` defaults to the schedule's."""

    type: str
    name: str | None = None
    parameters: dict[str, Any] = {}
    queue: str | None = None
    priority: int = 0
    max_attempts: int | None = None
    timeout: float | None = None
    delete_after: float | None = None
    labels: dict[str, str] = {}
    description: str | None = None


class NewSchedule(msgspec.Struct, frozen=True, omit_defaults=True):
    """A schedule to create: at the times of `cron` in `timezone`, or every `every_s` seconds.

    Fields with a default are not sent. The server's defaults: overlap `skip` (or `queue`, `allow`), catch-up `last`
    (or `none`, `all`) with at most 100 times.
    """

    name: str
    task: ScheduledTask
    cron: str | None = None
    every_s: float | None = None
    timezone: str = "UTC"
    description: str | None = None
    jitter_s: float = 0.0
    overlap: str | None = None
    catch_up: str | None = None
    catch_up_limit: int | None = None
    run_at_start: bool = False


class Schedule(msgspec.Struct, frozen=True):
    """A schedule and its state. One that a service manages (`managed_by`) can be paused and run, but not changed."""

    id: int
    name: str
    description: str | None
    cron: str | None
    every_s: float | None
    timezone: str
    jitter_s: float
    overlap: str
    catch_up: str
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


class SchedulePage(Page[Schedule], frozen=True):
    total: int


class ScheduleRun(msgspec.Struct, frozen=True):
    """The task that a manual run submitted, and the time it counts for."""

    task_id: int
    due_at: datetime


class ScheduleFire(msgspec.Struct, frozen=True):
    """What happened at the time `due_at`, and when (`at`).

    The schedule submitted `task_id`, `waits` for the previous task to finish, or `skipped` the time.
    """

    due_at: datetime
    at: datetime
    task_id: int | None
    waits: bool
    skipped: bool


class ScheduleFirePage(msgspec.Struct, frozen=True):
    """A page, newest first. `next_before` is None on the last page."""

    items: list[ScheduleFire]
    next_before: datetime | None


class PreviewedTime(msgspec.Struct, frozen=True):
    """A time in UTC, and in the schedule's time zone."""

    at: datetime
    local: datetime


class SchedulePreview(msgspec.Struct, frozen=True):
    """The next times, soonest first."""

    timezone: str
    times: list[PreviewedTime]
