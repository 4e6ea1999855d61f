"""The queues that the broker does not accept, and when it is asked again."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import structlog
from prometheus_client import Gauge

from taskcore.domain.backoff import Backoff
from taskcore.messaging.queue_channel import FIRST_RETRY_S, MAX_RETRY_S

QUEUES_REFUSED = Gauge(
    "taskcore_queues_refused", "Queues whose declaration the broker does not accept", multiprocess_mode="livemax"
)
#: A refused queue that was not used for this long no longer counts: it may have been deleted.
FORGET_AFTER_S = 60.0

log = structlog.stdlib.get_logger(__name__)


@dataclass
class _Refusal:
    """Why the broker does not accept a queue, and until when it is not asked again."""

    reason: str
    retry_at: float
    backoff: Backoff


class RefusedQueues:
    """Belongs to one event loop."""

    def __init__(self, forget_after_s: float) -> None:
        self._forget_after_s = forget_after_s
        self._refusals: dict[str, _Refusal] = {}

    def may_retry(self, queue: str) -> bool:
        """Return whether the broker may be asked for the queue now."""
        refusal = self._refusals.get(queue)
        return refusal is None or time.monotonic() >= refusal.retry_at

    def refuse(self, queue: str, reason: str) -> None:
        """Ask again after a pause that grows. Log each reason once."""
        known = self._refusals.get(queue)
        backoff = Backoff(FIRST_RETRY_S, MAX_RETRY_S) if known is None else known.backoff
        if known is None or known.reason != reason:
            log.error("queue.refused", queue=queue, error=reason)
        retry_s = backoff.next_s()
        self._refusals[queue] = refusal = _Refusal(reason, time.monotonic() + retry_s, backoff)
        QUEUES_REFUSED.set(len(self._refusals))
        asyncio.get_running_loop().call_later(retry_s + self._forget_after_s, self._forget, queue, refusal)

    def accept(self, queue: str) -> None:
        if self._remove(queue):
            log.info("queue.accepted", queue=queue)

    def _forget(self, queue: str, refusal: _Refusal) -> None:
        if self._refusals.get(queue) is refusal:
            self._remove(queue)

    def _remove(self, queue: str) -> bool:
        if self._refusals.pop(queue, None) is None:
            return False
        QUEUES_REFUSED.set(len(self._refusals))
        return True
