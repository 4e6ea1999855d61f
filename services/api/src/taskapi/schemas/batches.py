"""Submitting a batch of tasks.

Limits that JSON Schema can express are in the types; `taskcore.submission.spec` checks the others.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from taskapi.schemas.problems import Problem
from taskcore.domain import tasks as limits
from taskcore.domain.dependencies import MAX_DEPENDENCIES
from taskcore.submission.spec import DependencyId, TaskSpec

Ref = Annotated[str, Meta(min_length=1, max_length=limits.MAX_NAME)]


class BatchTask(TaskSpec, frozen=True):
    """A task of a batch. It may also depend on other tasks of the batch, by their `ref`."""

    depends_on: Annotated[list[DependencyId | Ref], Meta(max_length=MAX_DEPENDENCIES)] = []  # noqa: RUF012
    ref: Ref | None = None


class BatchSubmission(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Up to 10,000 tasks. If `atomic`, all of them are stored or none, otherwise those that are valid."""

    tasks: Annotated[list[BatchTask], Meta(min_length=1, max_length=limits.MAX_BATCH_TASKS)]
    atomic: bool = True


class BatchResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outcome of the task at `index`: stored (`id`), stored before (`id`, `existing`), or refused (`problem`)."""

    index: int
    id: int | None = None
    existing: bool = False
    problem: Problem | None = None


class BatchAnswer(msgspec.Struct, frozen=True):
    """How many tasks were stored, existed before, or were refused, and the result of each in their order."""

    created: int
    existing: int
    refused: int
    results: list[BatchResult]
