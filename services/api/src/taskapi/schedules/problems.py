"""Why a call about a schedule is refused."""

from __future__ import annotations

from typing import Any

from taskapi.http.problems import ProblemError
from taskapi.schemas import Problem


def schedule_not_found(schedule_id: int) -> ProblemError:
    detail = f"There is no schedule {schedule_id}."
    return ProblemError(Problem("No such schedule", 404, "schedule_not_found", detail=detail))


def schedule_exists(name: str) -> ProblemError:
    return ProblemError(
        Problem("The name is taken", 409, "schedule_exists", detail=f"There is a schedule named {name!r}.")
    )


def schedule_managed(schedule: Any) -> ProblemError:
    """Its description says which setting."""
    detail = f"{schedule.name} belongs to {schedule.managed_by}, from whose settings its times come."
    if schedule.description:
        detail += f" {schedule.description}."
    return ProblemError(Problem("A service keeps this schedule", 409, "schedule_managed", detail=detail))


def schedule_overlap(task_id: int) -> ProblemError:
    detail = f"Task {task_id}, which it submitted before, is not over, and its overlap is not «allow»."
    return ProblemError(Problem("The task before is not over", 409, "schedule_overlap", detail=detail, task_id=task_id))
