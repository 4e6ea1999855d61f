"""Reading what a task's attempts said."""

from __future__ import annotations

import re
from typing import Annotated

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from taskapi import schemas
from taskapi.http.parameters import TaskId, problem_responses
from taskapi.http.problems import invalid_field
from taskapi.runtime.services import Services
from taskapi.tasks import presenters
from taskapi.tasks.queries import fetch_task_row
from taskcore.db.tasks import attempt_reports

MAX_ATTEMPT = 2**31 - 1
_PLACE = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")

_Attempt = Annotated[int, QueryParameter(ge=0, le=MAX_ATTEMPT, description="Only what this one said; 0: all of them.")]
_After = Annotated[
    str | None,
    QueryParameter(max_length=19, pattern=r"^[0-9]{1,9}\.[0-9]{1,9}$", description="`next_after` of the page before."),
]
_Limit = Annotated[int, QueryParameter(ge=1, le=1_000)]


@get(
    "/tasks/{task_id:int}/logs",
    operation_id="get_task_logs",
    summary="Get a task's logs",
    tags=["tasks"],
    responses=problem_responses(404),
)
async def get_logs(
    services: NamedDependency[Services],
    task_id: TaskId,
    attempt: _Attempt = 0,
    after: _After = None,
    limit: _Limit = 100,
) -> schemas.LogPage:
    """Oldest first, attempt by attempt. Of one that runs, what it says arrives within a second or so."""
    await fetch_task_row(services, task_id)
    place = max(_place(after), (attempt, 0))
    asked = {"task": task_id, "until_attempt": attempt or MAX_ATTEMPT, "room": limit + 1}
    rows = await services.database.read(
        attempt_reports.list_log_lines(), {**asked, "after_attempt": place[0], "after_line": place[1]}
    )
    items = [presenters.from_row(schemas.LogLine, row._mapping) for row in rows[:limit]]
    next_after = f"{items[-1].attempt}.{items[-1].line}" if items else after
    return schemas.LogPage(items, next_after, has_more=len(rows) > limit)


def _place(after: str | None) -> tuple[int, int]:
    """Attempt and line. Raises `Refused`."""
    if after is None:
        return 0, 0
    match = _PLACE.fullmatch(after)
    if match is None:
        raise invalid_field("after", "is not an attempt and a line, as in 1.17")
    return int(match[1]), int(match[2])
