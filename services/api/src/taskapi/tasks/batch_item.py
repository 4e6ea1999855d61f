"""A task on its way from the body of a request to the response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from taskapi.http.field_errors import Path
from taskapi.http.problems import invalid
from taskapi.schemas.batches import BatchResult, BatchTask
from taskapi.schemas.problems import FieldError, Problem, ProblemCode
from taskcore.domain.tasks import NewTask
from taskcore.submission.spec import TaskSubmission


@dataclass(slots=True)
class BatchItem:
    """A task that is being submitted, alone or at the `index` of a batch. In the end it has an `id` or a `problem`.

    `path` is its place in the body, which its errors begin with, and `ref` its name within the batch.

    `spec` is set when it has been decoded, `task` when it has been checked, and `row` when it has been inserted, which
    it is not when its idempotency key belongs to a task that was stored before.
    """

    index: int = 0
    path: Path = ()
    ref: str | None = None
    spec: TaskSubmission | BatchTask = field(init=False, repr=False)
    task: NewTask = field(init=False, repr=False)
    problem: Problem | None = None
    id: int | None = None
    row: Any = None

    def reject(self, errors: Sequence[FieldError]) -> None:
        self.problem = invalid(errors)

    def mark_inserted(self, row: Any) -> None:
        self.id, self.row = row.id, row

    def mark_existing(self, other: Any) -> None:
        """Its key belongs to the task `other` (id, fingerprint), which is either the same task or a conflict."""
        if other.fingerprint == self.task.fingerprint:
            self.id = other.id
        else:
            self.problem = _idempotency_conflict(str(self.task.idempotency_key))

    def reset(self) -> None:
        """Forget the outcome of a transaction that was rolled back."""
        self.problem = self.id = self.row = None

    def result(self) -> BatchResult:
        if self.problem is not None:
            return BatchResult(self.index, problem=self.problem)
        return BatchResult(self.index, self.id, existing=self.row is None)


def _idempotency_conflict(key: str) -> Problem:
    title = "The idempotency key belongs to another task"
    detail = f"The key {key!r} was used before with a different body."
    return Problem(title, 409, ProblemCode.IDEMPOTENCY_CONFLICT, detail=detail)
