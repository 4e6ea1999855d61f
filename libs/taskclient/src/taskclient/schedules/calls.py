"""The calls about schedules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from taskclient.connection import Call, Connection
from taskclient.schedules.models import (
    NewSchedule,
    Schedule,
    ScheduleFirePage,
    SchedulePage,
    SchedulePreview,
    ScheduleRun,
)

PAGE_SIZE = 1_000


class ScheduleCalls:
    """The schedule methods of a `Client`."""

    _connection: Connection

    def schedules(self) -> Sequence[Schedule]:
        """Return all schedules, ordered by id."""
        return self._connection.get_all("/schedules", SchedulePage, limit=PAGE_SIZE)

    def schedule(self, schedule_id: int) -> Schedule:
        return self._connection.get(_path(schedule_id), Schedule)

    def create_schedule(self, new: NewSchedule) -> Schedule:
        """Create a schedule. Raise ApiError `schedule_exists` when the name is taken."""
        return self._connection.post("/schedules", Schedule, new)

    def change_schedule(self, schedule_id: int, **changes: Any) -> Schedule:
        """Change the given fields, which are those of `NewSchedule`. A `task` replaces the whole task."""
        return self._connection.request(Call("PATCH", _path(schedule_id), body=changes), Schedule)

    def delete_schedule(self, schedule_id: int) -> None:
        """Delete a schedule. The tasks that it submitted stay."""
        self._connection.send(Call("DELETE", _path(schedule_id)))

    def pause_schedule(self, schedule_id: int, reason: str | None = None) -> Schedule:
        """Submit nothing until the schedule is resumed."""
        return self._connection.post(f"{_path(schedule_id)}/pause", Schedule, {"reason": reason})

    def resume_schedule(self, schedule_id: int) -> Schedule:
        """Continue from now. Times that passed during the pause are not made up for."""
        return self._connection.post(f"{_path(schedule_id)}/resume", Schedule)

    def run_schedule(self, schedule_id: int) -> ScheduleRun:
        """Submit the schedule's task now.

        Raise ApiError `schedule_overlap` when the overlap policy forbids it while the previous task is unfinished.
        """
        return self._connection.post(f"{_path(schedule_id)}/run", ScheduleRun)

    def schedule_fires(
        self, schedule_id: int, *, before: datetime | None = None, limit: int | None = None
    ) -> ScheduleFirePage:
        """Return a page of the schedule's fires, newest first. `before` is the `next_before` of the page before."""
        return self._connection.get(f"{_path(schedule_id)}/fires", ScheduleFirePage, before=before, limit=limit)

    def preview_schedule(self, schedule_id: int, count: int = 10) -> SchedulePreview:
        """Return the schedule's next `count` times."""
        return self._connection.get(f"{_path(schedule_id)}/preview", SchedulePreview, count=count)

    def preview_times(
        self, *, cron: str | None = None, every_s: float | None = None, timezone: str = "UTC", count: int = 10
    ) -> SchedulePreview:
        """Return the next times of a cron line, or of an interval from now. Nothing is stored."""
        asked = {"cron": cron, "every_s": every_s, "timezone": timezone, "count": count}
        return self._connection.post("/schedules/preview", SchedulePreview, asked)


def _path(schedule_id: int) -> str:
    return f"/schedules/{schedule_id}"
