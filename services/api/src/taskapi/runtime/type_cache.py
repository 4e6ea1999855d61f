"""A short-lived cache of the task types, each with its compiled schema."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
import structlog

from taskapi.runtime.database import Database
from taskcore.db.workers import workers

MAX_AGE_S = 2.0

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KnownType:
    """What submitting a task needs, and what may be done to a running one.

    Without a `validator` any parameters are accepted; the worker checks them again.
    """

    name: str
    queue: str
    max_attempts: int
    timeout_s: float | None
    can_cancel: bool
    can_pause: bool
    schema: dict[str, Any]
    validator: jsonschema_rs.Validator | None

    def parameter_errors(self, parameters: dict[str, Any]) -> Iterator[jsonschema_rs.ValidationError]:
        return iter(()) if self.validator is None else self.validator.iter_errors(parameters)


class TypeCache:
    """Entries are at most `MAX_AGE_S` old, and the cache is reloaded before a name counts as unknown."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._types: Mapping[str, KnownType] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def get(self, names: Collection[str]) -> Mapping[str, KnownType]:
        """Return all types, including those of `names` that exist."""
        started_at = time.monotonic()
        if self._read_at < started_at - MAX_AGE_S or any(name not in self._types for name in names):
            async with self._reading:
                if self._read_at < started_at:
                    await self._read()
        return self._types

    async def _read(self) -> None:
        started_at = time.monotonic()
        rows = await self._database.read(workers.list_types())
        self._types = {row.name: self._known(row) for row in rows}
        self._read_at = started_at

    def _known(self, row: Any) -> KnownType:
        known = self._types.get(row.name)
        is_same = known is not None and known.schema == row.schema
        validator = known.validator if known is not None and is_same else _compiled(row.name, row.schema)
        return KnownType(
            row.name,
            row.queue,
            row.max_attempts,
            row.timeout_s,
            row.can_cancel,
            row.can_pause,
            row.schema,
            validator,
        )


def _compiled(name: str, schema: dict[str, Any]) -> jsonschema_rs.Validator | None:
    try:
        return jsonschema_rs.Draft202012Validator(schema, offline=True, mask="the value")
    except (ValueError, jsonschema_rs.ReferencingError) as exc:  # the mistake of a plugin, not of the client
        log.warning("task_type.invalid_schema", task_type=name, error=str(exc))
        return None
