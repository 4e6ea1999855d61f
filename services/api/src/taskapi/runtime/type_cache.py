"""A short-lived cache of the task types, each with its compiled schema."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from taskapi.runtime.database import Database
from taskapi.runtime.reload import Reload
from taskcore.db.workers import workers
from taskcore.submission.schemas import FindErrors, compile_schema

MAX_AGE_S = 2.0


@dataclass(frozen=True, slots=True)
class KnownType:
    """The defaults of a type, the schema of its parameters, and what may be done to its tasks while they run."""

    name: str
    queue: str
    max_attempts: int
    timeout_s: float | None
    can_cancel: bool
    can_pause: bool
    schema: dict[str, Any]
    parameter_errors: FindErrors


class TypeCache:
    """Entries are at most `MAX_AGE_S` old, and the cache is reloaded before a name counts as unknown."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._types: Mapping[str, KnownType] = {}
        self._reload = Reload(self._read)

    async def get(self, names: Collection[str]) -> Mapping[str, KnownType]:
        """Return all types, including those of `names` that exist."""
        started_at = time.monotonic()
        if self._reload.began_at < started_at - MAX_AGE_S or any(name not in self._types for name in names):
            await self._reload.since(started_at)
        return self._types

    async def _read(self) -> None:
        rows = await self._database.read(workers.list_types())
        self._types = {row.name: self._known(row) for row in rows}

    def _known(self, row: Any) -> KnownType:
        known = self._types.get(row.name)
        is_same = known is not None and known.schema == row.schema
        errors = known.parameter_errors if known is not None and is_same else compile_schema(row.schema, row.name)
        return KnownType(
            row.name,
            row.queue,
            row.max_attempts,
            row.timeout_s,
            row.can_cancel,
            row.can_pause,
            row.schema,
            errors,
        )
