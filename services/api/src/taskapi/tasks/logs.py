"""Reading the log lines of a task's attempts."""

from __future__ import annotations

import re
from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from taskapi.http.parameters import Limit, TaskId, problem_responses
from taskapi.http.problems import invalid_field
from taskapi.runtime.services import AppServices
from taskapi.schemas.history import LogLine, LogPage
from taskapi.tasks import presenters
from taskapi.tasks.queries import fetch_task_row
from taskcore.db.tasks import attempt_reports

MAX_ATTEMPT = 2**31 - 1
_POSITION = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")

_Attempt = Annotated[
    int, QueryParameter(ge=0, le=MAX_ATTEMPT, description="Only the lines of this attempt. 0 means all attempts.")
]
_After = Annotated[
    str | None,
    QueryParameter(
        max_length=19, pattern=r"^[0-9]{1,9}\.[0-9]{1,9}$", description="`next_after` of the previous page."
    ),
]


@get("/tasks/{task_id:int}/logs", summary="Get a task's logs", responses=problem_responses(404))
async def get_task_logs(
    services: AppServices, task_id: TaskId, attempt: _Attempt = 0, after: _After = None, limit: Limit = 100
) -> LogPage:
    """Return log lines, oldest first, attempt by attempt. Those of a running attempt appear within about a second."""
    await fetch_task_row(services, task_id)
    position = max(_position(after), (attempt, 0))
    values = {"task": task_id, "until_attempt": attempt or MAX_ATTEMPT, "room": limit + 1}
    rows = await services.database.read(
        attempt_reports.list_log_lines(), {**values, "after_attempt": position[0], "after_line": position[1]}
    )
    items = [presenters.from_row(LogLine, row) for row in rows[:limit]]
    next_after = f"{items[-1].attempt}.{items[-1].line}" if items else after
    return LogPage(items, next_after, has_more=len(rows) > limit)


def _position(after: str | None) -> tuple[int, int]:
    """Return attempt and line. Raise `ProblemError` when `after` is neither."""
    if after is None:
        return 0, 0
    match = _POSITION.fullmatch(after)
    if match is None:
        raise invalid_field("after", "is not an attempt and a line, such as 1.17")
    return int(match[1]), int(match[2])
