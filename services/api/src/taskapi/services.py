"""What the handlers work with, opened and closed with the process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Self

from taskapi.catalogue import Catalogue
from taskapi.database import Database
from taskapi.finishes import Finishes
from taskapi.wakeups import Wakeups
from taskcore.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """`leaving` is set when the process was told to stop, and still answers."""

    database: Database
    catalogue: Catalogue
    wakeups: Wakeups
    finishes: Finishes
    leaving: Event = field(default_factory=Event)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Nothing is connected yet: the process starts whether the database is there or not."""
        url = settings.database_url.get_secret_value()
        database = Database.at(url)
        return cls(database, Catalogue(database), Wakeups(database), Finishes(url, database))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await self.finishes.close()
            await self.wakeups.close()
            await self.database.close()
