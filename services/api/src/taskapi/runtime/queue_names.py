"""Which queue names are taken, so that requests cannot invent queues without end."""

from __future__ import annotations

import time
from collections.abc import Collection

from taskapi.runtime.database import Database
from taskapi.runtime.reload import Reload
from taskcore.db.queues import lifecycle
from taskcore.live_settings import CurrentSettings

MAX_AGE_S = 10.0


class QueueNames:
    """The names are read again before one counts as new, and when they are older than `MAX_AGE_S`.

    A name that is allowed counts as taken at once. Several API processes do not see each other's names until they are
    stored, so the limit may be exceeded by a few.
    """

    def __init__(self, database: Database, settings: CurrentSettings) -> None:
        self._database = database
        self._settings = settings
        self._taken: set[str] = set()
        self._reload = Reload(self._read)

    @property
    def refusal(self) -> str:
        limit = self._settings.now.queues.max
        return f"would be a new queue, and there are {limit} already: name one of them, or raise the setting queues.max"

    async def find_refused(self, names: Collection[str]) -> frozenset[str]:
        """Return those of `names` that are new and exceed `queues.max`. The others count as taken from now on."""
        now = time.monotonic()
        is_old = self._reload.began_at < now - MAX_AGE_S
        if names and (is_old or not self._taken.issuperset(names)):
            await self._reload.since(now)
        new = [name for name in dict.fromkeys(names) if name not in self._taken]
        room = max(0, self._settings.now.queues.max - len(self._taken))
        self._taken.update(new[:room])
        return frozenset(new[room:])

    async def _read(self) -> None:
        self._taken = {row.name for row in await self._database.read(lifecycle.taken_names())}
