"""Which types live workers know, and the tasks of all others, which are parked until a worker knows their type."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import structlog

from taskcore.db.queues import loads, unserved
from taskcore.observability.periodic_warning import PeriodicWarning
from taskworker.coordinator.database import Database

TYPES_CACHE_S = 0.2
RETRY_S = 1.0

log = structlog.stdlib.get_logger(__name__)


class ServedTypes:
    """The types that the live workers of each queue know. They are read again after `TYPES_CACHE_S`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._workers: Sequence[Any] = ()
        self._as_of = float("-inf")

    async def of(self, queue: str, *, since: float = float("-inf")) -> list[str]:
        """Return the types that workers of `queue` know, as of `since`, a monotonic time, or later."""
        if self._as_of < max(since, time.monotonic() - TYPES_CACHE_S):
            as_of = time.monotonic()
            self._workers = await self._database.execute(loads.served_types())
            self._as_of = as_of
        serving = [worker for worker in self._workers if not worker.queues or queue in worker.queues]
        return sorted({type_ for worker in serving for type_ in worker.types})


class Parking:
    """Parks rows and brings them back, queue by queue. `load` is a row of `queue_loads`, which was read at `as_of`.

    A queue without a live worker stays as it is: its workers may only be restarting.
    """

    def __init__(self, database: Database, served: ServedTypes) -> None:
        self._database = database
        self._served = served
        self._warning = PeriodicWarning("tasks.unserved")
        self._nothing_for: dict[str, tuple[list[str], float]] = {}

    async def move(self, load: Any, as_of: float) -> bool:
        """Park or bring back a batch. Return whether there was anything to do, in which case there may be more."""
        if not load.live_slots or not (load.head_type or load.has_parked):
            return False
        types = await self._served.of(load.name)
        if load.has_parked or load.head_type not in types:
            types = await self._served.of(load.name, since=as_of)
        parked = await self._park(load.name, types) if load.head_type and load.head_type not in types else False
        unparked = await self._unpark(load.name, types) if load.has_parked else False
        return parked or unparked

    async def _park(self, queue: str, types: list[str]) -> bool:
        rows = await self._database.execute(unserved.park(), of=queue, types=types)
        self._warning.add({row.type: row.count for row in rows}, queue=queue)
        return bool(rows)

    async def _unpark(self, queue: str, types: list[str]) -> bool:
        """Another relay may park by older knowledge, so that what found nothing is tried again after `RETRY_S`."""
        types_then, until = self._nothing_for.get(queue, ([], 0.0))
        if types_then == types and time.monotonic() < until:
            return False
        rows = await self._database.execute(unserved.unpark(), of=queue, types=types)
        if rows:
            log.info("tasks.served_again", queue=queue, count=len(rows))
        else:
            self._nothing_for[queue] = types, time.monotonic() + RETRY_S
        return bool(rows)
