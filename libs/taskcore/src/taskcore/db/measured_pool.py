"""Connection pools that count how long callers wait: a pool that is too small looks like a slow database."""

from __future__ import annotations

import time

from sqlalchemy import PoolProxiedConnection, QueuePool
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import AsyncAdaptedQueuePool

from taskcore.observability.metrics import POOL_TIMEOUTS, POOL_WAIT_SECONDS

#: Shorter waits are none, and counting costs more than they do.
MIN_WAIT_S = 0.001


class MeasuredPool(QueuePool):
    def connect(self) -> PoolProxiedConnection:
        began_at = time.perf_counter()
        try:
            return super().connect()
        except PoolTimeout:
            POOL_TIMEOUTS.inc()
            raise
        finally:
            waited_s = time.perf_counter() - began_at
            if waited_s >= MIN_WAIT_S:
                POOL_WAIT_SECONDS.inc(waited_s)


class MeasuredAsyncPool(MeasuredPool, AsyncAdaptedQueuePool):
    """For asyncio."""
