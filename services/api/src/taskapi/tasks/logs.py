"""Reading the log lines of a task's attempts."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from taskapi.http.paging import decode_pair
from taskapi.http.parameters import Limit, TaskId, problem_responses
from taskapi.runtime.services import AppServices
from taskapi.schemas.history import LogLine, LogPage
from taskapi.tasks import presenters
from taskapi.tasks.queries import fetch_task_row
from taskcore.db.tasks import attempt_reports

MAX_ATTEMPT = 2**31 - 1

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
    position = max(decode_pair("after", after) if after else (0, 0), (attempt, 0))
    values = {"task": task_id, "until_attempt": attempt or MAX_ATTEMPT, "room": limit + 1}
    rows = await services.database.read(
        attempt_reports.list_log_lines(), {**values, "after_attempt": position[0], "after_line": position[1]}
    )
    items, has_more = presenters.first_rows(LogLine, rows, limit)
    next_after = f"{items[-1].attempt}.{items[-1].line}" if items else after
    return LogPage(items, next_after, has_more)
