"""Refusals: what an API call raises to answer with a problem. Which other exceptions become one is `errors`' part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from taskapi.schemas import FieldError, Problem
from taskcore.domain.states import Action, Status

MAX_ERRORS = 100


class ProblemError(Exception):
    """The request is answered with `problem`."""

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem.detail or problem.title)
        self.problem = problem
        self.headers = dict(headers or {})


def invalid(errors: Sequence[FieldError]) -> Problem:
    return Problem("Some of what was sent is not valid", 422, "invalid", errors=list(errors[:MAX_ERRORS]))


def merge_problems(found: Sequence[Problem]) -> Problem:
    """One problem for all: the first one's kind, everybody's errors."""
    errors = [error for problem in found for error in problem.errors]
    return msgspec.structs.replace(found[0], errors=errors[:MAX_ERRORS])


def malformed(error: FieldError) -> Problem:
    return Problem("The body is not JSON", 400, "malformed_json", errors=[error])


def too_large(field: str, limit: int) -> Problem:
    return Problem(
        "Too large", 413, "too_large", errors=[FieldError(field, f"is larger than {limit // 1024} KiB of JSON")]
    )


def idempotency_conflict(key: str) -> Problem:
    return Problem(
        "The idempotency key belongs to another task",
        409,
        "idempotency_conflict",
        detail=f"The key {key!r} came before, with another body.",
    )


def concurrent_update() -> ProblemError:
    """A task with the same idempotency key was deleted in between."""
    return ProblemError(Problem("Others are changing the same tasks", 503, "concurrent_update"), {"Retry-After": "1"})


def shutting_down() -> ProblemError:
    return ProblemError(Problem("The process is about to stop", 503, "shutting_down"), {"Retry-After": "1"})


def task_not_found(task_id: int) -> ProblemError:
    return ProblemError(Problem("No such task", 404, "task_not_found", detail=f"There is no task {task_id}."))


def trace_not_recorded(task_id: int, is_on: bool) -> ProblemError:
    """`is_on`: this process follows tasks."""
    why = (
        "it came when more was submitted than is followed, or when nothing was: see the settings tracing.sample_ratio "
        "and tracing.max_traces_per_s"
        if is_on
        else "no task is, until the setting tracing.endpoint says where traces go"
    )
    return ProblemError(
        Problem("No trace", 404, "trace_not_recorded", detail=f"Task {task_id} is not followed: {why}.")
    )


def trace_viewer_not_configured() -> ProblemError:
    detail = "Nobody can be asked for traces: set tracing.query_url, the address at which the trace viewer answers one."
    return ProblemError(Problem("No trace viewer is known", 409, "trace_viewer_not_configured", detail=detail))


def trace_viewer_unavailable(reason: str) -> ProblemError:
    problem = Problem("The trace viewer does not serve", 503, "trace_viewer_unavailable", detail=f"It {reason}.")
    return ProblemError(problem, {"Retry-After": "1"})


def setting_not_found(name: str) -> ProblemError:
    return ProblemError(Problem("No such setting", 404, "setting_not_found", detail=f"There is no setting {name!r}."))


def setting_not_live(name: str) -> ProblemError:
    return ProblemError(
        Problem(
            "Not a live setting",
            409,
            "setting_not_live",
            detail=f"{name} is read when a process starts: change its file or environment, and restart.",
        )
    )


def metric_not_found(name: str) -> ProblemError:
    return ProblemError(Problem("No such metric", 404, "metric_not_found", detail=f"There is no metric {name!r}."))


def queue_not_found(name: str) -> ProblemError:
    return ProblemError(Problem("No such queue", 404, "queue_not_found", detail=f"There is no queue {name!r}."))


def action_not_available(action: Action, status: Status, type_name: str | None = None) -> ProblemError:
    """`type_name`: it is its type that does not allow it."""
    whose = "A task" if type_name is None else f"A task of the type {type_name}"
    detail = f"{whose} that is {status} cannot take the action {action}."
    return ProblemError(_status_conflict("action_not_available", detail, status))


def has_dependents(task_id: int, status: Status) -> ProblemError:
    detail = f"Other tasks wait for the end of task {task_id}, or for what becomes of it."
    return ProblemError(_status_conflict("has_dependents", detail, status))


def dependency_failed(task_id: int, dependency_id: int, how: str, status: Status) -> ProblemError:
    detail = f"Task {task_id} depends on task {dependency_id}, which {how}: retry that one."
    return ProblemError(_status_conflict("dependency_failed", detail, status))


def _status_conflict(code: str, detail: str, status: Status) -> Problem:
    return Problem("Not possible as the task stands", 409, code, detail=detail, task_status=status)


def invalid_field(field: str, message: str) -> ProblemError:
    """One field is not valid."""
    return ProblemError(invalid([FieldError(field, message)]))
