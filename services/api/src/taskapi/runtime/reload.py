"""Reading something again that is kept in memory, once for all requests that need it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from taskapi.runtime.database import TIMEOUT_S


class Reload:
    """Calls `read`, once at a time. `began_at` is when the last call that succeeded began, by the monotonic clock."""

    def __init__(self, read: Callable[[], Awaitable[None]], timeout_s: float = TIMEOUT_S) -> None:
        self.began_at = float("-inf")
        self._read = read
        self._timeout_s = timeout_s
        self._lock = asyncio.Lock()

    async def since(self, needed_at: float) -> None:
        """Return once a call that began at `needed_at` or later has succeeded.

        Raise what the call raises, or `TimeoutError`: requests that wait for each other must not wait for longer than
        one that waits for the database.
        """
        async with asyncio.timeout(self._timeout_s), self._lock:
            if self.began_at < needed_at:
                began_at = time.monotonic()
                await self._read()
                self.began_at = began_at
