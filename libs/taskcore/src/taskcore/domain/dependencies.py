"""How a task starts that depends on others, and how far the end of a task has been resolved for its dependents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from taskcore.domain.states import Status

MAX_DEPENDENCIES = 1_000
#: Of all tasks of a batch together.
MAX_BATCH_DEPENDENCIES = 100_000

UNSUCCESSFUL = frozenset({Status.FAILED, Status.CANCELLED})


class DependentsState(StrEnum):
    """What a task's dependents are still owed; NULL while nothing depends on the task.

    | from | to | when |
    | --- | --- | --- |
    | NULL, resolved | pending | a task that depends on it is submitted, and it is unfinished |
    | NULL | resolved | a task that depends on it is submitted, and it has failed or been cancelled |
    | pending | resolved | it has finished, and no dependent is left to unblock or to cancel |
    | pending, resolved | reblock | it is retried, or reblocked itself |
    | reblock | pending | no dependent is left that its earlier end had cancelled and that may wait again |
    | any | pending | the sweep finds a blocked task all of whose dependencies have finished |

    A task that has succeeded before anything depends on it keeps NULL: there is nothing to wait for.
    A task in `pending` or `reblock` is not deleted.
    """

    PENDING = "pending"  # dependents wait for its end, or for what its end means to them
    RESOLVED = "resolved"  # its end has been applied to all of them
    REBLOCK = "reblock"  # dependents that its earlier end had cancelled must be blocked again


@dataclass(frozen=True, slots=True)
class DependencyState:
    """The status of a task as its dependents see it. `error` is set if it failed or was cancelled."""

    status: Status
    error: str | None = None


def state_of(task_id: int, status: Status) -> DependencyState:
    if status not in UNSUCCESSFUL:
        return DependencyState(status)
    how = "failed" if status is Status.FAILED else "was cancelled"
    return DependencyState(status, f"task {task_id}, on which it depends, {how}")


def plan_start(parents: Sequence[DependencyState]) -> DependencyState:
    """Return how a task that depends on `parents` starts. `queued` means that it need not wait for any of them."""
    for parent in parents:
        if parent.status in UNSUCCESSFUL:
            return DependencyState(Status.CANCELLED, parent.error)
    is_free = all(parent.status is Status.SUCCEEDED for parent in parents)
    return DependencyState(Status.QUEUED if is_free else Status.BLOCKED)
