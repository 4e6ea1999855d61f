"""The response to a batch of tasks."""

from __future__ import annotations

import msgspec

from taskclient.models.problems import Problem


class BatchResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result for the task at `index`: created (`id`), already there (`id`, `existing`), or refused (`problem`)."""

    index: int
    id: int | None = None
    existing: bool = False
    problem: Problem | None = None


class BatchAnswer(msgspec.Struct, frozen=True):
    created: int
    existing: int
    refused: int
    results: list[BatchResult]
