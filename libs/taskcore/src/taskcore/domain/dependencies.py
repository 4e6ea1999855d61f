"""What becomes of a task that depends on others, from how those stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from taskcore.domain.states import Status

MAX_DEPENDENCIES = 1_000
#: Of all tasks of a batch together.
MAX_BATCH_DEPENDENCIES = 100_000

UNSUCCESSFUL = frozenset({Status.FAILED, Status.CANCELLED})


@dataclass(frozen=True, slots=True)
class DependencyState:
    """How a task stands, for those that depend on it. `reason` is set where it came to nothing."""

    status: Status
    error: str | None = None


def state_of(task_id: int, status: Status) -> DependencyState:
    if status not in UNSUCCESSFUL:
        return DependencyState(status)
    how = "failed" if status is Status.FAILED else "was cancelled"
    return DependencyState(status, f"task {task_id}, on which it depends, {how}")


def plan_start(parents: Sequence[DependencyState]) -> DependencyState:
    """How a task starts that depends on `parents`; `queued` stands for one that need not wait for them."""
    for parent in parents:
        if parent.status in UNSUCCESSFUL:
            return DependencyState(Status.CANCELLED, parent.error)
    is_free = all(parent.status is Status.SUCCEEDED for parent in parents)
    return DependencyState(Status.QUEUED if is_free else Status.BLOCKED)
