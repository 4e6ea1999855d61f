"""Settling behind the run: finished attempts are collected and written in batches by one thread."""

from __future__ import annotations

import queue
import threading
import time

import structlog

from taskcore.db.engine import is_database_unavailable
from taskcore.db.notify import DEPENDENTS, SETTLED, SyncNotifier
from taskcore.domain.tasks import FinishedAttempt
from taskcore.errors import first_line
from taskcore.execution.executor import Executor
from taskcore.execution.slots import SlotPool

MAX_BATCH = 256
#: Tasks that end faster than they are settled gather for a moment: a commit of 30 costs hardly more than one of 5.
#: One that ended alone says that tasks end seldom; then none waits.
BATCHING_THRESHOLD = 2
LINGER_S = 0.01
MAX_RETRY_WAIT_S = 5.0

log = structlog.stdlib.get_logger(__name__)


class BatchCompleter:
    """Takes finished attempts from any thread. While the database is away it keeps them and tries again."""

    def __init__(self, executor: Executor, holding: SlotPool, notifier: SyncNotifier) -> None:
        self._executor = executor
        self._holding = holding
        self._notifier = notifier
        self._finished: queue.SimpleQueue[FinishedAttempt | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="settler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def add(self, finished: FinishedAttempt) -> None:
        self._finished.put(finished)

    def stop(self, timeout_s: float) -> bool:
        """Write what is left. False: it could not be written in time, and its lease will run out."""
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
                self._holding.release(one.lease for one in batch)
                self._notifier.notify(SETTLED)
            if len(batch) >= BATCHING_THRESHOLD and is_open:
                time.sleep(LINGER_S)

    def _next_batch(self) -> tuple[list[FinishedAttempt], bool]:
        """All there is, up to `MAX_BATCH`; and whether more can come."""
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
        """Whether others depend on what is over now."""
        wait_s = 0.1
        while True:
            try:
                return self._executor.settle(batch)
            except Exception as exc:  # results must outlive any trouble on the way; the lease bounds how long
                if not is_database_unavailable(exc):
                    log.exception("tasks.not_settled", count=len(batch))
                else:
                    log.warning("database.unavailable", waiting_results=len(batch), error=first_line(exc))
            time.sleep(wait_s)
            wait_s = min(MAX_RETRY_WAIT_S, wait_s * 2)
