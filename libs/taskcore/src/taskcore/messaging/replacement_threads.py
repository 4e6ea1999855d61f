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
        self._missing = 0  # below 0: threads that came back after they had been replaced

    def replace(self, lost: int) -> None:
        """See to it that the worker has as many threads as before `lost` more of them were lost.

        When the process cannot start a thread, the next call tries again.
        """
        with self._lock:
            self._missing += lost
            while self._missing > 0 and self._start_thread():
                self._missing -= 1
            if lost and self._missing > 0:
                log.error("worker.threads_missing", count=self._missing)

    def put_back(self, abandoned: ClaimedTask) -> None:
        """The calling thread has come to the end of an attempt that was abandoned."""
        task_id, attempt, _ = abandoned.lease
        log.warning("attempt.abandoned_thread_ended", task_id=task_id, attempt=attempt, task_type=abandoned.type)
        with self._lock:
            self._missing -= 1

    def _start_thread(self) -> bool:
        worker = self._worker
        thread = WorkerThread(
            broker=worker.broker,
            consumers=worker.consumers,
            work_queue=worker.work_queue,
            worker_timeout=worker.worker_timeout,
        )
        try:
            thread.start()
        except RuntimeError:
            return False
        worker.workers.append(thread)
        return True
