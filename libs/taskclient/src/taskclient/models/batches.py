"""What became of many tasks that were submitted at once."""

from __future__ import annotations

import msgspec

from taskclient.models.problems import Problem


class BatchResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of the task at `index` of a batch: stored (`id`), already there (`existing`), or refused."""

    index: int
    id: int | None = None
    existing: bool = False
    problem: Problem | None = None


class BatchAnswer(msgspec.Struct, frozen=True):
    created: int
    existing: int
    refused: int
    results: list[BatchResult]
