"""Problems of calls about schedules."""

from __future__ import annotations

from typing import Any

from taskapi.http.problems import ProblemError
from taskapi.schemas import Problem, ProblemCode


def schedule_exists(name: str) -> ProblemError:
    detail = f"There is already a schedule named {name!r}."
    return ProblemError(Problem("The name is taken", 409, ProblemCode.SCHEDULE_EXISTS, detail=detail))


def schedule_managed(schedule: Any) -> ProblemError:
    """Return the problem of changing a managed schedule. Its description names the setting to change instead."""
    detail = f"{schedule.name} is managed by {schedule.managed_by}, whose settings determine its times."
    if schedule.description:
        detail += f" {schedule.description}."
    return ProblemError(Problem("A service manages this schedule", 409, ProblemCode.SCHEDULE_MANAGED, detail=detail))


def schedule_overlap(task_id: int) -> ProblemError:
    title = "The previous task of the schedule is not finished"
    detail = f"Task {task_id} of this schedule is not finished, and its overlap is not `allow`."
    return ProblemError(Problem(title, 409, ProblemCode.SCHEDULE_OVERLAP, detail=detail, task_id=task_id))
