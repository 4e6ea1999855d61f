"""Run what takes long for a large body on a thread, so that other requests go on."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TypeVar

#: Work on bodies of up to this size takes less time than a switch to a thread and back.
INLINE_BYTES = 8 * 1024
THREADS = 2

T = TypeVar("T")


async def off_loop(size: int, function: Callable[..., T], *arguments: object) -> T:
    """Return what `function` returns for a body of `size` bytes. Work on large bodies waits for one of few threads."""
    if size <= INLINE_BYTES:
        return function(*arguments)
    call = partial(contextvars.copy_context().run, function, *arguments)
    return await asyncio.get_running_loop().run_in_executor(_threads(), call)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, "bodies")
