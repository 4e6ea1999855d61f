"""How a loop of asyncio sleeps between its rounds: for a time, or until it is woken."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Wakeup:
    """Ends one sleep of one loop. A wake-up that comes while the loop works ends its next sleep at once."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Call it in the thread of the loop."""
        self._woken.set()

    async def wait(self, seconds: float) -> None:
        """Return after `seconds`, or once `wake` has been called since the last return."""
        # Not `asyncio.wait_for`: before Python 3.12 it may swallow a cancellation that coincides with a wake-up.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()
