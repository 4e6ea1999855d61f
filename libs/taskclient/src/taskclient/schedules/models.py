"""Schedules as this client sees them. Policies are kept as text: one that it does not know yet must not harm."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class ScheduledTask(msgspec.Struct, frozen=True, omit_defaults=True):
    """The task to submit at each time, as `NewTask`. Without a name it has the schedule's."""

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
    """A schedule to make: at the times of `cron` in `timezone`, or each `every_s` seconds.

    What is left out is not sent: UTC, no jitter, overlap `skip` (or `queue`, `allow`), catch-up `last` (or `none`,
    `all`) of at most 100 times.
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
    """A schedule, and how it stands. One that a service keeps (`managed_by`) can be paused and run, not changed."""

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


class SchedulePage(msgspec.Struct, frozen=True):
    """By id. `next_after` is None on the last page."""

    items: list[Schedule]
    total: int
    next_after: int | None


class ScheduleRun(msgspec.Struct, frozen=True):
    """The task that was submitted at once, and the time that it stands for."""

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
    """Newest first. `next_before` is None on the last page."""

    items: list[ScheduleFire]
    next_before: datetime | None


class PreviewedTime(msgspec.Struct, frozen=True):
    """A time in UTC, and as clocks show it in the schedule's time zone."""

    at: datetime
    local: datetime


class SchedulePreview(msgspec.Struct, frozen=True):
    """The next times, soonest first."""

    timezone: str
    times: list[PreviewedTime]
