"""Settle in batches, after the run: one thread collects the results of a process's attempts and stores them."""

from __future__ import annotations

import queue
import threading
import time

import structlog

from taskcore.db.engine import is_database_unavailable
from taskcore.db.notify import DEPENDENTS, SETTLED, SyncNotifier
from taskcore.domain.backoff import Backoff
from taskcore.domain.tasks import FinishedAttempt
from taskcore.execution.executor import Executor
from taskcore.execution.slots import SlotPool
from taskcore.observability.outages import DATABASE

MAX_BATCH = 256
#: After a batch of this size, wait `LINGER_S` for more: a commit of 30 results costs hardly more than one of 5. A
#: smaller batch means that results are rare, and none of them waits.
BATCHING_THRESHOLD = 2
LINGER_S = 0.01
FIRST_RETRY_WAIT_S = 0.1
#: Results that wait behind a batch keep their tasks open: this much of an outage is added to it.
MAX_RETRY_WAIT_S = 1.0

log = structlog.stdlib.get_logger(__name__)


class BatchCompleter:
    """Accepts finished attempts from any thread. While the database is unavailable it keeps them and tries again."""

    def __init__(self, executor: Executor, slots: SlotPool, notifier: SyncNotifier) -> None:
        self._executor = executor
        self._slots = slots
        self._notifier = notifier
        self._finished: queue.SimpleQueue[FinishedAttempt | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="completer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def add(self, finished: FinishedAttempt) -> None:
        self._finished.put(finished)

    def stop(self, timeout_s: float) -> bool:
        """Store what is left. Return False if that took too long; then those leases expire."""
        self._finished.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        is_open = True
        while is_open:
            batch, is_open = self._next_batch()
            if batch:
                if self._settle(batch):
                    self._notifier.notify(DEPENDENTS)
                self._slots.release(one.lease for one in batch)
                self._notifier.notify(SETTLED)
            if len(batch) >= BATCHING_THRESHOLD and is_open:
                time.sleep(LINGER_S)

    def _next_batch(self) -> tuple[list[FinishedAttempt], bool]:
        """Return all that is queued, up to `MAX_BATCH`, and whether more may follow."""
        batch: list[FinishedAttempt] = []
        wait = self._notifier.due_in_s()
        try:
            while len(batch) < MAX_BATCH:
                one = self._finished.get(block=not batch, timeout=wait)
                if one is None:
                    return batch, False
                batch.append(one)
        except queue.Empty:
            if not batch:
                self._notifier.flush()
        return batch, True

    def _settle(self, batch: list[FinishedAttempt]) -> bool:
        """Store the batch, however often that takes. Return whether tasks depend on one that is finished now."""
        backoff = Backoff(FIRST_RETRY_WAIT_S, MAX_RETRY_WAIT_S)
        while True:
            try:
                has_dependents = self._executor.settle(batch)
                DATABASE.succeeded()
                return has_dependents
            except Exception as exc:  # results must outlive any failure; the lease limits for how long
                if not is_database_unavailable(exc):
                    log.exception("tasks.not_settled", count=len(batch))
                else:
                    DATABASE.failed(exc, waiting_results=len(batch))
            time.sleep(backoff.next_s())
