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

PAGE_SIZE = "1000"


class ScheduleCalls:
    """Those of a `Client`."""

    _connection: Connection

    def schedules(self) -> Sequence[Schedule]:
        """All of them, by id."""
        items, after = list[Schedule](), 0
        while True:
            pairs = [("after", str(after)), ("limit", PAGE_SIZE)]
            page = self._connection.request(Call("GET", "/schedules", pairs), SchedulePage)
            items += page.items
            if page.next_after is None:
                return items
            after = page.next_after

    def schedule(self, schedule_id: int) -> Schedule:
        return self._connection.request(Call("GET", _path(schedule_id)), Schedule)

    def create_schedule(self, new: NewSchedule) -> Schedule:
        """Refused with `schedule_exists` when there is one of that name."""
        return self._connection.request(Call("POST", "/schedules", body=new), Schedule)

    def change_schedule(self, schedule_id: int, **changes: Any) -> Schedule:
        """Set what is given, of what a `NewSchedule` has; at once. A `task` is given whole."""
        return self._connection.request(Call("PATCH", _path(schedule_id), body=changes), Schedule)

    def delete_schedule(self, schedule_id: int) -> None:
        """The tasks that it submitted stay."""
        self._connection.send(Call("DELETE", _path(schedule_id)))

    def pause_schedule(self, schedule_id: int, reason: str | None = None) -> Schedule:
        """Its times pass until it is resumed."""
        body = None if reason is None else {"reason": reason}
        return self._connection.request(Call("POST", f"{_path(schedule_id)}/pause", body=body), Schedule)

    def resume_schedule(self, schedule_id: int) -> Schedule:
        """What came during the pause is not made up for."""
        return self._connection.request(Call("POST", f"{_path(schedule_id)}/resume"), Schedule)

    def run_schedule(self, schedule_id: int) -> ScheduleRun:
        """Submit its task now. Refused with `schedule_overlap` while the one before is not over, if it must be."""
        return self._connection.request(Call("POST", f"{_path(schedule_id)}/run"), ScheduleRun)

    def schedule_fires(
        self, schedule_id: int, *, before: datetime | None = None, limit: int | None = None
    ) -> ScheduleFirePage:
        """A page of what became of its times, newest first; behind `before`, which is the `next_before` of a page."""
        given = (("before", None if before is None else before.isoformat()), ("limit", limit))
        pairs = [(name, str(value)) for name, value in given if value is not None]
        return self._connection.request(Call("GET", f"{_path(schedule_id)}/fires", pairs), ScheduleFirePage)

    def preview_schedule(self, schedule_id: int, count: int = 10) -> SchedulePreview:
        """Its next times from now on."""
        return self._connection.request(
            Call("GET", f"{_path(schedule_id)}/preview", [("count", str(count))]), SchedulePreview
        )

    def preview_times(
        self, *, cron: str | None = None, every_s: float | None = None, timezone: str = "UTC", count: int = 10
    ) -> SchedulePreview:
        """The next times of a cron line, or of an interval from now. Nothing is stored."""
        asked = {"cron": cron, "every_s": every_s, "timezone": timezone, "count": count}
        return self._connection.request(Call("POST", "/schedules/preview", body=asked), SchedulePreview)


def _path(schedule_id: int) -> str:
    return f"/schedules/{schedule_id}"
