"""Why a call about a schedule is refused."""

from __future__ import annotations

from typing import Any

from taskapi.http.problems import Refused
from taskapi.schemas import Problem


def schedule_not_found(schedule_id: int) -> Refused:
    detail = f"There is no schedule {schedule_id}."
    return Refused(Problem("No such schedule", 404, "schedule_not_found", detail=detail))


def schedule_exists(name: str) -> Refused:
    return Refused(Problem("The name is taken", 409, "schedule_exists", detail=f"There is a schedule named {name!r}."))


def schedule_managed(schedule: Any) -> Refused:
    """Its description says which setting."""
    detail = f"{schedule.name} belongs to {schedule.managed_by}, from whose settings its times come."
    if schedule.description:
        detail += f" {schedule.description}."
    return Refused(Problem("A service keeps this schedule", 409, "schedule_managed", detail=detail))


def schedule_overlap(task_id: int) -> Refused:
    detail = f"Task {task_id}, which it submitted before, is not over, and its overlap is not «allow»."
    return Refused(Problem("The task before is not over", 409, "schedule_overlap", detail=detail, task_id=task_id))
