"""Views of schedules, their fires and their next times as tables."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from taskclient.cli.output.formatting import first_line
from taskclient.cli.output.views import Columns, list_view
from taskclient.schedules.models import PreviewedTime, Schedule, ScheduleFire, ScheduleFirePage, SchedulePreview

SCHEDULE_COLUMNS: Columns[Schedule] = {
    "id": lambda schedule: schedule.id,
    "name": lambda schedule: first_line(schedule.name),
    "when": lambda schedule: format_times(schedule),
    "type": lambda schedule: schedule.task.get("type"),
    "next": lambda schedule: schedule.next_at if schedule.paused_at is None else "(paused)",
    "last": lambda schedule: schedule.last_at,
    "last task": lambda schedule: schedule.last_task_id,
    "missed": lambda schedule: schedule.missed,
    "paused": lambda schedule: schedule.pause_reason or schedule.paused_at,
    "managed by": lambda schedule: schedule.managed_by,
}
FIRE_COLUMNS: Columns[ScheduleFire] = {
    "due": lambda fire: fire.due_at,
    "processed": lambda fire: fire.at,
    "task": lambda fire: fire.task_id if fire.task_id is not None else "(waits)" if fire.waits else "(skipped)",
}
PREVIEW_COLUMNS: Columns[PreviewedTime] = {
    "utc": lambda time: time.at,
    "local": lambda time: time.local.strftime("%a %Y-%m-%d %H:%M:%S %z"),
}


def format_times(schedule: Schedule) -> str:
    """Return the times as text: `30 2 * * * Europe/Berlin`, or `every 600 s`."""
    if schedule.every_s is not None:
        return f"every {schedule.every_s:g} s"
    return f"{schedule.cron} {schedule.timezone}"


def fires_view(page: ScheduleFirePage) -> RenderableType:
    more = [] if page.next_before is None else [Text(f"more: --before {page.next_before.isoformat()}")]
    return Group(list_view(page.items, FIRE_COLUMNS), *more)


def preview_view(preview: SchedulePreview) -> RenderableType:
    return Group(list_view(preview.times, PREVIEW_COLUMNS), Text(f"time zone: {preview.timezone}"))
