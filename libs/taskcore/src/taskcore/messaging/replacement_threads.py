"""Threads in place of those that an attempt does not give back."""

from __future__ import annotations

import threading

import structlog
from dramatiq.worker import Worker, WorkerThread

from taskcore.domain.tasks import ClaimedTask

log = structlog.stdlib.get_logger(__name__)


class ReplacementThreads:
    """Thread-safe. A thread that comes back after all is the next replacement."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._lock = threading.Lock()
        self._spare = 0

    def replace(self) -> None:
        """See to it that the worker has as many threads as before one was lost."""
        with self._lock:
            if self._spare:
                self._spare -= 1
                return
        worker = self._worker
        thread = WorkerThread(
            broker=worker.broker,
            consumers=worker.consumers,
            work_queue=worker.work_queue,
            worker_timeout=worker.worker_timeout,
        )
        thread.start()
        worker.workers.append(thread)

    def put_back(self, abandoned: ClaimedTask) -> None:
        """The calling thread has come to the end of an attempt that was abandoned."""
        task_id, attempt, _ = abandoned.lease
        log.warning("attempt.abandoned_thread_ended", task_id=task_id, attempt=attempt, task_type=abandoned.type)
        with self._lock:
            self._spare += 1
