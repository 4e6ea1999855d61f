"""Handing in tasks, one or many.

Limits that can be said in JSON Schema are said here; what cannot is checked in `taskcore.submission.spec`.
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
    """As a task that is submitted alone. It may also depend on others of its batch, which it names by their `ref`."""

    depends_on: Annotated[list[DependencyId | Ref], Meta(max_length=MAX_DEPENDENCIES)] = []  # noqa: RUF012
    ref: Ref | None = None


class BatchSubmission(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Up to 10,000 tasks. `atomic`: all or nothing; otherwise the good ones are taken, if there are any."""

    tasks: Annotated[list[BatchTask], Meta(min_length=1, max_length=limits.MAX_BATCH_TASKS)]
    atomic: bool = True


class BatchResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of the task at `index` of a batch: stored (`id`), already there (`id`, `existing`), or refused."""

    index: int
    id: int | None = None
    existing: bool = False
    problem: Problem | None = None


class BatchAnswer(msgspec.Struct, frozen=True):
    created: int
    existing: int
    refused: int
    results: list[BatchResult]
